"""Distances between samples, against closed forms, slow loops, scipy and ott-jax."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats

from jaxswarm import data
from jaxswarm.models import flow

X, Y = np.random.default_rng(0).standard_normal((2, 40, 3)).astype(np.float32)


def test_energy_distance_is_that_of_scipy_in_one_dimension():
    ours = flow.energy_distance(X[:, :1], Y[:, :1] + 0.5)
    theirs = scipy.stats.energy_distance(X[:, 0], Y[:, 0] + 0.5) ** 2
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_energy_distance_laws():
    distance = jax.jit(flow.energy_distance)
    assert distance(X, X[::-1]) < 1e-6
    near = distance(X, Y)
    np.testing.assert_allclose(near, distance(Y, X), rtol=1e-5)
    np.testing.assert_allclose(near, flow.energy_distance(X, Y), rtol=1e-5)
    np.testing.assert_allclose(distance(3 * X, 3 * Y), 3 * near, rtol=1e-4)
    assert jnp.isnan(distance(X * np.nan, Y))
    assert distance(X, Y + 5) > 10 * near


def test_frechet_distance_is_that_of_the_matrix_square_root():
    y = Y @ np.array([[1.0, 0.5, 0.0], [0.0, 2.0, 0.0], [0.3, 0.0, 0.5]]) + 1
    a, b = np.cov(X, rowvar=False), np.cov(y, rowvar=False)
    cross = np.trace(np.real(scipy.linalg.sqrtm(a @ b)))
    expected = np.square(X.mean(0) - y.mean(0)).sum() + np.trace(a) + np.trace(b) - 2 * cross
    np.testing.assert_allclose(flow.frechet_distance(X, y), expected, rtol=1e-4)


def test_frechet_distance_laws():
    assert flow.frechet_distance(X, X[::-1]) < 1e-5
    np.testing.assert_allclose(flow.frechet_distance(X, X + 2.0), 12.0, rtol=1e-4)
    np.testing.assert_allclose(
        flow.frechet_distance(X, Y), flow.frechet_distance(Y, X), rtol=1e-4, atol=1e-6
    )
    flat = np.concatenate([X, X], axis=1)  # a singular covariance
    assert flow.frechet_distance(flat, flat) < 1e-5
    assert np.isnan(flow.frechet_distance(np.full((4, 2), np.inf), X[:4, :2]))


def test_precision_and_recall_equal_a_slow_loop():
    y = Y + 0.8

    def share(x, y, k):
        inside = 0
        for point in x:
            for other in y:
                radius = np.sort(np.linalg.norm(y - other, axis=1))[k]
                if np.linalg.norm(point - other) <= radius:
                    inside += 1
                    break
        return inside / len(x)

    found = flow.precision_recall(X, y, k=2)
    np.testing.assert_allclose(found.precision, share(X, y, 2), atol=1e-6)
    np.testing.assert_allclose(found.recall, share(y, X, 2), atol=1e-6)


def test_missing_modes_cost_recall_and_noise_costs_precision():
    modes = data.grid_modes(2)
    batch = data.gaussian_mixture(jax.random.key(0), 200, modes, deviation=0.05)
    quality = jax.jit(flow.precision_recall)
    some = batch.x[np.flatnonzero(np.asarray(batch.y) < 2)[np.arange(200) % 80]]
    some += 0.01 * np.random.default_rng(0).standard_normal(some.shape).astype(np.float32)
    collapsed = quality(some, batch.x)
    assert collapsed.precision > 0.95
    assert abs(collapsed.recall - 0.5) < 0.15
    blurred = quality(batch.x + 0.5, batch.x)
    assert blurred.precision < 0.1
    counts = flow.mode_counts(batch.x, modes, 0.4)
    np.testing.assert_array_equal(counts, np.bincount(batch.y, minlength=4))
    assert flow.mode_counts(batch.x + 0.5, modes, 0.2).sum() < 10


@pytest.mark.slow
def test_samples_of_the_exact_field_are_near_the_data_in_wasserstein_distance():
    """2-D Wasserstein distance by ott-jax; scipy's assignment gives the unregularized one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of jaxopt, which ott imports
        pointcloud = pytest.importorskip("ott.geometry.pointcloud")
        from ott.problems.linear import linear_problem
        from ott.solvers.linear import sinkhorn

    points = jnp.asarray(data.circle_modes(8))
    targets = points[jnp.arange(64) % 8]
    keys = jax.random.split(jax.random.key(0))

    @jax.jit
    def samples(key):
        return flow.sample(
            key, lambda x, t: flow.marginal_velocity(points, x, t), 64, (2,), num_steps=40
        )

    @jax.jit
    @jax.numpy_rank_promotion("allow")
    def squared(x, y):
        geometry = pointcloud.PointCloud(x, y, epsilon=0.05)
        solved = sinkhorn.Sinkhorn(max_iterations=500)(linear_problem.LinearProblem(geometry))
        return solved.primal_cost

    ours, noise = samples(keys[0]), jax.random.normal(keys[1], (64, 2))
    near, far = float(squared(ours, targets)), float(squared(noise, targets))
    costs = np.square(np.asarray(ours)[:, None] - np.asarray(targets)[None]).sum(-1)
    exact = costs[scipy.optimize.linear_sum_assignment(costs)].mean()
    assert near == pytest.approx(exact, abs=0.15)
    assert near < 0.5 * far
    assert flow.energy_distance(ours, targets) < 0.2 * flow.energy_distance(noise, targets)


@pytest.mark.slow
def test_a_classifier_is_trained_for_the_frechet_distance():
    bright = np.arange(96) % 2
    noise = np.random.default_rng(0).standard_normal((96, 4, 4))
    images = (noise + (bright[:, None, None] - 0.5)).astype(np.float32)
    classifier = flow.train_classifier(
        jax.random.key(1), images, bright, num_steps=40, batch_size=32, num_features=8
    )
    correct = jax.jit(classifier.logits)(images).argmax(1) == bright
    assert correct.mean() > 0.9
    features = jax.jit(classifier.features)
    outputs = np.asarray(features(images))
    a, b, dark = outputs[:48], outputs[48:], outputs[bright == 0]
    assert a.shape == (48, 8)
    assert flow.frechet_distance(dark, a) > 5 * flow.frechet_distance(a, b)
