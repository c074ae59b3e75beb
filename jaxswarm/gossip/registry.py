"""Plain gossip rules by name, all built from a topology."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxswarm.gossip._averaging import averaging, identity, server
from jaxswarm.gossip._delayed_averaging import delayed_averaging
from jaxswarm.gossip._mixing import mixing
from jaxswarm.gossip._push_sum import push_sum
from jaxswarm.gossip.accelerated import chebyshev, momentum_averaging
from jaxswarm.gossip.compression import choco, quantize
from jaxswarm.gossip.randomized import pairwise
from jaxswarm.gossip.schedules import random_gossip
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.gossip.variance import variance_corrected
from jaxswarm.topology import Topology


def _on_operator(
    rule: Callable[..., GossipTransformation], default: str = "metropolis", **defaults: Any
) -> Callable[..., GossipTransformation]:
    """Factory of a rule that takes a mixing operator."""

    def make(topology: Topology, *, weights: Any = default, **options: Any) -> GossipTransformation:
        return rule(mixing(topology, weights), **{**defaults, **options})

    return make


def _without_graph(
    rule: Callable[..., GossipTransformation],
) -> Callable[..., GossipTransformation]:
    """Factory of a rule that needs no graph."""

    def make(topology: Topology, **options: Any) -> GossipTransformation:
        del topology
        return rule(**options)

    return make


def _delayed_averaging(
    topology: Topology, *, weights: Any = "metropolis", delays: Any = None
) -> GossipTransformation:
    late = np.ones(topology.num_edge_slots, np.int32) if delays is None else delays
    return delayed_averaging(mixing(topology, weights), late)


def _random_gossip(topology: Topology, *, r: Any = 1, **options: Any) -> GossipTransformation:
    return random_gossip(topology.num_agents, r, **options)


RULES: dict[str, Callable[..., GossipTransformation]] = {
    "averaging": _on_operator(averaging),
    "chebyshev": _on_operator(chebyshev, steps=4),
    "choco": _on_operator(choco, compressor=quantize(8), step_size=0.5),
    "delayed_averaging": _delayed_averaging,
    "identity": _without_graph(identity),
    "momentum_averaging": _on_operator(momentum_averaging),
    "pairwise": pairwise,
    "push_sum": _on_operator(push_sum, "push"),
    "random_gossip": _random_gossip,
    "server": _without_graph(server),
    "variance_corrected": _on_operator(variance_corrected),
}
"""Name -> ``(topology, **options) -> rule``; the options are the rule's own.

Rules on a mixing operator also take ``weights``, by default ``"metropolis"`` (``"push"`` for
push-sum). What has no default in a rule has one here: four ``steps`` for ``chebyshev``,
``quantize(8)`` and a step size of 0.5 for ``choco``, one round of delay on every link, one random
neighbour a round for ``random_gossip``. Byzantine-robust rules are in
:data:`jaxswarm.gossip.ROBUST_RULES`.
"""
