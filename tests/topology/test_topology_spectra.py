import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import topology as tp
from jaxswarm.topology import spectra, weights


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 12), st.integers(0, 20))
def test_networkx_oracles(n, seed):
    graph = tp.erdos_renyi(n, 0.7, seed=seed)
    oracle = tp.to_networkx(graph)
    np.testing.assert_allclose(
        spectra.laplacian(graph), nx.laplacian_matrix(oracle, range(n)).toarray()
    )
    connectivity = nx.algebraic_connectivity(oracle, method="tracemin_lu")
    assert spectra.algebraic_connectivity(graph) == pytest.approx(connectivity, abs=1e-5)
    resistance = spectra.effective_resistance(graph)
    expected = nx.resistance_distance(oracle, 0, n - 1)
    assert resistance[0, n - 1] == pytest.approx(expected, rel=1e-6)
    # Foster: the resistances across all edges add up to n - 1.
    across = resistance[graph.receivers, graph.senders].sum() / 2
    assert across == pytest.approx(n - 1)


def test_closed_forms():
    n = 12
    assert spectra.spectral_gap(tp.ring(n)) == pytest.approx(
        1 - (1 + 2 * np.cos(2 * np.pi / n)) / 3, abs=1e-6
    )
    assert spectra.spectral_gap(tp.complete(n)) == pytest.approx(1, abs=1e-6)
    assert spectra.spectral_gap(tp.exponential(16)) == pytest.approx(2 / 5, abs=1e-6)
    assert spectra.algebraic_connectivity(tp.path(n)) == pytest.approx(2 - 2 * np.cos(np.pi / n))
    assert spectra.algebraic_connectivity(tp.star(n)) == pytest.approx(1)
    assert spectra.algebraic_connectivity(tp.hypercube(3)) == pytest.approx(2)
    assert spectra.spectral_gap(tp.ring(1)) == 1
    assert spectra.spectral_gap(tp.ring(2)) == pytest.approx(1, abs=1e-6)
    assert spectra.second_modulus(tp.from_edges([(0, 1)], 3)) == pytest.approx(1, abs=1e-6)


def test_chi_in_closed_form():
    n = 8
    chi1, chi2 = spectra.chi(tp.complete(n))  # Λ = n (I - J/n) / |E|
    assert chi1 == pytest.approx((n - 1) / 2)
    assert chi2 == pytest.approx((n - 1) / 2)
    chi1, chi2 = spectra.chi(tp.star(n))  # a tree: every edge resists 1 / rate
    assert chi1 == pytest.approx(n - 1)
    assert chi2 == pytest.approx((n - 1) / 2)
    chi1, chi2 = spectra.chi(tp.ring(n))
    assert chi1 == pytest.approx(n / (2 - 2 * np.cos(2 * np.pi / n)))
    assert chi2 == pytest.approx((n - 1) / 2)


def test_chi_with_rates_traced_and_batched():
    graph = tp.barbell(3)
    single = spectra.chi(graph)
    doubled = spectra.chi(graph, np.full(graph.num_edge_slots, 2 / 7))  # 7 edges, uniform 1 / 7
    np.testing.assert_allclose(doubled, np.array(single) / 2)
    batch = tp.stack([graph, tp.ring(6)])
    batched = spectra.chi(batch)
    traced = jax.jit(jax.vmap(spectra.chi))(jax.tree.map(jnp.asarray, batch))
    for values, again in zip(batched, traced, strict=True):
        np.testing.assert_allclose(values, again, rtol=1e-3)
    np.testing.assert_allclose([batched[0][0], batched[1][0]], single)
    assert np.all(batched[1] <= batched[0] + 1e-9)


def test_contraction_is_the_spectral_radius_off_consensus():
    graph = tp.grid(3, 4)
    matrix = np.asarray(weights.dense(graph, weights.metropolis(graph)), float)
    modulus = spectra.second_modulus(graph)
    assert spectra.contraction(matrix) == pytest.approx(modulus, abs=1e-6)
    assert spectra.second_modulus(matrix) == pytest.approx(modulus, abs=1e-6)
    values = np.random.default_rng(0).standard_normal(12)
    sizes = []
    for _ in range(201):
        values = values - values.mean()
        sizes.append(np.linalg.norm(values))
        values = matrix @ values
    ratios = np.array(sizes[1:]) / sizes[:-1]
    assert np.all(ratios <= modulus + 1e-7)
    assert ratios[-1] == pytest.approx(modulus, abs=1e-4)
    directed = np.asarray(weights.dense(tp.exponential(6), weights.uniform(tp.exponential(6))))
    assert spectra.contraction(directed) >= spectra.second_modulus(directed) - 1e-9


@pytest.mark.parametrize(
    ("graph", "scheme"),
    [
        (tp.ring(40), "metropolis"),
        (tp.exponential(24), "uniform"),
        (tp.directed_ring(12), "uniform"),
        (tp.random_regular(40, 3), "metropolis"),
        (tp.star(12), "uniform"),
        (tp.from_edges([(0, 1), (1, 2), (2, 0), (0, 2), (2, 3), (3, 0)], 4, directed=True), "push"),
        (tp.barabasi_albert(30, 2), "push"),
    ],
)
def test_matrix_free_agrees_with_dense(graph, scheme):
    dense = spectra.spectral_gap(graph, scheme, method="dense")
    assert spectra.spectral_gap(graph, scheme, method="lanczos") == pytest.approx(dense, abs=1e-6)
    assert spectra.spectral_gap(graph, scheme, method="power") == pytest.approx(dense, abs=0.01)
    if graph.offsets is not None:
        circulant = spectra.spectral_gap(graph, scheme, method="circulant")
        assert circulant == pytest.approx(dense, abs=1e-6)


def test_large_graphs_stay_sparse():
    n = 100_000
    gap = spectra.spectral_gap(tp.ring(n))
    assert gap == pytest.approx(2 / 3 * (1 - np.cos(2 * np.pi / n)), rel=1e-3)
    torus = tp.torus(50, 60)
    second, largest = spectra.laplacian_extremes(torus)
    assert second == pytest.approx(2 - 2 * np.cos(2 * np.pi / 60), rel=1e-6)
    assert largest == pytest.approx(8, rel=1e-6)
    assert spectra.spectral_gap(torus) == pytest.approx(second / 5, rel=1e-4)


def test_traced_batched_and_differentiable():
    graphs = [tp.ring(6), tp.star(6), tp.grid(2, 3)]
    batch = tp.stack(graphs)
    expected = [spectra.spectral_gap(graph) for graph in graphs]
    np.testing.assert_allclose(spectra.spectral_gap(batch), expected, atol=1e-6)
    leaves = jax.tree.map(jnp.asarray, batch)
    np.testing.assert_allclose(
        jax.jit(lambda b: spectra.spectral_gap(b, symmetric=True))(leaves), expected, atol=1e-5
    )
    np.testing.assert_allclose(jax.vmap(spectra.spectral_gap)(leaves), expected, atol=1e-5)
    power = jax.vmap(lambda b: spectra.spectral_gap(b, method="power"))(leaves)
    np.testing.assert_allclose(power, expected, atol=0.01)

    graph = tp.path(4)
    values = weights.metropolis(graph)

    def gap(scale):
        return spectra.spectral_gap(graph, scale * values, symmetric=True)

    slope = jax.grad(gap)(1.0)
    numeric = (gap(jnp.float32(1.01)) - gap(jnp.float32(0.99))) / 0.02
    assert slope == pytest.approx(float(numeric), rel=1e-2)


def test_refusals():
    graph = tp.ring(4)
    with pytest.raises(ValueError, match="unknown method 'dens', did you mean 'dense'"):
        spectra.spectral_gap(graph, method="dens")
    with pytest.raises(ValueError, match=r"square matrix \[..., N, N\], got shape \[3, 2\]"):
        spectra.spectral_gap(np.ones((3, 2)))
    with pytest.raises(ValueError, match="'circulant' expects a circulant graph"):
        spectra.spectral_gap(tp.star(4), method="circulant")
    with pytest.raises(ValueError, match="'lanczos' expects one concrete topology"):
        spectra.spectral_gap(tp.stack([graph, graph]), method="lanczos")
    with pytest.raises(
        ValueError, match="expected a connected graph of 4 agents, got 2 components"
    ):
        spectra.chi(tp.from_edges([(0, 1), (2, 3)], 4))
    with pytest.raises(ValueError, match="resistance expects an undirected graph"):
        spectra.effective_resistance(tp.directed_ring(4))
    with pytest.raises(ValueError, match="expected at least 2 agents, got 1"):
        spectra.chi(tp.ring(1))
    with pytest.raises(ValueError, match=r"rates: expected shape \[8\], got \[2\]"):
        spectra.chi(graph, np.ones(2))
    with pytest.raises(ValueError, match="rates: expected finite numbers >= 0, got -1"):
        spectra.chi(graph, -np.ones(8))
