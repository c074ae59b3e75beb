"""Random walks that rank users and items and bound what Sybils gain.

``walks.rank(network, root)`` ranks items for one root or many (Web3Recommend),
``walks.reputation(graph, root)`` users (MeritRank). Their parts run inside ``jit``:
``item_walks`` and ``trust_walks`` record walks, ``scores`` applies the decays, ``repair_walks``
keeps walks when edges change. ``pagerank`` and ``salsa`` are baselines, ``expected_visits``,
``expected_item_visits`` and ``solved_visits`` the values that walks estimate.
"""

from jaxswarm.trust.walks._exact import (
    expected_item_visits,
    expected_visits,
    pagerank,
    salsa,
    solved_visits,
)
from jaxswarm.trust.walks._rank import FOUND, NO_AFFINITY, NO_TRUST, View, rank, reputation
from jaxswarm.trust.walks._records import item_walks, repair_walks, trust_walks, walk_length
from jaxswarm.trust.walks._scores import bottlenecks, scores, visit_counts

__all__ = [
    "FOUND",
    "NO_AFFINITY",
    "NO_TRUST",
    "View",
    "bottlenecks",
    "expected_item_visits",
    "expected_visits",
    "item_walks",
    "pagerank",
    "rank",
    "repair_walks",
    "reputation",
    "salsa",
    "scores",
    "solved_visits",
    "trust_walks",
    "visit_counts",
    "walk_length",
]
