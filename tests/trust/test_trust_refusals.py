"""Wrong arguments of graphs of trust and of walks meet an error that names the argument."""

import jax
import numpy as np
import pytest
from sybil_networks import attacked

from jaxswarm.trust import graphs, walks

KEY = jax.random.key(0)
PAIRS = [(0, 1), (1, 2)]
LINE = graphs.weighted_graph(PAIRS, 3, times=[4, 4])
LIKES = graphs.weighted_graph([(0, 0), (1, 0)], 3, 2)
NET = graphs.trust_network(LINE, LIKES)
NAN = float("nan")
VISITS = np.zeros((1, 2, 3), np.int32)
VIEWS = graphs.own_edges(LINE, 2)
REFUSED = [
    (graphs.reinforce_trust, {"network": NET, "user": 3, "item": 0, "change": 0.1}, "user"),
    (graphs.reinforce_trust, {"network": NET, "user": 0, "item": 2, "change": 0.1}, "item"),
    (graphs.reinforce_trust, {"network": NET, "user": 0, "item": 0, "change": NAN}, "change"),
    (graphs.similar_users, {"affinity": LINE}, "affinity"),
    (graphs.similar_users, {"affinity": LIKES, "count": 0}, "count"),
    (graphs.similar_users, {"affinity": LIKES, "min_common": 0}, "min_common"),
    (graphs.similar_users, {"affinity": LIKES, "mix": 1.5}, "mix"),
    (
        graphs.sybil_attack,
        {"network": NET, "attackers": [1], "num_sybils": 1, "sybil_affinity": 0.0},
        "sybil_affinity",
    ),
    (graphs.own_edges, {"graph": LINE, "capacity": 0}, "capacity"),
    (graphs.own_edges, {"graph": attacked().network.trust, "capacity": 1}, "capacity"),
    (graphs.gossip_edges, {"key": KEY, "views": LINE, "partners": [0, 0, 0]}, "views"),
    (graphs.gossip_edges, {"key": KEY, "views": VIEWS, "partners": [0, 0, 3]}, "partners"),
    (
        graphs.gossip_edges,
        {"key": KEY, "views": VIEWS, "partners": [0, 0, 0], "num_edges": 3},
        "num_edges",
    ),
    (graphs.view_graph, {"views": VIEWS, "node": 3, "like": LINE}, "node"),
    (graphs.weighted_graph, {"edges": [(1, 1)], "num_sources": 3}, "edges.*oneself"),
    (graphs.weighted_graph, {"edges": [(0, 1), (0, 1)], "num_sources": 3}, "edges.*duplicate"),
    (graphs.weighted_graph, {"edges": [(0, 3)], "num_sources": 3}, "edges.*target"),
    (graphs.weighted_graph, {"edges": [(-1, 0)], "num_sources": 3}, "edges.*source"),
    (graphs.weighted_graph, {"edges": [(0.5, 1)], "num_sources": 3}, "edges"),
    (graphs.weighted_graph, {"edges": [0, 1], "num_sources": 3}, "edges"),
    (graphs.weighted_graph, {"edges": PAIRS, "num_sources": 0}, "num_sources"),
    (graphs.weighted_graph, {"edges": PAIRS, "num_sources": 3, "num_targets": 0}, "num_targets"),
    (graphs.weighted_graph, {"edges": PAIRS, "num_sources": 3, "weights": [1, -1]}, "weights"),
    (graphs.weighted_graph, {"edges": PAIRS, "num_sources": 3, "weights": [1, NAN]}, "weights"),
    (graphs.weighted_graph, {"edges": PAIRS, "num_sources": 3, "weights": [1]}, "weights"),
    (graphs.weighted_graph, {"edges": PAIRS, "num_sources": 3, "times": [-1, 0]}, "times"),
    (graphs.weighted_graph, {"edges": [(0, 1), (0, 2)], "num_sources": 3, "width": 1}, "width"),
    (graphs.trust_network, {"trust": LIKES, "affinity": LIKES}, "trust"),
    (graphs.trust_network, {"trust": LINE, "affinity": LINE}, "affinity"),
    (
        graphs.trust_network,
        {"trust": LINE, "affinity": graphs.weighted_graph([], 4, 2)},
        "affinity.*3 users",
    ),
    (graphs.trust_network, {"trust": None, "affinity": LIKES}, "trust"),
    (
        graphs.update_edges,
        {"graph": LINE, "edges": [(0, 1)], "weights": [2.0], "times": [3]},
        "times.*stored at 4",
    ),
    (
        graphs.update_edges,
        {"graph": LINE, "edges": [(2, 2)], "weights": [2.0], "times": [5]},
        "oneself",
    ),
    (graphs.decay_weights, {"graph": LINE, "now": 1, "gamma": 1.5}, "gamma"),
    (graphs.decay_weights, {"graph": LINE, "now": -1, "gamma": 0.5}, "now"),
    (graphs.edge_weight, {"graph": LINE, "source": [3], "target": [0]}, "source"),
    (graphs.edge_list, {"graph": 3}, "graph"),
    (graphs.sybil_attack, {"network": NET, "attackers": [3], "num_sybils": 1}, "attackers"),
    (graphs.sybil_attack, {"network": NET, "attackers": [1, 1], "num_sybils": 1}, "attackers"),
    (graphs.sybil_attack, {"network": NET, "attackers": [], "num_sybils": 1}, "attackers"),
    (graphs.sybil_attack, {"network": NET, "attackers": [1], "num_sybils": -1}, "num_sybils"),
    (
        graphs.sybil_attack,
        {"network": NET, "attackers": [1], "num_sybils": 1, "shape": "chian"},
        "did you mean",
    ),
    (
        graphs.sybil_attack,
        {"network": NET, "attackers": [1], "num_sybils": 1, "camouflage": 3},
        "camouflage",
    ),
    (
        graphs.sybil_attack,
        {"network": NET, "attackers": [1], "num_sybils": 4, "num_users_total": 6},
        "num_users_total",
    ),
    (walks.walk_length, {"alpha": 0.0}, "alpha"),
    (walks.trust_walks, {"key": 0, "graph": LINE, "roots": [0]}, "key"),
    (walks.trust_walks, {"key": KEY, "graph": LIKES, "roots": [0]}, "graph"),
    (walks.trust_walks, {"key": KEY, "graph": LINE, "roots": [3]}, "roots"),
    (walks.trust_walks, {"key": KEY, "graph": LINE, "roots": [0], "alpha": 0.0}, "alpha=0"),
    (walks.trust_walks, {"key": KEY, "graph": LINE, "roots": [0], "alpha": 1.1}, "alpha"),
    (walks.trust_walks, {"key": KEY, "graph": LINE, "roots": [0], "num_walks": 0}, "num_walks"),
    (walks.trust_walks, {"key": KEY, "graph": LINE, "roots": [0], "length": 0}, "length"),
    (walks.item_walks, {"key": KEY, "network": LINE, "roots": [0]}, "network"),
    (walks.item_walks, {"key": KEY, "network": NET, "roots": [-1]}, "roots"),
    (
        walks.item_walks,
        {"key": KEY, "network": NET, "roots": [0], "alpha": np.zeros(2), "length": 3},
        "alpha",
    ),
    (walks.pagerank, {"graph": LINE, "roots": [0], "alpha": 0.0}, "alpha"),
    (walks.solved_visits, {"graph": LINE, "roots": [0], "alpha": 0.0}, "alpha"),
    (walks.salsa, {"network": NET, "roots": [0], "restart": 0.0}, "restart"),
    (walks.expected_visits, {"graph": LINE, "roots": [9]}, "roots"),
    (walks.expected_item_visits, {"network": NET, "roots": [0], "alpha": NAN}, "alpha"),
    (walks.visit_counts, {"vertices": VISITS + 9, "num_vertices": 3}, "vertices"),
    (walks.visit_counts, {"vertices": VISITS[0], "num_vertices": 3}, "vertices"),
    (walks.bottlenecks, {"vertices": VISITS, "num_vertices": 3, "references": 0}, "references"),
    (walks.scores, {"vertices": VISITS, "num_vertices": 3, "beta": 1.1}, "beta"),
    (walks.scores, {"vertices": VISITS, "num_vertices": 3, "threshold": -0.1}, "threshold"),
    (walks.scores, {"vertices": VISITS, "num_vertices": 3, "targets": [True]}, "targets"),
    (
        walks.repair_walks,
        {"key": KEY, "vertices": VISITS, "old": LINE, "new": graphs.weighted_graph([], 4)},
        "new",
    ),
    (walks.repair_walks, {"key": KEY, "vertices": VISITS[0], "old": LINE, "new": LINE}, "vertices"),
    (walks.rank, {"network": NET, "root": 3}, "root"),
    (walks.rank, {"network": NET, "root": 0.5}, "root"),
    (walks.rank, {"network": NET, "root": 0, "alpha": -0.1}, "alpha"),
    (walks.rank, {"network": NET, "root": 0, "alpha": 0.0}, "length"),
    (walks.rank, {"network": NET, "root": 0, "beta": 1.1, "num_walks": 2, "length": 2}, "beta"),
    (walks.rank, {"network": NET, "root": 0, "exploration": 2.0}, "exploration"),
    (walks.rank, {"network": NET, "root": 0, "key": 3}, "key"),
    (walks.reputation, {"graph": NET, "root": 0}, "graph"),
]


@pytest.mark.parametrize(("function", "arguments", "words"), REFUSED)
def test_wrong_arguments_are_named(function, arguments, words):
    with pytest.raises(ValueError, match=words):
        function(**arguments)


def test_every_public_function_has_a_refusal():
    tried = {function.__name__ for function, _, _ in REFUSED}
    public = {
        name
        for module in (graphs, walks)
        for name in module.__all__
        if callable(getattr(module, name)) and name.islower()
    }
    assert public == tried
