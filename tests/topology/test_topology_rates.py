"""Optimal edge rates against an independent solver and known answers."""

import numpy as np
import pytest
from scipy.optimize import minimize

from jaxswarm import topology
from jaxswarm.topology import spectra

GRAPHS = {
    "kite": topology.from_edges([(0, 1), (1, 2), (2, 0), (2, 3), (3, 4)], 5),
    "barbell": topology.barbell(3),
    "house": topology.from_edges([(0, 1), (1, 2), (2, 3), (3, 0), (3, 4), (0, 4)], 5),
}


def oracle(graph, objective):
    """SLSQP on the epigraph: maximise log of the bounds that all modes and edges respect."""
    pairs = [(i, j) for i, j in zip(graph.senders, graph.receivers, strict=True) if i < j]
    n = graph.num_agents
    vectors = np.array([np.eye(n)[i] - np.eye(n)[j] for i, j in pairs])
    laplacian = lambda w: (vectors.T * w) @ vectors  # noqa: E731
    modes = lambda v: np.linalg.eigvalsh(laplacian(v[:-2]))[1:] - v[-2]  # noqa: E731

    def edges(v):
        inverse = np.linalg.pinv(laplacian(v[:-2]))
        return v[-1] - np.einsum("ki,ij,kj->k", vectors, inverse, vectors) / 2

    def value(v):
        connectivity = -np.log(v[-2]) if objective != "chi2" else 0.0
        return connectivity + (np.log(v[-1]) if objective != "chi1" else 0.0)

    best = np.inf
    for seed in range(2):
        rng = np.random.default_rng(seed)
        share = rng.dirichlet(np.full(len(pairs), 20.0))
        begin = np.concatenate([share, [np.linalg.eigvalsh(laplacian(share))[1] * 0.9, 9.0]])
        found = minimize(
            value,
            begin,
            method="SLSQP",
            bounds=[(1e-6, 1)] * len(pairs) + [(1e-6, None)] * 2,
            constraints=[
                {"type": "eq", "fun": lambda v: v[:-2].sum() - 1},
                {"type": "ineq", "fun": modes},
                {"type": "ineq", "fun": edges},
            ],
            options={"maxiter": 500, "ftol": 1e-12},
        )
        if modes(found.x).min() > -1e-6 and edges(found.x).min() > -1e-6:
            best = min(best, found.fun)
    return best


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["product", "chi1", "chi2"])
@pytest.mark.parametrize("name", GRAPHS)
def test_agrees_with_an_independent_solver(name, objective):
    graph = GRAPHS[name]
    found = topology.optimal_rates(graph, objective=objective)
    mine = sum(
        np.log(getattr(found, chi)) for chi in ("chi1", "chi2") if objective in ("product", chi)
    )
    expected = oracle(graph, objective)
    assert mine == pytest.approx(expected, abs=2e-3)


def test_rates_are_symmetric_sum_to_one_and_beat_uniform():
    graph = topology.barbell(5)
    found = topology.optimal_rates(graph)
    assert found.rates.sum() == pytest.approx(2.0)
    both = {(i, j): r for i, j, r in zip(graph.senders, graph.receivers, found.rates, strict=True)}
    assert all(both[j, i] == rate for (i, j), rate in both.items())
    np.testing.assert_allclose(spectra.chi(graph, found.rates), (found.chi1, found.chi2))
    np.testing.assert_allclose(spectra.chi(graph), found.uniform)
    assert found.chi1 * found.chi2 < 0.8 * np.prod(found.uniform)


@pytest.mark.parametrize("graph", [topology.ring(6), topology.complete(5), topology.star(7)])
def test_equal_edges_get_equal_rates(graph):
    found = topology.optimal_rates(graph, iterations=200)
    np.testing.assert_allclose(found.rates, found.rates[0], rtol=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="connected"):
        topology.optimal_rates(topology.from_edges([(0, 1), (2, 3)], 4))
    with pytest.raises(ValueError, match=r"opposite|direct"):
        topology.optimal_rates(topology.directed_ring(4))
    with pytest.raises(ValueError, match="objective"):
        topology.optimal_rates(topology.ring(4), objective="chi3")
    with pytest.raises(ValueError, match="sequence"):
        topology.optimal_rates(topology.stack([topology.ring(4)]))
    with pytest.raises(ValueError, match="iterations"):
        topology.optimal_rates(topology.ring(4), iterations=0)
