import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import data

PROBLEMS = {
    "quadratics": lambda **kw: data.quadratics(6, 4, **kw),
    "linear": lambda **kw: data.linear_regression(6, 20, 4, **kw),
    "logistic": lambda **kw: data.logistic_regression(6, 20, 4, **kw),
}


def float64_gradient(problem, w):
    """Gradient of the average loss from the agents' data, written out in numpy."""
    if isinstance(problem.data, data.Quadratic):
        curvature, linear = (np.asarray(v, np.float64) for v in problem.data)
        return curvature.mean(0) @ w - linear.mean(0)
    x, y = np.asarray(problem.data.x, np.float64), np.asarray(problem.data.y, np.float64)
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1)
    if problem.data.y.dtype == np.int32:
        return x.T @ (1 / (1 + np.exp(-x @ w)) - y) / len(y) + problem.convexity * w
    return x.T @ (x @ w - y) / len(y)


@pytest.mark.parametrize("name", list(PROBLEMS))
@pytest.mark.parametrize("heterogeneity", [0.0, 2.0])
def test_the_optimum_is_stationary(name, heterogeneity):
    problem = PROBLEMS[name](heterogeneity=heterogeneity, seed=1)
    assert problem.optimum.dtype == np.float64
    # Quadratics: the data were rounded to float32 after the optimum was solved for.
    tolerance = 1e-6 if name == "quadratics" else 1e-10
    assert np.linalg.norm(float64_gradient(problem, problem.optimum)) < tolerance
    at_optimum = jnp.asarray(problem.optimum, jnp.float32)
    assert problem.average_loss(at_optimum) == pytest.approx(problem.optimal_value, abs=1e-5)
    assert np.linalg.norm(jax.jit(jax.grad(problem.average_loss))(at_optimum)) < 1e-5


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_curvature_lies_between_the_declared_bounds(name):
    problem = PROBLEMS[name](heterogeneity=1.0)
    for point in (jnp.zeros(4), jnp.asarray(problem.optimum, jnp.float32)):
        hessian = jax.jit(jax.vmap(jax.hessian(problem.loss), in_axes=(None, 0)))
        hessians = hessian(point, problem.data)
        eigenvalues = np.linalg.eigvalsh(np.asarray(hessians, np.float64))
        assert eigenvalues.max() <= problem.smoothness * (1 + 1e-5)
        assert eigenvalues.min() >= problem.convexity * (1 - 1e-4)


@pytest.mark.parametrize("name", list(PROBLEMS))
def test_gradient_descent_reaches_the_optimum(name):
    problem = PROBLEMS[name](heterogeneity=1.0)
    slope = jax.grad(problem.average_loss)

    def step(w, _):
        return w - slope(w) / problem.smoothness, None

    found, _ = jax.lax.scan(step, jnp.zeros(4), length=800)
    np.testing.assert_allclose(found, problem.optimum, atol=1e-4)


def test_quadratics_have_the_chosen_spectrum_and_heterogeneity():
    problem = data.quadratics(5, 3, smoothness=4.0, condition_number=8.0, heterogeneity=0.0)
    eigenvalues = np.linalg.eigvalsh(problem.data.A.astype(np.float64))
    np.testing.assert_allclose(eigenvalues[:, 0], 0.5, rtol=1e-5)
    np.testing.assert_allclose(eigenvalues[:, -1], 4.0, rtol=1e-5)
    # Without heterogeneity each agent's own minimiser is the common one.
    own = np.linalg.solve(problem.data.A, problem.data.b[..., None])[..., 0]
    np.testing.assert_allclose(own, np.tile(problem.optimum, (5, 1)), rtol=1e-3, atol=1e-4)
    shared = data.quadratics(5, 3, shared_curvature=True)
    assert (shared.data.A == shared.data.A[0]).all()
    assert np.ptp(shared.data.b, axis=0).min() > 0
    assert data.quadratics(2, 1, smoothness=3.0).convexity == 3.0


def test_minibatches_of_a_problem_estimate_its_gradient(key):
    problem = data.linear_regression(3, 50, 2, heterogeneity=1.0)
    shards = data.stacked(problem.data.x, problem.data.y)
    batch = jax.jit(data.minibatches(5000))(key, shards)
    slope = jax.jit(jax.vmap(jax.grad(problem.loss), in_axes=(None, 0)))
    w = jnp.ones(2)
    np.testing.assert_allclose(slope(w, batch), slope(w, problem.data), atol=0.25)


def test_blobs_are_separated_and_balanced():
    blobs = data.gaussian_blobs(300, 3, 5, separation=50.0)
    assert np.bincount(blobs.labels).tolist() == [100, 100, 100]
    centers = np.stack([blobs.features[blobs.labels == c].mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 50.0, atol=0.5)
    nearest = np.argmin(((blobs.features[:, None] - centers) ** 2).sum(-1), axis=1)
    assert (nearest == blobs.labels).mean() > 0.99


def test_problems_are_determined_by_their_seed():
    for make in PROBLEMS.values():
        first, again, other = make(seed=1), make(seed=1), make(seed=2)
        np.testing.assert_array_equal(first.optimum, again.optimum)
        assert not np.allclose(first.optimum, other.optimum)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: data.quadratics(0, 3), "num_agents: expected a whole number of at least 1"),
        (lambda: data.quadratics(3, 0), "dim"),
        (lambda: data.quadratics(3, 3, smoothness=0.0), "smoothness"),
        (lambda: data.quadratics(3, 3, condition_number=0.5), "condition_number"),
        (lambda: data.quadratics(3, 3, heterogeneity=-1.0), "heterogeneity"),
        (lambda: data.linear_regression(2, 1, 5), "samples_per_agent: expected enough samples"),
        (lambda: data.linear_regression(2, 5, 2, noise=np.nan), "noise"),
        (lambda: data.logistic_regression(2, 5, 2, l2=0.0), "l2: expected a finite number > 0"),
        (lambda: data.gaussian_blobs(2, 3, 2), "num_samples"),
    ],
)
def test_bad_problems_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
