"""Laws of graphs of trust: attacks, decay, gossip of edges and views."""

import jax
import numpy as np
from sybil_networks import ATTACKER, attacked, honest

from jaxswarm.trust import graphs

KEY = jax.random.key(0)


def test_attacks_leave_their_network_and_can_hide():
    before = graphs.edge_list(honest().trust)
    case = graphs.sybil_attack(
        honest(), [ATTACKER, 4], 3, "star", camouflage=2, popular=3, cut_trust=False
    )
    for a, b in zip(before, graphs.edge_list(honest().trust), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (case.attackers.sum(), case.sybils.sum(), case.items.sum()) == (2, 6, 3)
    edges = graphs.edge_list(case.network.affinity)[0]
    rated = edges[np.isin(edges[:, 0], np.flatnonzero(case.sybils))]
    assert len(rated) == 6 * (3 + 2)
    assert len(graphs.edge_list(case.network.trust)[0]) == len(before[0]) + 6
    covers = rated[~case.items[rated[:, 1]], 1]
    assert len(np.unique(covers)) <= 3


def test_sybils_can_have_affinities_of_their_own():
    case = graphs.sybil_attack(honest(), [ATTACKER], 2, affinity=0.25, sybil_affinity=0.5)
    edges, weights, _ = graphs.edge_list(case.network.affinity)
    promoted = case.items[edges[:, 1]]
    np.testing.assert_array_equal(weights[promoted & (edges[:, 0] == ATTACKER)], 0.25)
    np.testing.assert_array_equal(weights[promoted & case.sybils[edges[:, 0]]], 0.5)


def slow_similarity(a, b, least, mix):
    """Similarity of two users' affinities ``{item: weight}``, item by item."""
    common = sorted(set(a) & set(b))
    if len(common) < least:
        return 0.0
    x = np.array([a[item] / max(a.values()) for item in common])
    y = np.array([b[item] / max(b.values()) for item in common])
    known = min(x.std(), y.std()) > 1e-6
    correlation = np.corrcoef(x, y)[0, 1] if known else 0.0
    apart = np.sqrt(np.mean((x - y) ** 2))
    return (
        len(common)
        / (len(common) + least)
        * (mix * (1 + correlation) / 2 + (1 - mix) * (1 - apart))
    )


def test_users_trust_the_most_similar_users_and_equal_a_slow_oracle():
    rng = np.random.default_rng(0)
    rated = {(int(u), int(i)): 1.0 + rng.random() for u, i in rng.integers(0, [9, 7], (40, 2))}
    affinity = graphs.weighted_graph(list(rated), 9, 7, weights=list(rated.values()))
    found = graphs.similar_users(affinity, 3, min_common=2, mix=0.3)
    own = [{i: w for (v, i), w in rated.items() if v == u} for u in range(9)]
    for u in range(9):
        expected = [slow_similarity(own[u], own[v], 2, 0.3) if u != v else 0.0 for v in range(9)]
        best = sorted(range(9), key=lambda v: (-expected[v], v))[:3]
        best = sorted(v for v in best if expected[v] > 0)
        real = found.weights[u] > 0
        assert found.targets[u][real].tolist() == best
        np.testing.assert_allclose(found.weights[u][real], [expected[v] for v in best], rtol=1e-5)


def test_epoch_decay_and_lookup_of_edges():
    graph = graphs.weighted_graph([(0, 1), (0, 2), (2, 1)], 4, weights=[1, 2, 4], times=[0, 3, 9])
    aged = graphs.decay_weights(graph, now=5, gamma=0.5)
    np.testing.assert_allclose(
        graphs.edge_weight(aged, np.array([0, 0, 2, 1, 0]), np.array([1, 2, 1, 0, 3])),
        [1 / 32, 2 / 4, 4, 0, 0],
    )
    np.testing.assert_array_equal(graphs.decay_weights(graph, 5, 0.0).weights, graph.weights)


def gossiped(capacity, rounds):
    """Views of all users after rounds of gossip with random partners."""
    partners = np.random.default_rng(0).integers(0, 16, (rounds, 16)).astype(np.int32)
    views = graphs.own_edges(attacked().network.trust, capacity)
    for t in range(rounds):
        key = jax.random.key(t)
        views = graphs.gossip_edges(key, views, partners[t], num_edges=4)
    return views


def test_views_differ_and_converge_to_the_graph():
    graph = attacked().network.trust
    edges = graphs.edge_list(graph)[0]
    early, late = gossiped(64, 6), gossiped(64, 200)
    seen = [graphs.view_graph(early, node, like=graph) for node in range(16)]
    known = [{tuple(e) for e in graphs.edge_list(view)[0].tolist()} for view, _ in seen]
    everything = {tuple(e) for e in edges.tolist()}
    assert all(part <= everything for part in known)
    assert len({frozenset(part) for part in known}) > 8
    for node in range(16):
        assert {e for e in everything if e[0] == node} <= known[node]
        view, dropped = graphs.view_graph(late, node, like=graph)
        assert int(dropped) == 0
        jax.tree.map(np.testing.assert_array_equal, view, graph)


def test_views_keep_newer_edges_and_bounded_memory():
    pairs = graphs.weighted_graph([(0, 1), (1, 0)], 16, weights=[1.0, 2.0], times=[3, 3], width=8)
    views = jax.tree.map(np.array, graphs.own_edges(pairs, 8))
    views.source[1, 1], views.target[1, 1], views.weight[1, 1] = 0, 1, 9.0
    for time, weight in ((5, 9.0), (3, 1.0), (2, 1.0)):  # a newer edge replaces, others do not
        views.time[1, 1] = time
        found = graphs.gossip_edges(KEY, views, np.full(16, 1, np.int32), num_edges=4)
        view = graphs.view_graph(found, 0, like=pairs)[0]
        np.testing.assert_array_equal(graphs.edge_list(view)[1], [weight, 2.0])
    small = gossiped(8, 6)
    assert small.time.shape == (16, 8)
    full = np.asarray(small.time >= 0).sum(axis=1)
    assert full.max() == 8
    narrow = graphs.weighted_graph([], 16, width=1)
    view, dropped = graphs.view_graph(small, 0, like=narrow)
    assert int(dropped) + len(graphs.edge_list(view)[0]) == full[0]


def test_trust_grows_with_the_affinity_of_those_trusted():
    trust = graphs.weighted_graph([(0, 1), (0, 2), (1, 0)], 3, weights=[0.5, 0.5, 1.0])
    likes = graphs.weighted_graph([(0, 0), (1, 0), (1, 1)], 3, 2, weights=[1.0, 0.4, 0.6])
    network = graphs.trust_network(trust, likes)
    np.testing.assert_allclose(
        graphs.reinforce_trust(network, 0, 0, 0.5).weights, [[0.7, 0.5], [1, 0], [0, 0]]
    )
    np.testing.assert_allclose(graphs.reinforce_trust(network, 0, 0, -9.0).weights[0], [0, 0.5])
