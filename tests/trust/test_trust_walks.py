"""Laws of random walks on graphs of trust: exact values, decays, Sybil bounds, repair, edges."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from jaxswarm.trust import graphs, walks

KEY = jax.random.key(0)
HONEST, ITEMS = 8, 6
SIZES = {"num_users_total": 16, "num_items_total": 10, "trust_width": 8, "affinity_width": 8}
ALPHA, LENGTH, W = 0.2, 24, 2000
ROOTS = np.array([0, 3], np.int32)
ATTACKER = 2


@functools.cache
def honest():
    rng = np.random.default_rng(1)
    trust = [(i, j) for i in range(HONEST) for j in range(HONEST) if i != j and rng.random() < 0.4]
    trust = sorted({*trust, (0, ATTACKER), (3, ATTACKER)})
    likes = [(i, k) for i in range(HONEST) for k in range(ITEMS) if rng.random() < 0.6]
    likes = sorted({*likes, (0, 0), (0, 1), (3, 0), (ATTACKER, 0), (ATTACKER, 1)})
    return graphs.trust_network(
        graphs.weighted_graph(trust, HONEST, weights=rng.random(len(trust)) + 0.1),
        graphs.weighted_graph(likes, HONEST, ITEMS, weights=rng.random(len(likes)) + 0.1),
    )


@functools.cache
def attacked(shape="chain", num_sybils=3, attackers=(ATTACKER,)):
    """Attacks of all shapes and numbers of Sybils in arrays of one shape."""
    return graphs.sybil_attack(honest(), list(attackers), num_sybils, shape, **SIZES)


def exact(graph, alpha=ALPHA):
    return np.asarray(walks.expected_visits(graph, ROOTS, alpha=alpha, length=LENGTH))


def walked(graph, key=KEY):
    return walks.trust_walks(key, graph, ROOTS, alpha=ALPHA, num_walks=W, length=LENGTH)


@functools.cache
def records():
    return walked(attacked().network.trust)


def few():
    return np.asarray(records())[:, :200]


@functools.cache
def item_records():
    network = attacked().network
    return walks.item_walks(KEY, network, ROOTS, alpha=ALPHA, num_walks=W, length=LENGTH)


def assert_close_to_expected(vertices, expected, offset=0):
    """Mean visits are within 5 standard errors of their expectations."""
    vertices = np.asarray(vertices)
    for record, wanted in zip(vertices, expected, strict=True):
        for vertex, mean in enumerate(wanted):
            visits = (record == vertex + offset).sum(axis=1)
            error = visits.std() / np.sqrt(len(visits))
            assert abs(visits.mean() - mean) <= 5 * error + 2e-3, (vertex, visits.mean(), mean)


def test_visit_frequencies_converge_to_the_power_iteration():
    assert_close_to_expected(records(), exact(attacked().network.trust))


def test_visits_of_items_converge_to_the_chain_on_pairs():
    network = attacked().network
    expected = walks.expected_item_visits(network, ROOTS, alpha=ALPHA, length=LENGTH)
    assert_close_to_expected(item_records(), np.asarray(expected), offset=network.num_users)


def test_power_iteration_is_the_linear_solve_and_networkx_pagerank():
    graph = attacked().network.trust
    solved = walks.solved_visits(graph, ROOTS, alpha=ALPHA)
    long = walks.expected_visits(graph, ROOTS, alpha=ALPHA, length=80)
    np.testing.assert_allclose(long, solved, atol=1e-5)
    edges, weights, _ = graphs.edge_list(graph)
    reference = nx.DiGraph()
    reference.add_nodes_from(range(graph.num_sources))
    reference.add_weighted_edges_from(
        (int(a), int(b), float(w)) for (a, b), w in zip(edges, weights, strict=True)
    )
    found = np.asarray(walks.pagerank(graph, ROOTS, alpha=ALPHA, length=80))
    for row, root in zip(found, ROOTS.tolist(), strict=True):
        oracle = nx.pagerank(reference, alpha=1 - ALPHA, personalization={root: 1.0}, tol=1e-10)
        np.testing.assert_allclose(row, [oracle[v] for v in range(graph.num_sources)], atol=1e-5)


def test_salsa_is_the_linear_solve_on_users_and_items():
    network = attacked().network
    found = walks.salsa(network, ROOTS, restart=0.1, length=120)
    edges, weights, _ = graphs.edge_list(network.affinity)
    matrix = np.zeros((network.num_users, network.num_items))
    matrix[edges[:, 0], edges[:, 1]] = weights
    with np.errstate(invalid="ignore"):
        out = np.nan_to_num(matrix / matrix.sum(axis=1, keepdims=True))
        back = np.nan_to_num(matrix / matrix.sum(axis=0, keepdims=True)).T
    system = np.eye(network.num_users) - 0.9 * (out @ back).T
    users = np.linalg.solve(system, np.eye(network.num_users)[:, ROOTS])
    oracle = (out.T @ users).T
    np.testing.assert_allclose(found, oracle / oracle.sum(axis=1, keepdims=True), atol=1e-5)


def test_item_walks_obey_their_rule():
    network = attacked().network
    users, end = network.num_users, network.num_users + network.num_items
    trust = {tuple(e) for e in graphs.edge_list(network.trust)[0].tolist()}
    likes = {tuple(e) for e in graphs.edge_list(network.affinity)[0].tolist()}
    for walk in np.asarray(item_records())[0, :300].tolist():
        steps = walk[: walk.index(end)] if end in walk else walk
        assert all(v == end for v in walk[len(steps) :])
        for t, vertex in enumerate(steps[1:], 1):
            if t % 2:
                assert (steps[t - 1], vertex - users) in likes
                assert t == 1 or vertex != steps[t - 2]
            else:
                assert (steps[t - 2], vertex) in trust
                assert (vertex, steps[t - 1] - users) in likes


def brute_bottlenecks(record, num_vertices):
    counts, visits = np.zeros((num_vertices, num_vertices)), np.zeros(num_vertices)
    for walk in record.tolist():
        seen = []
        for vertex in walk:
            if vertex < num_vertices and vertex not in seen:
                visits[vertex] += 1
                for earlier in seen:
                    counts[vertex, earlier] += earlier != walk[0]
                seen.append(vertex)
    return counts.max(axis=1) / np.maximum(visits, 1)


def test_bottlenecks_equal_a_count_of_all_pairs():
    found = np.asarray(walks.bottlenecks(few(), 16, references=2))
    many = np.asarray(walks.bottlenecks(few(), 16, references=8))
    for row, some, oracle in zip(
        many, found, (brute_bottlenecks(r, 16) for r in few()), strict=True
    ):
        np.testing.assert_allclose(row[oracle > 0.5], oracle[oracle > 0.5], atol=1e-6)
        assert (some <= oracle + 1e-6).all()
        np.testing.assert_allclose(some[oracle == 1], 1.0)
        assert (oracle == 1).any()


def test_connectivity_decay_only_lowers_scores_and_hits_all_sybils():
    sybils = attacked().sybils
    plain, half, full = (walks.scores(few(), 16, beta=b) for b in (0.0, 0.4, 0.8))
    assert (half <= plain).all()
    assert (full <= half).all()
    ratio = np.asarray(full)[:, sybils] / np.asarray(plain)[:, sybils]
    np.testing.assert_allclose(ratio, 0.2, rtol=1e-5)
    np.testing.assert_allclose(np.sum(plain, axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize("shape", graphs.SHAPES)
def test_the_gain_of_sybils_is_bounded_whatever_their_number(shape):
    """Attackers and Sybils are visited at most ``visits of attackers without Sybils / alpha``."""
    none = exact(attacked(shape, 0).network.trust)
    before = walks.solved_visits(honest().trust, ROOTS, alpha=ALPHA)[:, ATTACKER]
    for count in (1, 3, 8):
        case = attacked(shape, count)
        found = exact(case.network.trust)
        region = found[:, case.sybils | case.attackers].sum(axis=1)
        assert (region <= before / ALPHA + 1e-5).all()
        # What honest users get is what they got from the attacker that has no Sybils.
        others = ~(case.sybils | case.attackers)
        np.testing.assert_allclose(found[:, others], none[:, others], atol=1e-5)
        if shape == "chain":
            steps = sum((1 - ALPHA) ** k for k in range(1, count + 1))
            np.testing.assert_allclose(
                found[:, case.sybils].sum(axis=1), none[:, ATTACKER] * steps, rtol=1e-3
            )


def test_transitivity_decay_lowers_what_sybils_gain():
    case = attacked("chain", 8)
    gains = []
    for alpha in (0.05, 0.2, 0.5):
        visits = exact(case.network.trust, alpha)
        gains.append(visits[:, case.sybils].sum(axis=1) / visits.sum(axis=1))
    assert (gains[1] < gains[0]).all()
    assert (gains[2] < gains[1]).all()


@pytest.mark.parametrize("shape", graphs.SHAPES)
def test_walks_restricted_by_trust_gain_less_than_salsa(shape):
    case = attacked(shape, 8)
    visits = walks.expected_item_visits(case.network, ROOTS, alpha=ALPHA, length=LENGTH)
    shares = np.asarray(visits / visits.sum(axis=1, keepdims=True))[:, case.items].sum(axis=1)
    merged = walks.salsa(case.network, ROOTS, restart=0.1, length=120)
    assert (shares < np.asarray(merged)[:, case.items].sum(axis=1)).all()


def test_an_attacker_that_is_not_trusted_gains_nothing():
    edges, weights, _ = graphs.edge_list(honest().trust)
    distrusted = edges[:, 1] != 5
    trust = graphs.weighted_graph(edges[distrusted], HONEST, weights=weights[distrusted])
    network = graphs.trust_network(trust, honest().affinity)
    case = graphs.sybil_attack(network, [5], 4, "chain", **SIZES)
    visits = walks.expected_item_visits(case.network, ROOTS, alpha=ALPHA, length=LENGTH)
    np.testing.assert_array_equal(np.asarray(visits)[:, case.items], 0.0)
    assert float(walks.salsa(case.network, ROOTS, restart=0.1, length=120)[0, case.items].sum()) > 0


def permuted(network, users, items):
    edges, weights, _ = graphs.edge_list(network.trust)
    trust = graphs.weighted_graph(users[edges], network.num_users, weights=weights, width=8)
    edges, weights, _ = graphs.edge_list(network.affinity)
    moved = np.stack([users[edges[:, 0]], items[edges[:, 1]]], axis=1)
    return graphs.trust_network(
        trust,
        graphs.weighted_graph(
            moved, network.num_users, network.num_items, weights=weights, width=8
        ),
    )


def test_permuting_users_and_items_permutes_results():
    network, rng = attacked().network, np.random.default_rng(2)
    users, items = rng.permutation(16).astype(np.int32), rng.permutation(10)
    other = permuted(network, users, items)
    roots = users[ROOTS]
    found = walks.expected_visits(other.trust, roots, alpha=ALPHA, length=LENGTH)
    np.testing.assert_allclose(found[:, users], exact(network.trust), atol=1e-6)
    for function, rate in (
        (walks.expected_item_visits, {"alpha": ALPHA, "length": LENGTH}),
        (walks.salsa, {"restart": 0.1, "length": 120}),
    ):
        before, after = function(network, ROOTS, **rate), function(other, roots, **rate)
        np.testing.assert_allclose(after[:, items], before, atol=1e-6)
    names = np.append(users, 16)
    renamed = walks.scores(names[few()], 16, beta=0.8)
    kept = walks.scores(few(), 16, beta=0.8)
    np.testing.assert_allclose(renamed[:, users], kept, atol=1e-7)


def test_roots_are_independent():
    graph = attacked().network.trust
    vertices = walks.trust_walks(KEY, graph, ROOTS[::-1], alpha=ALPHA, num_walks=W, length=LENGTH)
    np.testing.assert_array_equal(vertices[::-1], records())


@pytest.mark.slow
def test_compiled_walks_equal_those_of_single_operations():
    network = attacked().network
    for function, graph in ((walks.trust_walks, network.trust), (walks.item_walks, network)):
        compiled = function(KEY, graph, ROOTS, alpha=ALPHA, num_walks=3, length=3)
        with jax.disable_jit():
            eager = function(KEY, graph, ROOTS, alpha=ALPHA, num_walks=3, length=3)
        np.testing.assert_array_equal(compiled, eager)


def test_padding_and_edges_without_weight_have_no_influence():
    graph = attacked().network.trust
    dead = graphs.update_edges(graph, [(0, 15), (3, 14)], [0.0, 0.0], [1, 1])
    assert dead.targets.shape == graph.targets.shape
    np.testing.assert_array_equal(exact(dead), exact(graph))
    assert not np.isin(np.asarray(walked(dead)), [14, 15]).any()


def changed(shape="chain"):
    """The attacked graph after edges of the root and of a dangling Sybil changed."""
    graph = attacked(shape).network.trust
    edges = graphs.edge_list(graph)[0]
    old = [tuple(e) for e in edges.tolist()]
    first = [e for e in old if e[0] == 0]
    grown = (0, next(v for v in range(1, 8) if (0, v) not in old))
    last = int(np.flatnonzero(attacked(shape).sybils)[-1])
    new = [first[0], grown, (last, 5)]
    return graph, graphs.update_edges(graph, new, [0.0, 0.8, 1.0], [1, 1, 1]), (0, last), first[0]


@functools.cache
def repaired():
    old, new, _, _ = changed()
    return walks.repair_walks(jax.random.key(7), records(), old, new, alpha=ALPHA)


def test_repaired_walks_are_distributed_as_walks_on_the_new_graph():
    _, new, _, removed = changed()
    kept, rerouted = repaired()
    assert_close_to_expected(kept, exact(new))
    # Also in their second order: how often an edge is taken.
    kept, fresh = np.asarray(kept), np.asarray(walked(new, jax.random.key(8)))
    for edge in [(0, ATTACKER), (ATTACKER, 8), (10, 5)]:
        taken = [
            ((r[:, :, :-1] == edge[0]) & (r[:, :, 1:] == edge[1])).sum(-1) for r in (kept, fresh)
        ]
        spread = np.sqrt(sum(t.var(axis=1) for t in taken) / W)
        assert (abs(taken[0].mean(axis=1) - taken[1].mean(axis=1)) <= 5 * spread + 2e-3).all()
    assert not ((kept[:, :, :-1] == removed[0]) & (kept[:, :, 1:] == removed[1])).any()
    assert 0 < float(rerouted.mean()) < 1


def test_walks_that_meet_no_changed_vertex_stay_and_few_are_rerouted():
    old, _, touched, _ = changed()
    kept, rerouted = repaired()
    before, rerouted = np.asarray(records()), np.asarray(rerouted)
    meets = np.isin(before[:, :, :-1], touched).any(axis=-1)
    assert not rerouted[~meets].any()
    np.testing.assert_array_equal(np.asarray(kept)[~rerouted], before[~rerouted])
    same, none = walks.repair_walks(jax.random.key(7), records(), old, old, alpha=ALPHA)
    np.testing.assert_array_equal(same, before)
    assert not np.asarray(none).any()


def test_a_dangling_root_one_user_and_walks_that_stop_at_once():
    lonely = graphs.weighted_graph([], 1)
    vertices = walks.trust_walks(KEY, lonely, [0], alpha=0.5, num_walks=3, length=2)
    np.testing.assert_array_equal(vertices, np.full((1, 3, 3), [0, 1, 1]))
    np.testing.assert_array_equal(walks.scores(vertices, 1), [[0.0]])
    np.testing.assert_array_equal(walks.pagerank(lonely, [0], alpha=0.5), [[1.0]])
    np.testing.assert_array_equal(walks.solved_visits(lonely, [0], alpha=0.5), [[1.0]])
    graph = attacked().network.trust
    stopped = walks.trust_walks(KEY, graph, ROOTS, alpha=1.0, num_walks=W, length=LENGTH)
    assert (np.asarray(stopped)[:, :, 1:] == 16).all()
    view = walks.reputation(lonely, 0, alpha=0.5, beta=0.0, num_walks=3, length=2)
    assert (view.reason, view.scores.tolist()) == (walks.NO_TRUST, [0.0])


def test_rank_gives_reasons_and_explores():
    network = attacked().network
    rank = functools.partial(walks.rank, alpha=ALPHA, num_walks=200, length=LENGTH)
    view = rank(network, [0, 15])
    assert view.reason == ("", walks.NO_TRUST)
    assert view.scores.shape == view.order.shape == (2, 10)
    np.testing.assert_array_equal(view.scores[1], 0.0)
    np.testing.assert_array_equal(view.order[1], np.arange(10))
    assert (np.diff(np.asarray(view.scores[0])[view.order[0]]) <= 0).all()
    liked = graphs.update_edges(network.trust, [(15, 0)], [1.0], [1])
    assert rank(replace(network, trust=liked), [0, 15], beta=0.0).reason == ("", walks.NO_AFFINITY)
    explored = rank(network, [0, 15], exploration=0.5)
    assert (explored.scores[0] != view.scores[0]).any()
    visits = walks.expected_item_visits(network, ROOTS, alpha=ALPHA, length=LENGTH)
    plain = rank(network, ROOTS, beta=0.0).scores
    np.testing.assert_allclose(plain, visits / visits.sum(axis=1, keepdims=True), atol=0.1)


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


PAIRS = [(0, 1), (1, 2)]
LINE = graphs.weighted_graph(PAIRS, 3, times=[4, 4])
LIKES = graphs.weighted_graph([(0, 0), (1, 0)], 3, 2)
NET = graphs.trust_network(LINE, LIKES)
NAN = float("nan")
VISITS = np.zeros((1, 2, 3), np.int32)
VIEWS = graphs.own_edges(LINE, 2)
REFUSED = [
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


def test_a_traced_network_gives_no_reason():
    found = jax.jit(
        lambda trust: (
            walks.rank(
                replace(NET, trust=trust), 0, alpha=0.5, beta=0.0, num_walks=2, length=2
            ).scores
        )
    )(jax.tree.map(jnp.asarray, LINE))
    assert found.shape == (2,)
