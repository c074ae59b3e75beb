import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import topology as tp

# Ours against networkx's, as unlabelled or labelled graphs.
ORACLES = [
    (tp.ring(7), nx.cycle_graph(7)),
    (tp.path(6), nx.path_graph(6)),
    (tp.complete(5), nx.complete_graph(5)),
    (tp.star(6), nx.star_graph(5)),
    (tp.grid(3, 4), nx.grid_2d_graph(3, 4)),
    (tp.grid(2, 3, 4), nx.grid_graph((4, 3, 2))),
    (tp.torus(4, 5), nx.grid_2d_graph(4, 5, periodic=True)),
    (tp.hypercube(4), nx.hypercube_graph(4)),
    (tp.barbell(4), nx.barbell_graph(4, 0)),
    (tp.barbell(3, 2), nx.barbell_graph(3, 2)),
    (tp.cluster(4, 3, backbone="complete"), None),
]


@pytest.mark.parametrize(("ours", "theirs"), [pair for pair in ORACLES if pair[1] is not None])
def test_families_are_networkx_graphs(ours, theirs):
    graph = tp.to_networkx(ours)
    labels = {label: i for i, label in enumerate(sorted(theirs.nodes))}
    assert nx.utils.graphs_equal(nx.relabel_nodes(theirs, labels), nx.Graph(graph.edges)) or (
        nx.is_isomorphic(graph, theirs)
    )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 9])
def test_small_sizes(n):
    expected = {1: 0, 2: 1}.get(n, n)
    assert tp.ring(n).num_edge_slots == 2 * expected
    assert tp.path(n).num_edge_slots == 2 * (n - 1)
    assert tp.star(n).num_edge_slots == 2 * (n - 1)
    assert tp.complete(n).num_edge_slots == n * (n - 1)
    assert tp.directed_ring(n).num_edge_slots == (n if n > 1 else 0)
    assert tp.torus(n, 1).num_edge_slots == 2 * expected
    assert tp.barbell(n).num_edge_slots == 2 * (n * (n - 1) + 1)
    for family in (tp.ring, tp.path, tp.star, tp.complete, tp.directed_ring, tp.exponential):
        assert tp.is_connected(family(n))


@pytest.mark.parametrize(
    "graph",
    [tp.ring(n) for n in (1, 2, 3, 8)]
    + [tp.directed_ring(n) for n in (1, 2, 5)]
    + [tp.exponential(n) for n in (1, 2, 3, 6, 8, 13)]
    + [tp.circulant(9, [2, 7])],
)
def test_offsets_say_who_hears_whom(graph):
    expected = {
        ((i + o) % graph.num_agents, i) for i in range(graph.num_agents) for o in graph.offsets
    }
    assert expected == set(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))
    assert np.all(np.diff(graph.receivers) >= 0)


def test_left_ring_hears_left():
    graph = tp.directed_ring(5)
    assert graph.senders.tolist() == [(i - 1) % 5 for i in range(5)]


def test_cluster_has_two_levels():
    graph = tp.cluster(4, 3)
    degrees = np.asarray(graph.in_degrees()).reshape(4, 3)
    np.testing.assert_array_equal(degrees, [[4, 2, 2]] * 4)
    with pytest.raises(ValueError, match="unknown backbone 'rings', did you mean 'ring'"):
        tp.cluster(4, 3, backbone="rings")


def test_random_families_have_their_law():
    regular = tp.random_regular(60, 4, seed=3)
    assert set(np.asarray(regular.in_degrees()).tolist()) == {4}
    edges = np.mean([tp.erdos_renyi(60, 0.2, seed=s).num_edge_slots / 2 for s in range(40)])
    pairs = 60 * 59 / 2
    assert abs(edges - 0.2 * pairs) < 4 * np.sqrt(0.16 * pairs / 40)
    assert tp.erdos_renyi(9, 1.0).num_edge_slots == 72
    assert tp.barabasi_albert(50, 2).num_edge_slots == 2 * 2 * 48
    assert tp.watts_strogatz(30, 4, 0.3).num_edge_slots == 30 * 4


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 24), st.data())
def test_random_regular_is_simple_and_regular(n, data):
    degree = data.draw(st.integers(0, n - 1).filter(lambda d: n * d % 2 == 0))
    graph = tp.random_regular(n, degree, seed=data.draw(st.integers(0, 9)), connected=False)
    assert np.all(np.bincount(graph.receivers, minlength=n) == degree)
    assert tp.is_symmetric(graph)


def test_random_regular_covers_all_graphs_evenly():
    # The 70 labelled 2-regular graphs on 6 nodes: 60 hexagons and 10 pairs of triangles.
    hexagons = np.mean(
        [tp.is_connected(tp.random_regular(6, 2, seed=s, connected=False)) for s in range(600)]
    )
    assert abs(hexagons - 6 / 7) < 0.06  # switching is only nearly uniform; its noise is 0.014


def test_geometric_joins_the_close():
    positions = np.random.default_rng(0).random((40, 2))
    graph = tp.random_geometric(40, 0.3, positions=positions, connected=False)
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    expected = (distance < 0.3) & ~np.eye(40, dtype=bool)
    np.testing.assert_array_equal(graph.adjacency(), expected)


def test_geometric_cap_and_repair():
    capped = tp.random_geometric(80, 0.3, max_degree=5, connected=False)
    assert np.asarray(capped.in_degrees()).max() == 5
    assert not tp.is_connected(tp.random_geometric(80, 0.05, connected=False))
    repaired = tp.random_geometric(80, 0.05, repair=True)
    assert tp.is_connected(repaired)
    both = tp.random_geometric(80, 0.08, max_degree=4, repair=True)
    assert tp.is_connected(both)
    assert np.asarray(both.in_degrees()).max() <= 5


@pytest.mark.parametrize(
    "family",
    [
        lambda seed: tp.random_regular(30, 3, seed=seed),
        lambda seed: tp.erdos_renyi(30, 0.3, seed=seed),
        lambda seed: tp.barabasi_albert(30, 2, seed=seed),
        lambda seed: tp.watts_strogatz(30, 4, 0.5, seed=seed),
        lambda seed: tp.random_geometric(30, 0.4, seed=seed),
    ],
)
def test_seeds_decide(family):
    def edges(seed):
        graph = family(seed)
        assert tp.is_connected(graph)
        return set(zip(graph.senders.tolist(), graph.receivers.tolist(), strict=True))

    assert edges(1) == edges(1)
    assert edges(1) != edges(2)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: tp.ring(0), "num_agents: expected a whole number of at least 1, got 0"),
        (lambda: tp.ring(2.5), "num_agents: expected a whole number of at least 1, got 2.5"),
        (lambda: tp.grid(), "shape: expected at least two sides .*, got none"),
        (
            lambda: tp.torus(16),
            r"at least two sides such as torus.*ring\(16\)",
        ),
        (lambda: tp.grid(16), r"got one side, whose graph is topology.path\(16\)"),
        (lambda: tp.torus(3, 0), "shape: expected"),
        (lambda: tp.hypercube(-1), "dimension: expected a whole number in \\[0, 24\\], got -1"),
        (lambda: tp.barbell(3, -1), "bridge: expected a whole number of at least 0, got -1"),
        (lambda: tp.circulant(5, [5]), "offsets: expected distinct non-zero"),
        (lambda: tp.circulant(5, [1, 6]), "offsets: expected distinct non-zero"),
        (lambda: tp.random_regular(5, 3), "expected num_agents \\* degree to be even"),
        (lambda: tp.random_regular(5, 5), "degree: expected a whole number in \\[0, 4\\], got 5"),
        (lambda: tp.random_regular(50, 1), "no connected graph in 32 draws"),
        (lambda: tp.erdos_renyi(50, 0.01), "no connected graph in 32 draws"),
        (
            lambda: tp.erdos_renyi(5, 1.5),
            "probability: expected a finite number in \\[0, 1\\], got 1.5",
        ),
        (
            lambda: tp.barabasi_albert(5, 5),
            "attachments: expected a whole number in \\[1, 4\\], got 5",
        ),
        (lambda: tp.watts_strogatz(5, 3, 0.1), "degree: expected an even number"),
        (lambda: tp.random_geometric(5, 0), "radius: expected a finite number > 0, got 0"),
        (
            lambda: tp.random_geometric(5, 1, max_degree=0),
            "max_degree: expected a whole number of at least 1, got 0",
        ),
        (lambda: tp.random_geometric(5, 1, positions=np.zeros((4, 2))), "positions: expected"),
        (
            lambda: tp.random_regular(6, 2, seed=-1),
            "seed: expected a whole number in \\[0, .*, got -1",
        ),
    ],
)
def test_bad_arguments(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_hundred_thousand_agents_are_no_trouble():
    for graph in (tp.ring(100_000), tp.torus(250, 400), tp.random_regular(100_000, 4)):
        assert graph.num_agents == 100_000
        assert tp.is_connected(graph)
