"""Averaging and aggregation steps on a topology: “optax for gossip”.

A rule is a :class:`GossipTransformation`, a pair of pure functions ``(init, mix)``. Rules close
over a mixing operator ``W = mixing(topology)``, a sequence of them, or a function that draws one
each round; wrappers take a rule and return a rule. Every ``mix`` counts its messages and bytes.

* operators: :func:`mixing`, :func:`from_matrix`, :func:`everyone`, :func:`mix`
* rules: :func:`averaging`, :func:`chebyshev`, :func:`memory`, :func:`pairwise`, :func:`push_sum`,
  :func:`variance_corrected`, :func:`server`, :func:`none`
* rules for links of different delay, :func:`delayed_averaging`, and against attackers:
  :mod:`~jaxswarm.gossip.robust`
* wrappers: :func:`scheduled`, :func:`delayed`, :func:`compressed`, and :func:`attacked` of
  :mod:`~jaxswarm.gossip.attacks`
"""

from jaxswarm.gossip import attacks, robust
from jaxswarm.gossip._averaging import averaging, chebyshev, memory, none, second_eigenvalue, server
from jaxswarm.gossip._delayed_averaging import delayed_averaging
from jaxswarm.gossip._mixing import LAYOUTS, everyone, from_matrix, mix, mixing
from jaxswarm.gossip._operator import Mixing
from jaxswarm.gossip._push_sum import push_sum
from jaxswarm.gossip.attacks import ATTACKS, Attack, attacked, attacked_by_one_of
from jaxswarm.gossip.compression import (
    COMPRESSORS,
    Compressor,
    cast,
    compressed,
    quantize,
    random_k,
    sign,
    top_k,
)
from jaxswarm.gossip.fang import fang_krum, fang_trimmed_mean
from jaxswarm.gossip.ledger import Ledger
from jaxswarm.gossip.random import pairwise, random_neighbors
from jaxswarm.gossip.robust import RULES
from jaxswarm.gossip.rounds import Source, operator
from jaxswarm.gossip.schedules import (
    SCHEDULES,
    CommunicationSchedule,
    communication_schedule,
    random_gossip,
)
from jaxswarm.gossip.sybils import one_attacker
from jaxswarm.gossip.types import Exchange, Forged, GossipTransformation, Traffic, no_traffic
from jaxswarm.gossip.variance import layer_variance, variance_corrected
from jaxswarm.gossip.wrappers import at, delayed, every, informed, scheduled, window

__all__ = [
    "ATTACKS",
    "COMPRESSORS",
    "LAYOUTS",
    "Ledger",
    "SCHEDULES",
    "RULES",
    "Attack",
    "CommunicationSchedule",
    "Compressor",
    "Forged",
    "GossipTransformation",
    "Mixing",
    "Exchange",
    "Source",
    "Traffic",
    "at",
    "attacked",
    "attacked_by_one_of",
    "attacks",
    "averaging",
    "cast",
    "chebyshev",
    "communication_schedule",
    "compressed",
    "delayed",
    "delayed_averaging",
    "every",
    "everyone",
    "fang_krum",
    "fang_trimmed_mean",
    "from_matrix",
    "informed",
    "layer_variance",
    "memory",
    "mix",
    "mixing",
    "no_traffic",
    "none",
    "one_attacker",
    "operator",
    "pairwise",
    "push_sum",
    "quantize",
    "random_gossip",
    "random_k",
    "random_neighbors",
    "robust",
    "scheduled",
    "second_eigenvalue",
    "server",
    "sign",
    "top_k",
    "variance_corrected",
    "window",
]
