import subprocess
import sys

import jax
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import topology as tp


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.floats(0, 1), st.integers(0, 5), st.booleans())
def test_networkx_round_trip(n, p, seed, directed):
    graph = nx.gnp_random_graph(n, p, seed=seed, directed=directed)
    topology = tp.from_networkx(graph)
    back = tp.to_networkx(topology)
    assert set(back.nodes) == set(graph.nodes)
    assert set(back.to_directed().edges) == set(graph.to_directed().edges)
    assert tp.is_symmetric(topology) or directed
    if n > 1:
        connected = nx.is_strongly_connected(graph) if directed else nx.is_connected(graph)
        assert tp.is_connected(topology) == connected


def test_any_labels_in_order():
    graph = nx.Graph([("b", "a"), ("a", (1, 2))])
    topology = tp.from_networkx(graph)
    assert topology.adjacency().tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]


def test_direction_and_weights():
    graph = nx.DiGraph()
    graph.add_edge(0, 1, w=0.25)
    graph.add_edge(2, 1, w=0.5)
    topology, weights = tp.from_networkx(graph, weight="w")
    assert topology.receivers.tolist() == [1, 1]
    dense = tp.weights.dense(topology, weights)
    np.testing.assert_allclose(dense, [[1, 0, 0], [0.25, 0.25, 0.5], [0, 0, 1]])
    back = tp.to_networkx(topology, weights=weights)
    assert back[0][1]["weight"] == 0.25
    undirected = nx.path_graph(3)
    nx.set_edge_attributes(undirected, {(0, 1): 0.3, (1, 2): 0.2}, "weight")
    topology, weights = tp.from_networkx(undirected, weight="weight")
    back = tp.to_networkx(topology, weights=weights)
    assert not back.is_directed()
    assert back[2][1]["weight"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (nx.Graph(), "empty graph"),
        (nx.MultiGraph([(0, 1)]), "got a MultiGraph"),
        (nx.Graph([(0, 1), ("x", "x")]), "self-loops, got one at node 'x'"),
    ],
)
def test_bad_networkx_graphs(graph, message):
    with pytest.raises(ValueError, match=message):
        tp.from_networkx(graph)


def test_missing_weight_and_sequences_are_refused():
    with pytest.raises(ValueError, match=r"edge \(0, 1\) has no attribute 'w'"):
        tp.from_networkx(nx.path_graph(2), weight="w")
    with pytest.raises(ValueError, match="got a sequence"):
        tp.to_networkx(tp.one_peer_exponential(4))
    with pytest.raises(ValueError, match=r"weights: expected shape \[8\], got \[3\]"):
        tp.to_networkx(tp.ring(4), weights=np.ones(3))


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([(0, 3)], r"expected agent ids in \[0, 3\), got edge \(0, 3\)"),
        ([(1, 1)], r"self-loop \(1, 1\)"),
        ([(0, 1), (1, 0)], "duplicate edge"),
        ([(0.5, 1)], "non-integer"),
        ([(float("nan"), 1)], "non-integer"),
        (np.zeros((2, 3), int), r"expected shape \[E, 2\], got \[2, 3\]"),
    ],
)
def test_bad_edges(edges, message):
    with pytest.raises(ValueError, match=message):
        tp.from_edges(edges, 3)
    with pytest.raises(ValueError, match="num_agents"):
        tp.from_edges([], 0)


def test_components_are_named():
    graph = tp.from_edges([(0, 1), (1, 2), (3, 4)], 6)
    with pytest.raises(ValueError, match="6 agents, got 3 components of sizes 3, 2, 1"):
        tp.require_connected(graph)
    one_way = tp.from_edges([(0, 1)], 2, directed=True)
    with pytest.raises(ValueError, match="2 strongly connected components of sizes 1, 1"):
        tp.require_connected(one_way)
    with pytest.raises(ValueError, match=r"test expects an undirected graph, got edge \(0, 1\)"):
        tp.require_symmetric(one_way, "test")
    with pytest.raises(ValueError, match="expected concrete arrays"):
        jax.jit(tp.is_connected)(graph)


def test_predicates():
    assert tp.is_regular(tp.directed_ring(4))
    assert not tp.is_symmetric(tp.directed_ring(4))
    assert tp.is_balanced(tp.star(4))
    assert not tp.is_regular(tp.star(4))
    assert not tp.is_balanced(tp.from_edges([(0, 1)], 2, directed=True))


def test_reverse_slots_are_an_involution():
    graph = tp.stack([tp.star(5), tp.grid(5, 1), tp.complete(5)])
    back = np.asarray(tp.reverse_slots(graph))
    for t in range(3):
        real = graph.mask[t]
        np.testing.assert_array_equal(graph.senders[t][back[t]][real], graph.receivers[t][real])
        np.testing.assert_array_equal(back[t][back[t]], np.arange(graph.num_edge_slots))


def test_one_peer_exponential_averages_exactly():
    for n in (2, 8, 32):
        sequence = tp.one_peer_exponential(n)
        weights = tp.weights.metropolis(sequence)
        np.testing.assert_allclose(weights, 0.5)
        product = np.eye(n)
        for matrix in np.asarray(tp.weights.dense(sequence, weights)):
            np.testing.assert_allclose(matrix.sum(0), 1)
            np.testing.assert_allclose(matrix.sum(1), 1)
            product = matrix @ product
        np.testing.assert_allclose(product, np.full((n, n), 1 / n), atol=1e-7)
    assert tp.one_peer_exponential(6).length == 3
    assert tp.one_peer_exponential(1).length == 1


@pytest.mark.parametrize("n", [1, 2, 7, 10])
def test_matchings_pair_everyone_once(n):
    sequence = tp.random_matching(n, 20, seed=4)
    assert sequence.length == 20
    assert np.all(np.diff(sequence.receivers, axis=1) > 0)
    assert np.asarray(sequence.in_degrees()).sum(axis=1).tolist() == [n // 2 * 2] * 20
    assert tp.is_symmetric(sequence)
    if n > 1:  # every pair is equally likely
        counts = np.asarray(tp.random_matching(n, 4000).adjacency()).mean(axis=0)
        chance = (n // 2) / (n * (n - 1) / 2)
        off = counts[~np.eye(n, dtype=bool)]
        assert np.abs(off - chance).max() < 5 * np.sqrt(chance / 4000)


def test_resampled_graphs_stay_for_a_while():
    sequence = tp.resampled_random_regular(12, 3, rounds=7, every=3, seed=1)
    assert sequence.length == 7
    assert np.all(np.asarray(sequence.in_degrees()) == 3)
    assert np.array_equal(sequence[0].senders, sequence[2].senders)
    assert not np.array_equal(sequence[2].senders, sequence[3].senders)
    small_world = tp.rewired_watts_strogatz(12, 4, 0.5, rounds=4, every=2)
    assert all(tp.is_connected(small_world[t]) for t in range(4))
    with pytest.raises(ValueError, match="every: expected"):
        tp.resampled_random_regular(12, 3, rounds=7, every=0)


def test_stack_pads():
    batch = tp.stack([tp.star(5), tp.complete(5)])
    assert batch.mask.sum(axis=1).tolist() == [8, 20]
    np.testing.assert_array_equal(batch.adjacency()[0], tp.star(5).adjacency())
    np.testing.assert_array_equal(batch.in_degrees()[0], tp.star(5).in_degrees())
    assert tp.stack([tp.ring(5), tp.ring(5)]).offsets == (1, 4)
    for bad, message in [
        ([], "at least 1"),
        ([tp.ring(4), tp.ring(5)], r"topologies\[1\]: expected 4 agents, got 5"),
        ([batch], "got a sequence"),
    ]:
        with pytest.raises(ValueError, match=message):
            tp.stack(bad)


def test_import_is_light():
    code = "import sys, jaxswarm.topology; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"networkx", "scipy.sparse.csgraph", "optax", "flax", "matplotlib", "sklearn"}
    assert not heavy & set(loaded.stdout.split())
