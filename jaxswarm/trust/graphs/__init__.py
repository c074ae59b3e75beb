"""Graphs of trust and affinity as padded arrays, and Sybil attacks as edits of them.

``weighted_graph`` validates edges on the host; ``trust_network`` joins trust of users in users and
affinity of users to items; ``sybil_attack`` adds chains, stars and cycles of Sybils.
``jaxswarm.trust.walks`` ranks users and items by random walks on them.
"""

from jaxswarm.trust.graphs._attacks import SHAPES, Attacked, sybil_attack
from jaxswarm.trust.graphs._graph import (
    TrustNetwork,
    WeightedGraph,
    decay_weights,
    edge_list,
    edge_weight,
    trust_network,
    update_edges,
    weighted_graph,
)

__all__ = [
    "SHAPES",
    "Attacked",
    "TrustNetwork",
    "WeightedGraph",
    "decay_weights",
    "edge_list",
    "edge_weight",
    "sybil_attack",
    "trust_network",
    "update_edges",
    "weighted_graph",
]
