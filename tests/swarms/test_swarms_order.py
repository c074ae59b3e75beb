"""Order parameters on swarms whose order is known."""

import jax
import jax.numpy as jnp
import networkx as nx
import numpy as np
import pytest

from jaxswarm import space, swarms

ANGLE = np.linspace(0, 2 * np.pi, 12, endpoint=False)
RING = np.stack([np.cos(ANGLE), np.sin(ANGLE)], axis=1)
ROUND = np.stack([-np.sin(ANGLE), np.cos(ANGLE)], axis=1)


def test_milling_is_one_on_a_turning_ring_and_zero_in_a_parallel_group():
    at, way = jnp.asarray(3.0 + RING, jnp.float32), jnp.asarray(ROUND, jnp.float32)
    assert float(swarms.milling(at, way)) == pytest.approx(1.0, abs=1e-5)
    assert float(swarms.polarization(way)) == pytest.approx(0.0, abs=1e-5)
    parallel = jnp.ones((12, 2))
    assert float(swarms.milling(at, parallel)) == pytest.approx(0.0, abs=1e-5)
    assert float(swarms.polarization(parallel)) == pytest.approx(1.0)
    flat = jnp.zeros((12, 1))
    solid = jnp.concatenate([at, flat], axis=1), jnp.concatenate([way, flat], axis=1)
    assert float(swarms.milling(*solid)) == pytest.approx(1.0, abs=1e-5)
    only = jnp.arange(12) < 6  # half a ring still turns, about a centre that is not the ring's
    assert 0.0 < float(swarms.milling(at, way, only)) < 1.0


def test_phase_order_counts_the_active_only():
    phases = jnp.array([0.0, 0.0, jnp.pi])
    assert float(swarms.phase_order(phases)) == pytest.approx(1 / 3, abs=1e-6)
    assert float(swarms.phase_order(phases, jnp.array([True, True, False]))) == pytest.approx(1.0)


@pytest.mark.parametrize("method", ["pairs", "strips"])
def test_clusters_and_nearest_distances_are_networkx_s(method):
    box = space.Space((1.0, 1.0))
    rng = np.random.default_rng(3)
    at = rng.uniform(size=(60, 2)).astype(np.float32)
    active = rng.uniform(size=60) < 0.9
    search = space.search(box, 0.09, 60, method=method)
    found = jax.jit(lambda at, active: swarms.clusters(search, at, active))
    labels = np.asarray(found(jnp.asarray(at), jnp.asarray(active)))
    gap = at[None] - at[:, None]
    apart = np.linalg.norm(gap - np.round(gap), axis=-1)
    apart[~active] = apart[:, ~active] = np.inf
    np.fill_diagonal(apart, np.inf)
    graph = nx.from_numpy_array(apart <= 0.09)
    parts = [part for part in nx.connected_components(graph) if active[min(part)]]
    assert len(parts) == len(set(labels[active].tolist()))
    for part in parts:
        assert set(labels[list(part)].tolist()) == {min(part)}
    assert (labels[~active] == -1).all()
    largest = float(swarms.largest_cluster(jnp.asarray(labels)))
    assert largest == pytest.approx(max(map(len, parts)) / active.sum())
    distances = jax.jit(lambda at, active: swarms.nearest_distance(search, at, active))
    nearest = distances(jnp.asarray(at), jnp.asarray(active))
    least = np.where(apart.min(axis=1) <= 0.09, apart.min(axis=1), np.inf)
    np.testing.assert_allclose(nearest, least, atol=1e-5)
    both = active[:, None] & active[None, :] & ~np.eye(60, dtype=bool)
    mean = swarms.mean_pair_distance(box, jnp.asarray(at), jnp.asarray(active))
    assert float(mean) == pytest.approx(apart[both].mean(), abs=1e-5)
