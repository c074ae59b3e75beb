"""The partitioner: valid, balanced, never worse than the given order, good where known."""

import sys

import jax
import networkx as nx
import numpy as np
import pytest
from scipy.sparse import csr_matrix

from jaxswarm import gossip, sharding, topology
from jaxswarm.sharding import _metis

GRAPHS = {
    "geometric": lambda: topology.random_geometric(96, 0.25, seed=3),
    "small_world": lambda: topology.watts_strogatz(96, 4, 0.1, seed=0),
    "scale_free": lambda: topology.barabasi_albert(96, 2, seed=0),
    "ring": lambda: topology.ring(96),
}


def shuffled(graph, seed=0):
    return sharding.relabel(graph, np.random.default_rng(seed).permutation(graph.num_agents))


@pytest.fixture(params=["metis", "bisection"])
def method(request):
    if request.param == "metis":
        pytest.importorskip("pymetis")
    return request.param


@pytest.mark.parametrize("shards", [1, 3, 8])
@pytest.mark.parametrize("name", GRAPHS)
def test_order_is_a_permutation_that_cuts_no_more(name, shards, method):
    graph = shuffled(GRAPHS[name]())
    order = sharding.partition(graph, shards, method=method)
    assert np.array_equal(np.sort(order), np.arange(96))
    better = sharding.relabel(graph, order)
    assert sharding.cut(better, shards).rows <= sharding.cut(graph, shards).rows


def test_a_shuffled_ring_is_put_back_in_order(method):
    graph = shuffled(topology.ring(96))
    found = sharding.cut(sharding.relabel(graph, sharding.partition(graph, 8, method=method)), 8)
    assert found.rows <= 2 * sharding.cut(topology.ring(96), 8).rows


def test_two_cliques_joined_by_an_edge_are_told_apart(method):
    joined = nx.barbell_graph(12, 0)
    graph = shuffled(topology.from_networkx(joined))
    order = sharding.partition(graph, 2, method=method)
    assert sharding.cut(sharding.relabel(graph, order), 2) == sharding.Cut(2, 2, 1)


def test_geometric_graphs_lose_most_of_their_cut(method):
    graph = shuffled(GRAPHS["geometric"]())
    order = sharding.partition(graph, 8, method=method)
    after = sharding.cut(sharding.relabel(graph, order), 8).edges
    assert after < 0.6 * sharding.cut(graph, 8).edges


def test_metis_cuts_fewer_rows_and_is_taken_where_it_is_installed(monkeypatch):
    pytest.importorskip("pymetis")
    graph = shuffled(topology.watts_strogatz(960, 4, 0.1, seed=0))
    by_metis, by_us = (
        sharding.partition(graph, 8, method=method) for method in ("metis", "bisection")
    )
    rows = [sharding.cut(sharding.relabel(graph, order), 8).rows for order in (by_metis, by_us)]
    assert rows[0] < 0.8 * rows[1]
    np.testing.assert_array_equal(sharding.partition(graph, 8), by_metis)
    monkeypatch.setitem(sys.modules, "pymetis", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxswarm\[metis\]'"):
        sharding.partition(graph, 8, method="metis")
    monkeypatch.setattr(_metis, "is_installed", lambda: False)
    np.testing.assert_array_equal(sharding.partition(graph, 8), by_us)
    with pytest.raises(ValueError, match="did you mean 'metis'"):
        sharding.partition(graph, 8, method="mets")


def test_parts_of_unequal_size_are_leveled():
    graph = topology.random_regular(60, 4, seed=0)
    senders, receivers = (np.asarray(x) for x in (graph.senders, graph.receivers))
    matrix = csr_matrix((np.ones(len(senders)), (receivers, senders)), shape=(60, 60))
    parts = np.random.default_rng(0).integers(0, 4, 60)
    parts[:20] = 0
    leveled = _metis._leveled(matrix, parts, 4)
    assert np.bincount(leveled, minlength=4).tolist() == [15] * 4
    assert (leveled != parts).sum() == np.maximum(np.bincount(parts) - 15, 0).sum()


def test_cut_counts_by_hand():
    assert sharding.cut(topology.ring(8), 4) == sharding.Cut(8, 8, 2)
    assert sharding.cut(topology.star(8), 2) == sharding.Cut(8, 5, 4)
    assert sharding.cut(topology.complete(6), 3) == sharding.Cut(24, 12, 4)


@pytest.mark.slow
def test_relabelled_graph_is_the_same_graph():
    graph = GRAPHS["scale_free"]()
    order = np.random.default_rng(1).permutation(96)
    adjacency = np.asarray(sharding.relabel(graph, order).adjacency())
    assert np.array_equal(adjacency, np.asarray(graph.adjacency())[np.ix_(order, order)])
    x = jax.random.normal(jax.random.key(0), (96, 2))
    mixed = gossip.mix(gossip.mixing(graph), x)[order]
    relabeled = gossip.mix(gossip.mixing(sharding.relabel(graph, order)), x[order])
    np.testing.assert_allclose(mixed, relabeled, atol=1e-6)


def test_identity_keeps_what_is_known_of_the_graph():
    assert sharding.relabel(topology.ring(12), np.arange(12)).offsets is not None


def test_bad_arguments():
    with pytest.raises(ValueError, match="10 agents cannot be divided evenly among 4"):
        sharding.partition(topology.ring(10), 4)
    with pytest.raises(ValueError, match="order: expected a permutation"):
        sharding.relabel(topology.ring(4), [0, 0, 1, 2])
    with pytest.raises(ValueError, match="single graph"):
        sharding.partition(topology.one_peer_exponential(8), 2)
