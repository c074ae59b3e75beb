"""Paths, conversions between predictions, and models of other conventions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.models import flow

LEVELS = np.cumprod(1 - np.linspace(1e-4, 0.02, 100))  # the schedule of DDPM, shortened
PATHS = {
    "linear": flow.linear_path(),
    "cosine": flow.cosine_path(),
    "squared": flow.path_from(jnp.square, lambda t: 1 - t),
    "ddpm": flow.ddpm_path(LEVELS),
}
NOISE, DATA = jax.random.normal(jax.random.key(0), (2, 7, 3, 2))
T = jnp.linspace(0.05, 0.95, 7)


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_time_runs_from_noise_to_data(name):
    path = PATHS[name]
    np.testing.assert_allclose(path.point(NOISE, DATA, 0.0), NOISE, atol=1e-6)
    np.testing.assert_allclose(path.point(NOISE, DATA, 1), DATA, atol=1e-6)


def test_the_linear_path_has_the_velocity_data_minus_noise():
    velocity = PATHS["linear"].velocity(NOISE, DATA, T)
    np.testing.assert_allclose(velocity, DATA - NOISE, atol=1e-6)


@pytest.mark.parametrize("name", ["cosine", "ddpm"])
def test_variance_is_preserved(name):
    path, t = PATHS[name], jnp.linspace(0, 1, 33)
    np.testing.assert_allclose(path.noise(t) ** 2 + path.signal(t) ** 2, 1.0, atol=1e-6)


@pytest.mark.parametrize("name", PATHS)
def test_the_velocity_is_the_derivative_of_the_point(name):
    path, step = PATHS[name], 1e-3
    t = jnp.full(7, 0.4137)  # between two steps of the DDPM schedule
    slope = (path.point(NOISE, DATA, t + step) - path.point(NOISE, DATA, t - step)) / (2 * step)
    np.testing.assert_allclose(path.velocity(NOISE, DATA, t), slope, atol=5e-3)


@pytest.mark.parametrize("name", PATHS)
def test_every_conversion_is_that_of_the_definitions(name):
    """At times where each quantity determines the others in float32."""
    path, t = PATHS[name], jnp.linspace(0.1, 0.9, 7)
    scale, signal = (c(t)[:, None, None] for c in (path.noise, path.signal))
    truth = {
        "velocity": path.velocity(NOISE, DATA, t),
        "noise": NOISE,
        "data": DATA,
        "v": signal * NOISE - scale * DATA,
        "score": -NOISE / scale,
    }
    x = path.point(NOISE, DATA, t)

    @jax.jit
    def all_pairs(truth):
        return {
            (source, target): flow.convert(
                truth[source], x, t, source=source, target=target, path=path
            )
            for source in flow.QUANTITIES
            for target in flow.QUANTITIES
        }

    tolerance = 1e-5 / np.minimum(scale, signal) ** 3
    for (source, target), found in all_pairs(truth).items():
        error = np.abs(np.asarray(found) - np.asarray(truth[target]))
        assert (error <= tolerance).all(), (source, target, error.max())


@pytest.mark.parametrize("source", flow.QUANTITIES)
def test_conversions_are_finite_at_both_ends(source):
    for path in (flow.linear_path(), flow.cosine_path()):
        for t in (0.0, 1.0):
            for target in flow.QUANTITIES:
                out = flow.convert(NOISE, DATA, t, source=source, target=target, path=path)
                assert jnp.isfinite(out).all(), (t, target)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_dtypes_are_kept(dtype):
    noise, data = NOISE.astype(dtype), DATA.astype(dtype)
    point = flow.cosine_path().point(noise, data, T)
    assert point.dtype == flow.cosine_path().velocity(noise, data, T).dtype == dtype
    assert flow.convert(noise, point, T, source="noise").dtype == dtype
    assert flow.noised(jax.random.key(0), data, flow.linear_path()).x.dtype == dtype


def test_reversing_time_twice_returns_the_field_and_once_the_other_convention():
    def theirs(x, s):  # data at 0 and noise at 1: x_s = (1 − s) data + s noise
        return x * s[:, None]

    x, t = jnp.ones((4, 2)), jnp.array([0.0, 0.25, 0.5, 1.0])
    twice = flow.reverse_time(flow.reverse_time(theirs))
    np.testing.assert_allclose(twice(x, t), theirs(x, t))

    def rectified(x, s):  # of one data point at 2, in their convention
        return (x - 2.0) / jnp.maximum(s, 1e-6)[:, None]

    ours = flow.reverse_time(rectified)(x, jnp.full(4, 0.5))
    np.testing.assert_allclose(ours, flow.marginal_velocity(jnp.full((1, 2), 2.0), x, 0.5))
    end = flow.integrate(flow.reverse_time(rectified), x, num_steps=10)
    np.testing.assert_allclose(end, 2.0, atol=1e-5)


def test_ddpm_steps_count_from_data_to_noise():
    steps = jnp.arange(100.0)
    t = flow.ddpm_time(steps, 100)
    assert t[0] == 1.0
    assert t[-1] == 0.0
    np.testing.assert_allclose(flow.ddpm_index(t, 100), steps, atol=1e-4)
    np.testing.assert_allclose(PATHS["ddpm"].signal(t) ** 2, LEVELS, atol=1e-5)
    np.testing.assert_allclose(PATHS["ddpm"].noise(t) ** 2, 1 - LEVELS, atol=1e-5)


def test_a_ddpm_network_becomes_the_flow_of_its_ddim_sampler():
    """The deterministic DDIM recursion and the converted field end at the same sample."""
    target = jnp.array([[1.5, -0.5]])
    scale = jnp.sqrt(jnp.asarray(1 - LEVELS, jnp.float32))
    signal = jnp.sqrt(jnp.asarray(LEVELS, jnp.float32))

    def network(params, x, index, condition):  # exact noise of data that are one point
        step = index.astype(jnp.int32)
        return (x - signal[step][:, None] * target) / scale[step][:, None]

    model = flow.from_ddpm(lambda key: {}, network, (2,), LEVELS)
    noise = jax.random.normal(jax.random.key(3), (5, 2))
    x = noise
    for step in range(99, 0, -1):
        epsilon = network({}, x, jnp.full(5, step), None)
        data = (x - scale[step] * epsilon) / signal[step]
        x = signal[step - 1] * data + scale[step - 1] * epsilon
    ours = flow.integrate(flow.field(model, {}), noise, num_steps=99, method="euler")
    np.testing.assert_allclose(ours, x, atol=0.1)
    np.testing.assert_allclose(ours, jnp.broadcast_to(target, (5, 2)), atol=0.1)
