"""Graphs of trust and affinity as padded arrays, and Sybil attacks as edits of them.

``weighted_graph`` validates edges on the host; ``trust_network`` joins trust of users in users and
affinity of users to items; ``similar_users`` derives trust from affinity; ``sybil_attack`` adds
chains, stars and cycles of Sybils.
``own_edges``, ``gossip_edges`` and ``view_graph`` give each node a view of its own.
``jaxswarm.trust.walks`` ranks users and items by random walks on them.
"""

from jaxswarm.trust.graphs._attacks import SHAPES, Attacked, sybil_attack
from jaxswarm.trust.graphs._graph import (
    TrustNetwork,
    WeightedGraph,
    decay_weights,
    edge_list,
    edge_weight,
    reinforce_trust,
    trust_network,
    update_edges,
    weighted_graph,
)
from jaxswarm.trust.graphs._similarity import similar_users
from jaxswarm.trust.graphs._views import Views, gossip_edges, own_edges, view_graph

__all__ = [
    "SHAPES",
    "Attacked",
    "TrustNetwork",
    "Views",
    "WeightedGraph",
    "decay_weights",
    "edge_list",
    "edge_weight",
    "gossip_edges",
    "own_edges",
    "reinforce_trust",
    "similar_users",
    "sybil_attack",
    "trust_network",
    "update_edges",
    "view_graph",
    "weighted_graph",
]
