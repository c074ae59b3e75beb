"""Orders of convergence, times, adaptive steps against diffrax, trajectories."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.models import flow

X = jax.random.normal(jax.random.key(0), (6, 2))
SPIN = jnp.array([[0.0, 3.0], [-3.0, 0.0]])


def spin(x, t):
    """Rotation at a rate that grows with time; the exact end is known."""
    return 2 * t[:, None] * (x @ SPIN)


def exact(x, angle=3.0):
    turn = jnp.array([[jnp.cos(angle), jnp.sin(angle)], [-jnp.sin(angle), jnp.cos(angle)]])
    return x @ turn


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("heun", 2)])
def test_order_of_convergence(method, order):
    errors = [
        float(jnp.abs(flow.integrate(spin, X, num_steps=n, method=method) - exact(X)).max())
        for n in (40, 80)
    ]
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.25


def test_adaptive_error_follows_the_tolerance():
    errors = [
        float(
            jnp.abs(
                flow.integrate(spin, X, num_steps=500, method="adaptive", tolerance=tol) - exact(X)
            ).max()
        )
        for tol in (1e-2, 1e-4, 1e-6)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-4


@pytest.mark.slow
def test_adaptive_equals_diffrax():
    diffrax = pytest.importorskip("diffrax")
    data = jnp.array([[2.0, 0.0], [-1.0, 1.0], [0.0, -2.0]])

    def field(x, t):
        return flow.marginal_velocity(data, x, t)

    ours = flow.integrate(field, X, num_steps=400, method="adaptive", stop=0.9, tolerance=1e-6)
    theirs = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, y, _: field(y, jnp.broadcast_to(t, (len(y),)))),
        diffrax.Tsit5(),
        0.0,
        0.9,
        0.01,
        X,
        stepsize_controller=diffrax.PIDController(rtol=1e-7, atol=1e-7),
        max_steps=4000,
    )
    np.testing.assert_allclose(ours, theirs.ys[0], atol=2e-4)


def test_steps_that_do_not_suffice_give_nan_for_those_samples_only():
    def field(x, t):
        return jnp.where(x > 5, 1e4 * jnp.sin(1e4 * t)[:, None], 1.0)

    x = jnp.array([[0.0], [10.0]])
    end = flow.integrate(field, x, num_steps=30, method="adaptive", tolerance=1e-6)
    np.testing.assert_allclose(end[0], 1.0, atol=1e-5)
    assert jnp.isnan(end[1]).all()


def test_adaptive_steps_of_a_sample_do_not_depend_on_its_batch():
    def field(x, t):
        return spin(x, t) * jnp.abs(x[:, :1])

    run = jax.jit(lambda x: flow.integrate(field, x, num_steps=300, method="adaptive"))
    order = jnp.array([3, 1, 0, 2, 5, 4])
    np.testing.assert_allclose(run(X[order]), run(X)[order], atol=1e-5)
    np.testing.assert_allclose(run(X[2:3]), run(X)[2:3], atol=1e-5)


@pytest.mark.parametrize("method", flow.METHODS)
def test_backwards_undoes_forwards(method):
    settings = {"num_steps": 300, "method": method, "tolerance": 1e-5}
    there = flow.integrate(spin, X, **settings)
    back = flow.integrate(spin, there, start=1.0, stop=0.0, **settings)
    np.testing.assert_allclose(back, X, atol=0.2 if method == "euler" else 2e-3)


@pytest.mark.parametrize("method", flow.METHODS)
def test_no_time_no_change_and_times_stay_inside(method):
    seen = []

    def field(x, t):
        seen.append(t)
        return jnp.ones_like(x)

    with jax.disable_jit():
        same = flow.integrate(field, X, num_steps=2, method=method, start=0.3, stop=0.3)
        end = flow.integrate(field, X, num_steps=9, method=method)
    np.testing.assert_allclose(same, X, atol=1e-7)
    np.testing.assert_allclose(end, X + 1, atol=1e-5)
    times = jnp.concatenate([t for t in seen if not isinstance(t, jax.core.Tracer)])
    assert times.min() >= 0
    assert times.max() <= 1


@pytest.mark.parametrize("method", flow.METHODS)
def test_trajectory_ends_where_integrate_ends(method):
    settings = {"num_steps": 10, "method": method}
    frames = flow.trajectory(spin, X, **settings)
    assert frames.shape == (11, 6, 2)
    np.testing.assert_allclose(frames[0], X)
    if method == "adaptive":
        np.testing.assert_allclose(frames[-1], exact(X), atol=0.02)
    else:
        np.testing.assert_allclose(frames[-1], flow.integrate(spin, X, **settings), atol=1e-5)


@pytest.mark.parametrize("method", flow.METHODS)
def test_jit_equals_eager_one_sample_and_dtypes(method):
    def run(x):
        return flow.integrate(spin, x, num_steps=40, method=method)

    np.testing.assert_allclose(jax.jit(run)(X), run(X), atol=1e-5)
    assert run(X[:1]).shape == (1, 2)
    half = run(X.astype(jnp.bfloat16))
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(jnp.float32), run(X), atol=0.2)


def test_fixed_steps_have_gradients_and_vmap():
    def end(x, rate):
        return flow.integrate(lambda x, t: rate * x, x, num_steps=4, method="heun").sum()

    gradient = jax.grad(end, argnums=1)(jnp.ones((1, 1)), 0.5)
    step = 1 + 0.125 + 0.125**2 / 2
    np.testing.assert_allclose(gradient, 4 * step**3 * (0.25 + 0.0625 * 0.5), rtol=1e-5)
    ends = jax.vmap(lambda rate: end(X, rate))(jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(ends[0], X.sum(), rtol=1e-5)
