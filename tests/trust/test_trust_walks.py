"""Laws of random walks on graphs of trust: exact values, decays, Sybil bounds, repair."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from sybil_networks import ATTACKER, HONEST, SIZES, attacked, honest

from jaxswarm import checks
from jaxswarm.trust import graphs, walks
from jaxswarm.trust.walks import _exact
from jaxswarm.trust.walks._scores import _sorted

KEY = jax.random.key(0)
ALPHA, LENGTH, W = 0.2, 24, 2000
ROOTS = np.array([0, 3], np.int32)


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


@pytest.mark.parametrize("dense", [_exact.DENSE, 0], ids=["dense", "sparse"])
def test_salsa_is_the_linear_solve_on_users_and_items(dense, monkeypatch):
    monkeypatch.setattr(_exact, "DENSE", dense)
    _exact._salsa.clear_cache()
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


def test_walks_of_a_root_depend_on_no_other_root_and_have_their_own_alpha():
    network, alphas = attacked().network, [ALPHA, 0.0]
    found = walks.item_walks(
        KEY, network, [ROOTS[0], ROOTS[0]], alpha=np.array(alphas), num_walks=200, length=LENGTH
    )
    np.testing.assert_array_equal(found[0], np.asarray(item_records())[0, :200])
    decayed, endless = (np.asarray(found) < network.num_users + network.num_items).sum(axis=(1, 2))
    assert endless > decayed


def test_large_and_small_networks_sort_visits_alike():
    record = np.array([[2, 0, 2, 1, 3, 3], [1, 1, 0, 3, 3, 3]], np.int32)
    for found, wanted in zip(_sorted(record, 3), _sorted(record, checks.LARGEST), strict=True):
        np.testing.assert_array_equal(found, wanted)


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


@pytest.mark.slow
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
    # And back: the last Sybil has no edge again, the removed one returns.
    old = changed()[0]
    back, _ = walks.repair_walks(jax.random.key(9), repaired()[0], new, old, alpha=ALPHA)
    assert_close_to_expected(back, exact(old))


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


@pytest.mark.slow
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


def test_a_traced_network_gives_no_reason():
    network = attacked().network

    def found(trust):
        traced = replace(network, trust=trust)
        view = walks.rank(traced, 0, alpha=0.5, beta=0.0, num_walks=2, length=2)
        assert view.reason is None
        return view.scores

    assert jax.eval_shape(found, jax.tree.map(jnp.asarray, network.trust)).shape == (10,)
