"""Byzantine-robust aggregation over neighbourhoods, as gossip rules.

Every rule is made from a topology: :func:`median`, :func:`trimmed_mean`, :func:`krum`,
:func:`multi_krum`, :func:`geometric_median`, :func:`centered_clipping`, :func:`norm_clipping`,
:func:`foolsgold`, and :func:`mozi` (UBAR), which tries the models out on private samples; a new one
is :func:`over_neighborhoods` of a function of one agent. All of them drop messages that are not
finite, keep the own model where nothing arrives, honour the exchange (absent agents, lost messages)
and read the models of before the round. BRIDGE is :func:`trimmed_mean` in a learner of gradient
steps; :mod:`jaxswarm.systems.sybilwall` adds SybilWall.
"""

from collections.abc import Callable

from jaxswarm.gossip._averaging import averaging
from jaxswarm.gossip._mixing import mixing
from jaxswarm.gossip.robust._foolsgold import foolsgold, foolsgold_weights
from jaxswarm.gossip.robust._mozi import mozi
from jaxswarm.gossip.robust._neighborhoods import Neighborhood, candidates, over_neighborhoods
from jaxswarm.gossip.robust.clipping import centered_clipping, norm_clipping
from jaxswarm.gossip.robust.distances import geometric_median, krum, multi_krum
from jaxswarm.gossip.robust.order import median, trimmed_mean
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.topology import Topology

ROBUST_RULES: dict[str, Callable[[Topology, int], GossipTransformation]] = {
    "averaging": lambda topology, b: averaging(mixing(topology, "uniform", connected=False)),
    "median": lambda topology, b: median(topology),
    "trimmed_mean": trimmed_mean,
    "krum": krum,
    "multi_krum": multi_krum,
    "geometric_median": lambda topology, b: geometric_median(topology),
    "centered_clipping": lambda topology, b: centered_clipping(topology, 1.0),
    "norm_clipping": lambda topology, b: norm_clipping(topology),
    "foolsgold": lambda topology, b: foolsgold(topology),
}
"""Name -> ``(topology, num_byzantine) -> rule``, plain averaging as the control among them."""

__all__ = [
    "ROBUST_RULES",
    "Neighborhood",
    "candidates",
    "centered_clipping",
    "foolsgold",
    "foolsgold_weights",
    "geometric_median",
    "krum",
    "median",
    "mozi",
    "multi_krum",
    "norm_clipping",
    "over_neighborhoods",
    "trimmed_mean",
]
