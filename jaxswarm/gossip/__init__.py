"""Averaging and aggregation steps on a topology: “optax for gossip”.

A rule is a :class:`GossipTransformation`: pure functions ``init`` and ``mix(key, params, state,
exchange)``. Rules close over a mixing operator ``W = mixing(topology)``, a sequence of them, or a
function that draws one each round; wrappers take a rule and return a rule. An :class:`Exchange`
says which agents are there, which messages arrive and what is sent. Every ``mix`` counts its
messages and bytes.

* operators: :func:`mixing`, :func:`from_matrix`, :func:`complete_mean`, :func:`mix`
* rules (:data:`RULES`): :func:`averaging`, :func:`chebyshev`, :func:`momentum_averaging`,
  :func:`pairwise`, :func:`random_gossip`, :func:`push_sum`, :func:`choco`,
  :func:`variance_corrected`, :func:`delayed_averaging`, :func:`server`, :func:`identity`
* Byzantine-robust rules (:data:`ROBUST_RULES`): :mod:`~jaxswarm.gossip.robust`
* wrappers: :func:`scheduled`, :func:`delayed`, :func:`compressed`, :func:`with_extras`
* attacks (:data:`ATTACKS`): :func:`attacked` and :mod:`~jaxswarm.gossip.attacks`
"""

from jaxswarm.gossip import attacks, robust
from jaxswarm.gossip._averaging import averaging, identity, server
from jaxswarm.gossip._delayed_averaging import delayed_averaging
from jaxswarm.gossip._mixing import LAYOUTS, complete_mean, from_matrix, mix, mixing
from jaxswarm.gossip._operator import Mixing
from jaxswarm.gossip._push_sum import push_sum
from jaxswarm.gossip.accelerated import chebyshev, momentum_averaging
from jaxswarm.gossip.attacks import ATTACKS, Attack, attacked, attacked_by_one_of, sybil_attack
from jaxswarm.gossip.compression import (
    COMPRESSORS,
    Compressor,
    cast,
    choco,
    compressed,
    quantize,
    random_k,
    sign,
    top_k,
)
from jaxswarm.gossip.randomized import pairwise, random_neighbors
from jaxswarm.gossip.registry import RULES
from jaxswarm.gossip.robust import ROBUST_RULES
from jaxswarm.gossip.schedules import (
    SCHEDULES,
    CommunicationSchedule,
    communication_schedule,
    random_gossip,
)
from jaxswarm.gossip.sources import Source, current_operator
from jaxswarm.gossip.traffic import Ledger, Traffic, no_traffic, traffic_of
from jaxswarm.gossip.types import (
    FEATURES,
    Exchange,
    GossipTransformation,
    PerReceiverMessages,
    require_support,
)
from jaxswarm.gossip.variance import layer_variance, variance_corrected
from jaxswarm.gossip.wrappers import (
    at_rounds,
    delayed,
    every_k_rounds,
    round_window,
    scheduled,
    with_extras,
)

__all__ = [
    "ATTACKS",
    "COMPRESSORS",
    "FEATURES",
    "LAYOUTS",
    "ROBUST_RULES",
    "RULES",
    "SCHEDULES",
    "Attack",
    "CommunicationSchedule",
    "Compressor",
    "Exchange",
    "GossipTransformation",
    "Ledger",
    "Mixing",
    "PerReceiverMessages",
    "Source",
    "Traffic",
    "at_rounds",
    "attacked",
    "attacked_by_one_of",
    "attacks",
    "averaging",
    "cast",
    "chebyshev",
    "choco",
    "communication_schedule",
    "complete_mean",
    "compressed",
    "current_operator",
    "delayed",
    "delayed_averaging",
    "every_k_rounds",
    "from_matrix",
    "identity",
    "layer_variance",
    "mix",
    "mixing",
    "momentum_averaging",
    "no_traffic",
    "pairwise",
    "push_sum",
    "quantize",
    "random_gossip",
    "random_k",
    "random_neighbors",
    "require_support",
    "robust",
    "round_window",
    "scheduled",
    "server",
    "sign",
    "sybil_attack",
    "top_k",
    "traffic_of",
    "variance_corrected",
    "with_extras",
]
