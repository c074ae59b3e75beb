import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import topology as tp
from jaxswarm.topology import spectra, weights
from jaxswarm.topology.weights import fastest_mixing

UNDIRECTED = [
    tp.ring(1),
    tp.ring(2),
    tp.ring(7),
    tp.path(5),
    tp.grid(3, 4),
    tp.torus(2, 3),
    tp.complete(6),
    tp.star(6),
    tp.hypercube(3),
    tp.cluster(3, 3),
    tp.barbell(3, 1),
    tp.random_regular(8, 3),
    tp.erdos_renyi(9, 0.5),
    tp.barabasi_albert(9, 2),
    tp.watts_strogatz(9, 4, 0.3),
    tp.random_geometric(9, 0.6),
]
DIRECTED = [tp.directed_ring(5), tp.exponential(6)]
DOUBLY = ["metropolis", "max_degree", "lazy", "best_constant"]


def names(graphs):
    return [f"{graph.name}-{graph.num_agents}" for graph in graphs]


def matrix_of(graph, scheme):
    kind = weights.STOCHASTICITY[scheme]
    values = weights.edge_weights(graph, scheme)
    stochastic = "column" if kind == "column" else "row"
    return np.asarray(weights.dense(graph, values, stochastic=stochastic))


@pytest.mark.parametrize("graph", UNDIRECTED, ids=names(UNDIRECTED))
def test_doubly_stochastic_schemes(graph):
    for scheme in DOUBLY:
        matrix = matrix_of(graph, scheme)
        np.testing.assert_allclose(matrix.sum(axis=0), 1, atol=1e-6)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-7)
        if scheme != "best_constant":
            assert matrix.min() >= 0
        assert spectra.second_modulus(graph, scheme) < 1 - 1e-4


@pytest.mark.parametrize("graph", UNDIRECTED + DIRECTED, ids=names(UNDIRECTED + DIRECTED))
def test_row_and_column_schemes(graph):
    np.testing.assert_allclose(matrix_of(graph, "uniform").sum(axis=1), 1, atol=1e-6)
    push = matrix_of(graph, "push")
    np.testing.assert_allclose(push.sum(axis=0), 1, atol=1e-6)
    assert push.min() >= 0
    assert np.diag(push).min() > 0


@pytest.mark.parametrize("graph", DIRECTED, ids=names(DIRECTED))
def test_regular_directed_graphs_are_doubly_stochastic(graph):
    for scheme in ("metropolis", "max_degree", "uniform", "push"):
        matrix = matrix_of(graph, scheme)
        np.testing.assert_allclose(matrix.sum(axis=0), 1, atol=1e-6)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([2, 5, 9]), st.floats(0, 1), st.integers(0, 9))
def test_laws_on_random_graphs(n, p, seed):
    graph = tp.erdos_renyi(n, p, seed=seed, connected=False)
    padded = tp.stack([graph, tp.complete(n)])[0]  # padding slots must weigh nothing
    for scheme in ("metropolis", "max_degree", "lazy"):
        values = np.asarray(weights.edge_weights(padded, scheme))
        assert np.all(values[~padded.mask] == 0)
        matrix = np.asarray(weights.dense(padded, values))
        np.testing.assert_allclose(matrix.sum(axis=0), 1, atol=1e-6)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
        support = np.asarray(graph.adjacency())
        off = matrix - np.diag(np.diag(matrix))
        np.testing.assert_array_equal(off > 0, support)


def test_metropolis_by_hand():
    matrix = matrix_of(tp.star(4), "metropolis")
    expected = np.diag([0.25, 0.75, 0.75, 0.75])
    expected[0, 1:] = expected[1:, 0] = 0.25
    np.testing.assert_allclose(matrix, expected, atol=1e-7)


def test_directed_graphs_are_refused_where_they_would_lose_mass():
    lopsided = tp.from_edges([(0, 1), (1, 2), (2, 0), (0, 2)], 3, directed=True)
    for scheme in ("metropolis", "max_degree", "lazy", "best_constant", "fastest_mixing"):
        with pytest.raises(ValueError, match="expects an undirected graph"):
            weights.edge_weights(lopsided, scheme)


def test_bad_weights():
    graph = tp.ring(4)
    with pytest.raises(ValueError, match="did you mean 'metropolis'"):
        weights.edge_weights(graph, "metropolois")
    with pytest.raises(
        ValueError, match=r"weights: expected shape \[8\] \(one per edge\), got \[3"
    ):
        weights.edge_weights(graph, np.ones(3))
    with pytest.raises(ValueError, match="weights: expected finite numbers, got nan"):
        weights.edge_weights(graph, np.full(8, np.nan))
    with pytest.raises(ValueError, match="self_weight: expected"):
        weights.lazy(graph, self_weight=1.5)
    with pytest.raises(ValueError, match="got 2 components"):
        weights.best_constant(tp.from_edges([(0, 1), (2, 3)], 4))
    with pytest.raises(ValueError, match="sizes: expected finite numbers >= 0, got -1"):
        weights.size_weighted(graph, [1, 1, -1, 1])
    with pytest.raises(ValueError, match="sizes: expected shape"):
        weights.size_weighted(graph, [1, 1])
    with pytest.raises(ValueError, match="unknown stochasticity 'rows'"):
        weights.self_weights(graph, np.ones(8), stochastic="rows")


def test_size_weights():
    graph = tp.path(4)
    matrix = np.asarray(weights.dense(graph, weights.size_weighted(graph, [1, 3, 0, 0])))
    expected = [[0.25, 0.75, 0, 0], [0.25, 0.75, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0.5]]
    np.testing.assert_allclose(matrix, expected, atol=1e-6)


def test_lazy_shifts_the_spectrum():
    graph = tp.torus(3, 4)
    values = np.linalg.eigvalsh(matrix_of(graph, "metropolis"))
    shifted = np.linalg.eigvalsh(matrix_of(graph, "lazy"))
    np.testing.assert_allclose(shifted, (1 + values) / 2, atol=1e-6)
    quarter = jax.jit(lambda s: weights.lazy(graph, self_weight=s))(0.25)
    np.testing.assert_allclose(quarter, 0.75 * weights.metropolis(graph), rtol=1e-6)


def test_best_constant_is_best():
    graph = tp.grid(3, 3)
    best = spectra.second_modulus(graph, "best_constant")
    for constant in np.linspace(0.02, 0.5, 25):
        values = np.full(graph.num_edge_slots, constant, np.float32)
        assert spectra.second_modulus(graph, values) >= best - 1e-6


def test_batches_and_jit_agree_with_single_graphs():
    graphs = [tp.ring(6), tp.star(6), tp.complete(6)]
    batch = tp.stack(graphs)
    for scheme in ("metropolis", "max_degree", "lazy", "uniform", "push", "best_constant"):
        batched = weights.edge_weights(batch, scheme)
        mapped = jax.jit(jax.vmap(weights.SCHEMES[scheme]))(jax.tree.map(jnp.asarray, batch))
        np.testing.assert_allclose(batched, mapped, atol=1e-6)
        for t, graph in enumerate(graphs):
            single = weights.edge_weights(graph, scheme)
            np.testing.assert_allclose(batched[t, : len(single)], single, atol=1e-6)


def optimum(graph, nonnegative):
    """Independent oracle: the same convex problem by scipy's SLSQP on all eigenvalues."""
    from scipy.optimize import minimize

    edges = list(tp.to_networkx(graph).edges)
    n = graph.num_agents
    incidence = np.zeros((n, len(edges)))
    for e, (i, j) in enumerate(edges):
        incidence[i, e], incidence[j, e] = 1, -1
    degree = np.abs(incidence)

    def spectrum(w):
        matrix = np.eye(n) - incidence @ np.diag(w) @ incidence.T - 1 / n
        return np.linalg.eigvalsh(matrix)

    start = np.full(len(edges), 1 / (1 + degree.sum(axis=1).max()))
    best = np.inf
    for seed in range(4):
        noise = np.random.default_rng(seed).uniform(0.8, 1.0, len(edges))
        guess = start * noise
        constraints = [
            {"type": "ineq", "fun": lambda z: z[-1] - spectrum(z[:-1])},
            {"type": "ineq", "fun": lambda z: z[-1] + spectrum(z[:-1])},
        ]
        if nonnegative:
            constraints += [
                {"type": "ineq", "fun": lambda z: z[:-1]},
                {"type": "ineq", "fun": lambda z: 1 - degree @ z[:-1]},
            ]
        guess = np.append(guess, np.abs(spectrum(guess)).max())
        found = minimize(
            lambda z: z[-1],
            guess,
            constraints=constraints,
            method="SLSQP",
            options={"maxiter": 300, "ftol": 1e-10},
        )
        w = found.x[:-1]
        if not nonnegative or (w.min() > -1e-6 and (degree @ w).max() < 1 + 1e-6):
            best = min(best, np.abs(spectrum(w)).max())
    return best


@pytest.mark.parametrize("nonnegative", [False, True])
@pytest.mark.slow
def test_fastest_mixing_reaches_the_optimum(nonnegative):
    graphs = [tp.ring(6), tp.grid(2, 3), tp.barbell(3), tp.star(6), tp.cluster(3, 2)]
    batch = tp.stack(graphs)
    optimized = np.asarray(fastest_mixing(batch, nonnegative=nonnegative))
    assert np.all(optimized[~batch.mask] == 0)
    for t, graph in enumerate(graphs):
        values = optimized[t, : graph.num_edge_slots]
        matrix = np.asarray(weights.dense(graph, values))
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-7)
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)
        found = spectra.second_modulus(graph, values)
        assert found <= optimum(graph, nonnegative) + 1e-3
        assert found <= spectra.second_modulus(graph, "metropolis") + 1e-6
        if nonnegative:
            assert matrix.min() >= -1e-6
        else:
            assert found <= spectra.second_modulus(graph, "best_constant") + 1e-6


@pytest.mark.slow
def test_known_optima():
    # On an edge-transitive graph the best constant is optimal (Boyd, Diaconis, Xiao 2004).
    for graph in (tp.ring(6), tp.hypercube(3)):
        found = spectra.second_modulus(graph, "fastest_mixing")
        assert found == pytest.approx(spectra.second_modulus(graph, "best_constant"), abs=1e-5)
    # A path mixes fastest with one half everywhere: |lambda_2| = cos(pi / n).
    values = fastest_mixing(tp.path(6), nonnegative=True)
    assert spectra.second_modulus(tp.path(6), values) == pytest.approx(np.cos(np.pi / 6), abs=1e-4)


@pytest.mark.slow
def test_through_the_simulation():
    graph = tp.grid(3, 4)
    start = spectra.second_modulus(graph, "best_constant")
    best = spectra.second_modulus(graph, fastest_mixing(graph))
    found = spectra.second_modulus(graph, fastest_mixing(graph, through="simulation"))
    assert found < best + 0.25 * (start - best)


@pytest.mark.slow
def test_fastest_mixing_without_a_dense_matrix(monkeypatch):
    from jaxswarm.topology import fastest

    graph = tp.watts_strogatz(48, 4, 0.1, seed=2)
    exact = spectra.second_modulus(graph, fastest_mixing(graph, steps=200))
    monkeypatch.setattr(fastest, "DENSE_LIMIT", 8)
    found = spectra.second_modulus(graph, fastest_mixing(graph, steps=200))
    assert found < spectra.second_modulus(graph, "best_constant")
    assert found < exact + 0.01


def test_fastest_mixing_refuses_nonsense():
    for bad, message in [
        ({"through": "simulatoin"}, "did you mean 'simulation'"),
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            fastest_mixing(tp.ring(4), **bad)
    with pytest.raises(ValueError, match="expected a connected graph"):
        fastest_mixing(tp.from_networkx(nx.empty_graph(3)))
