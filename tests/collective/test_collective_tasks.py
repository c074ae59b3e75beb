"""Surfaces, tasks and rewards against slow loops; bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import collective
from jaxswarm.collective import Domain, HeadingTaskParams

MIRRORED = ("moebius", "klein", "projective")


def headings_equal(one, two):
    return np.allclose(np.exp(1j * np.asarray(one)), np.exp(1j * np.asarray(two)), atol=1e-4)


@functools.cache
def wrapping(name):
    return jax.jit(Domain(name, 2.0).wrap)


@pytest.mark.parametrize("name", collective.DOMAINS)
@given(seed=st.integers(0, 1000))
@settings(max_examples=10, derandomize=True)
def test_wrapping_ends_inside_and_crossing_twice_is_the_identity(name, seed):
    rng = np.random.default_rng(seed)
    wrap = wrapping(name)
    positions = rng.uniform(0.05, 1.95, (5, 2)).astype(np.float32)
    headings = rng.uniform(-3.0, 3.0, 5).astype(np.float32)
    far, way = wrap(positions + rng.normal(size=(5, 2)).astype(np.float32) * 4, headings)
    assert bool(((far >= 0.0) & (far <= 2.0)).all())
    again, same = wrap(far, way)
    np.testing.assert_allclose(again, far, atol=1e-5)
    assert headings_equal(same, way)
    for axis in (0, 1):
        step = np.zeros((1, 2), np.float32)
        step[0, axis] = 2.0
        if name == "box" or (name == "moebius" and axis == 1):
            continue  # a wall, not a border to cross
        once, turned = wrap(positions + step, headings)
        twice, back = wrap(once + step, turned)
        np.testing.assert_allclose(twice, positions, atol=1e-4)
        assert headings_equal(back, headings)
        mirrors = name in ("klein", "moebius", "projective") if axis == 0 else name == "projective"
        assert (not np.allclose(once, positions, atol=1e-3)) == mirrors


def test_walls_reflect_position_and_heading():
    inside, way = Domain("box").wrap(jnp.array([[1.1, 0.5], [0.5, -0.2]]), jnp.array([0.3, -0.4]))
    np.testing.assert_allclose(inside, [[0.9, 0.5], [0.5, 0.2]], atol=1e-6)
    assert headings_equal(way, [np.pi - 0.3, 0.4])


@pytest.mark.parametrize("name", ["torus", "box", *MIRRORED])
def test_local_heading_against_a_loop(name):
    """All images within the radius, by stepping across each border."""
    rng = np.random.default_rng(0)
    domain, radius, n = Domain(name, 1.0), 0.3, 12
    positions = rng.uniform(size=(n, 2)).astype(np.float32)
    headings = rng.uniform(-3.0, 3.0, n).astype(np.float32)
    found = jax.jit(collective.local_heading(domain, radius, n))(positions, headings)
    tiles = [(0, 0)]
    if name != "box":
        tiles += [(1, 0), (-1, 0)]
    if name in ("torus", "klein"):
        tiles += [(i, j) for i in (-1, 0, 1) for j in (-1, 1)]
    if name == "projective":
        tiles += [(0, 1), (0, -1)]
    for i in range(n):
        total, count = np.zeros(2), 0
        for j in range(n):
            for tile in tiles:
                # Position and direction of agent j's image in that tile.
                x, y = positions[j]
                vector = np.array([np.cos(headings[j]), np.sin(headings[j])])
                if tile[0] and name in MIRRORED:
                    y, vector = 1.0 - y, vector * [1, -1]
                if tile[1] and name == "projective":
                    x, vector = 1.0 - x, vector * [-1, 1]
                at = np.array([x + tile[0], y + tile[1]])
                if np.linalg.norm(at - positions[i]) <= radius:
                    total, count = total + vector, count + 1
        mean = total / count
        turn = np.array([np.cos(headings[i]), np.sin(headings[i])])
        expected = [mean @ turn, mean[1] * turn[0] - mean[0] * turn[1]]
        np.testing.assert_allclose(found[i], expected, atol=1e-4)


@given(seed=st.integers(0, 1000))
@settings(max_examples=10, derandomize=True)
def test_mean_distances_against_all_pairs(seed):
    rng = np.random.default_rng(seed)
    angles = rng.uniform(-9.0, 9.0, 9).astype(np.float32)
    apart = np.abs((angles[:, None] - angles[None] + np.pi) % (2 * np.pi) - np.pi)
    found = jax.jit(collective.mean_phase_distance)(angles)
    assert float(found) == pytest.approx(apart.mean(), abs=1e-4)
    points = rng.normal(size=(9, 2)).astype(np.float32)
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1).mean()
    assert float(collective.mean_distance(points)) == pytest.approx(apart, abs=1e-5)
    blocks = jax.jit(lambda x: collective.mean_distance(x, block=4))(points)
    assert float(blocks) == pytest.approx(apart, abs=1e-5)


@pytest.mark.slow
def test_order_has_the_best_reward_and_disorder_the_worst():
    aligned = collective.mean_phase_distance(jnp.full(6, 1.3))
    spread = collective.mean_phase_distance(jnp.arange(6) * jnp.pi / 3.0)
    assert float(aligned) == pytest.approx(0.0, abs=1e-5)
    assert float(spread) == pytest.approx(np.pi / 2.0, abs=1e-5)
    assert bool(jnp.isfinite(jax.grad(collective.mean_phase_distance)(jnp.zeros(4))).all())


TASKS = {
    "aggregation": lambda n: collective.aggregation_task(n),
    "kuramoto": lambda n: collective.kuramoto_task(n, params=HeadingTaskParams(blur=0.1)),
    "vicsek": lambda n: collective.vicsek_task(n, domain=Domain("klein")),
}


@pytest.mark.parametrize("name", TASKS)
def test_agents_are_interchangeable(name, key):
    """Permuting agents permutes observations, leaves reward and mean field as they were."""
    task = TASKS[name](6)
    state = jax.jit(task.init)(key, task.params)
    order = jnp.array([3, 1, 0, 5, 2, 4])
    moved = jax.tree.map(lambda x: x[order], state)
    quiet = jax.tree.map(jnp.zeros_like, task.params)
    actions = jnp.zeros((6, len(task.action_bounds[0])))
    observe = jax.jit(task.observe)
    seen, other = (observe(key, quiet, s) for s in (state, moved))
    np.testing.assert_allclose(seen[order], other, atol=1e-5)
    reward = jax.jit(task.reward)
    one, two = (reward(task.params, s, actions) for s in (state, moved))
    assert float(one) == pytest.approx(float(two), abs=1e-5)
    for features in (
        collective.histogram(task, bins=3),
        collective.kernel_features(task, points=3),
    ):
        of = jax.jit(features.of)
        np.testing.assert_allclose(of(state), of(moved), atol=1e-4)
        assert of(state).shape == (features.size,)


def test_histogram_and_kernel_features_are_constant_for_uniform_swarms():
    task = collective.kuramoto_task(64)
    state = collective.TaskState(jnp.zeros((64, 2)), jnp.linspace(-3.1, 3.1, 64))
    counts = collective.histogram(task, bins=4).of(state)
    assert float(counts.sum()) == pytest.approx(4.0)
    np.testing.assert_allclose(counts, 1.0, atol=0.1)
    np.testing.assert_allclose(collective.kernel_features(task).of(state), 1.0, atol=0.1)


def test_one_agent_observes_itself_and_is_aligned(key):
    task = collective.kuramoto_task(1)
    state = jax.jit(task.init)(key, task.params)
    seen = jax.jit(task.observe)(key, task.params, state)
    np.testing.assert_allclose(seen, [[1.0, 0.0]], atol=1e-6)
    assert float(task.reward(task.params, state, jnp.zeros((1, 1)))) == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: collective.kuramoto_task(0), "num_agents: expected a whole number of at least 1"),
        (
            lambda: collective.aggregation_task(0),
            "num_agents: expected a whole number of at least 1",
        ),
        (lambda: collective.kuramoto_task(4, radius=0.0), "radius: expected a finite number in"),
        (lambda: collective.vicsek_task(4, radius=-1.0), "speed|radius"),
        (lambda: collective.kuramoto_task(4, radius=0.6), "radius: expected a finite number in"),
        (lambda: collective.kuramoto_task(4, params=HeadingTaskParams(noise=-0.1)), "noise"),
        (lambda: collective.kuramoto_task(4, params=HeadingTaskParams(noise=np.nan)), "noise"),
        (
            lambda: collective.vicsek_task(4, params=HeadingTaskParams(speed=0.5)),
            "agents would pass through each other",
        ),
        (lambda: Domain("sphere"), "unknown domain 'sphere'"),
        (lambda: Domain("torus", 0.0), "side: expected a finite number > 0"),
        (lambda: collective.histogram(collective.kuramoto_task(4), bins=0), "bins: expected"),
        (
            lambda: collective.kernel_features(collective.kuramoto_task(4), bandwidth=0.0),
            "bandwidth: expected",
        ),
    ],
)
def test_refuses(make, message):
    with pytest.raises(ValueError, match=message):
        make()
