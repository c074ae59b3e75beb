"""Synthetic problems with known optimum: quadratics, linear and logistic regression, blobs.

Every problem is ``min_x (1/N) Σ_i f_i(x)`` with one ``f_i`` per agent; its optimum is computed on
the host in float64, so that the distance of a run from it is accurate.

Shapes: ``N`` agents, ``D`` parameters, ``M`` samples per agent, ``C`` classes.

References:
    Nesterov, Lectures on convex optimization, 2018 (smoothness L, strong convexity μ, condition
    number L/μ).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data.batches import Batch
from jaxswarm.data.dataset import Dataset, check_seed, from_arrays

TOLERANCE = 1e-10
"""Largest gradient norm of the average loss at a returned optimum, in float64."""


class Quadratic(NamedTuple):
    """Quadratic function ``f(x) = ½ xᵀA x − bᵀx`` of one agent; of all with a leading ``N``.

    Attributes:
        A: ``float32[D, D]``, symmetric, eigenvalues in ``[μ, L]``.
        b: ``float32[D]``.
    """

    A: Any
    b: Any


class Problem(NamedTuple):
    """A distributed optimisation problem with its optimum.

    Attributes:
        loss: ``loss(params, batch) -> scalar`` of *one* agent; ``params: float32[D]``, ``batch``
            one agent's slice of ``data`` (or a minibatch of it, see :func:`jaxswarm.data.stacked`).
        data: pytree with leaves ``[N, ...]``, the agents' data: :class:`Quadratic` or ``Batch``.
        optimum: ``float64[D]`` numpy array, the minimiser of the average loss.
        optimal_value: the average loss there.
        smoothness: ``L``, of every agent's loss.
        convexity: ``μ > 0``, strong convexity of every agent's loss.
    """

    loss: Callable[[jax.Array, Any], jax.Array]
    data: Any
    optimum: np.ndarray
    optimal_value: float
    smoothness: float
    convexity: float

    @property
    def num_agents(self) -> int:
        """Number of agents ``N``."""
        return jax.tree.leaves(self.data)[0].shape[0]

    def average_loss(self, params: jax.Array) -> jax.Array:
        """Average loss ``(1/N) Σ_i f_i(params)`` of one ``params: [D]``, a scalar."""
        return jnp.mean(jax.vmap(self.loss, in_axes=(None, 0))(params, self.data))


def quadratics(
    num_agents: int,
    dim: int,
    *,
    seed: int = 0,
    smoothness: float = 1.0,
    condition_number: float = 10.0,
    heterogeneity: float = 1.0,
    shared_curvature: bool = False,
) -> Problem:
    """Strongly convex quadratic problem; each agent has its own curvature and minimiser.

    Args:
        num_agents: ``N >= 1``.
        dim: ``D >= 1``.
        seed: of everything.
        smoothness: ``L > 0``, the largest eigenvalue of every ``A_i``; the only one if ``D = 1``.
        condition_number: ``L / μ >= 1``; ``μ`` is the smallest eigenvalue of every ``A_i``, those
            between are log-uniform.
        heterogeneity: ``>= 0``; agents' minimisers are Gaussian with this deviation about a common
            one, 0 gives all agents the same optimum.
        shared_curvature: one ``A`` for all, so that only ``b_i`` differs.

    Raises:
        ValueError: for values out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import data
        >>> problem = data.quadratics(num_agents=4, dim=3)
        >>> gradient = jax.grad(problem.average_loss)(jnp.asarray(problem.optimum, jnp.float32))
        >>> bool(jnp.abs(gradient).max() < 1e-5)
        True
    """
    num_agents, dim = checks.whole("num_agents", num_agents, 1), checks.whole("dim", dim, 1)
    smoothness = float(checks.real("smoothness", smoothness, above=0.0))
    condition_number = float(checks.real("condition_number", condition_number, 1.0))
    heterogeneity = float(checks.real("heterogeneity", heterogeneity, 0.0))
    shared_curvature = checks.flag("shared_curvature", shared_curvature)
    rng = np.random.default_rng(check_seed(seed))
    mu = smoothness / condition_number if dim > 1 else smoothness
    shape = 1 if shared_curvature else num_agents
    eigenvalues = np.exp(rng.uniform(np.log(mu), np.log(smoothness), (shape, dim)))
    eigenvalues[:, 0], eigenvalues[:, -1] = mu, smoothness
    basis = np.linalg.qr(rng.standard_normal((shape, dim, dim)))[0]
    curvature = np.einsum("nij,nj,nkj->nik", basis, eigenvalues, basis)
    curvature = np.broadcast_to(curvature, (num_agents, dim, dim))
    spread = heterogeneity * rng.standard_normal((num_agents, dim))
    minimizers = rng.standard_normal(dim) + spread
    linear = np.einsum("nij,nj->ni", curvature, minimizers)
    optimum = np.linalg.solve(curvature.mean(0), linear.mean(0))
    value = float(0.5 * optimum @ curvature.mean(0) @ optimum - linear.mean(0) @ optimum)
    data = Quadratic(np.asarray(curvature, np.float32), linear.astype(np.float32))
    return Problem(_quadratic_loss, data, optimum, value, float(smoothness), float(mu))


def linear_regression(
    num_agents: int,
    samples_per_agent: int,
    dim: int,
    *,
    seed: int = 0,
    noise: float = 0.1,
    heterogeneity: float = 0.0,
    l2: float = 0.0,
) -> Problem:
    """Linear (ridge) regression ``½ mean (xᵀw − y)² + (l2/2)‖w‖²`` with ``y = xᵀw_i + noise``.

    Args:
        num_agents: ``N >= 1``.
        samples_per_agent: ``M >= 1``; ``M >= D`` or ``l2 > 0`` makes every agent strongly convex.
        dim: ``D >= 1``.
        seed: of everything.
        noise: standard deviation, ``>= 0``.
        heterogeneity: ``>= 0``; deviation of the agents' true weights about common ones.
        l2: ``>= 0``, weight of the regularization.

    Raises:
        ValueError: for values out of range, or if the average loss has no unique minimiser.
    """
    num_agents, dim = checks.whole("num_agents", num_agents, 1), checks.whole("dim", dim, 1)
    samples_per_agent = checks.whole("samples_per_agent", samples_per_agent, 1)
    noise, l2 = float(checks.real("noise", noise, 0.0)), float(checks.real("l2", l2, 0.0))
    heterogeneity = float(checks.real("heterogeneity", heterogeneity, 0.0))
    rng = np.random.default_rng(check_seed(seed))
    x, weights = _features(rng, num_agents, samples_per_agent, dim, heterogeneity)
    y = np.einsum("nmd,nd->nm", x, weights) + noise * rng.standard_normal(x.shape[:2])
    data = _as_batch(x, y)
    x, y = data.x.astype(np.float64), data.y.astype(np.float64)
    hessians = np.einsum("nmi,nmj->nij", x, x) / samples_per_agent + l2 * np.eye(dim)
    eigenvalues = np.linalg.eigvalsh(hessians)
    hessian = hessians.mean(0)
    if np.linalg.eigvalsh(hessian)[0] <= 1e-9 * max(eigenvalues.max(), 1.0):
        raise ValueError(
            f"samples_per_agent: expected enough samples to determine {dim} weights, or l2 > 0, "
            f"got {num_agents} × {samples_per_agent} samples"
        )
    moment = np.einsum("nmd,nm->d", x, y) / y.size
    optimum = np.linalg.solve(hessian, moment)
    residual = np.einsum("nmd,d->nm", x, optimum) - y
    value = float(0.5 * np.mean(residual**2) + 0.5 * l2 * optimum @ optimum)
    smooth, convex = float(eigenvalues.max()), float(max(eigenvalues.min(), 0.0))
    return Problem(_ridge_loss(l2), data, optimum, value, smooth, convex)


def logistic_regression(
    num_agents: int,
    samples_per_agent: int,
    dim: int,
    *,
    seed: int = 0,
    heterogeneity: float = 0.0,
    l2: float = 0.1,
) -> Problem:
    """Regularized logistic regression, ``mean log(1 + exp(−(2y−1) xᵀw)) + (l2/2)‖w‖²``.

    Labels ``y ∈ {0, 1}`` are drawn from the logistic model with weights ``w_i``.

    Args:
        num_agents: ``N >= 1``.
        samples_per_agent: ``M >= 1``.
        dim: ``D >= 1``.
        seed: of everything.
        heterogeneity: ``>= 0``; deviation of the agents' true weights about common ones.
        l2: ``> 0``, weight of the regularization, which makes the optimum finite and unique.

    Raises:
        ValueError: for values out of range.
    """
    num_agents, dim = checks.whole("num_agents", num_agents, 1), checks.whole("dim", dim, 1)
    samples_per_agent = checks.whole("samples_per_agent", samples_per_agent, 1)
    heterogeneity = float(checks.real("heterogeneity", heterogeneity, 0.0))
    l2 = float(checks.real("l2", l2, above=0.0))
    rng = np.random.default_rng(check_seed(seed))
    x, weights = _features(rng, num_agents, samples_per_agent, dim, heterogeneity)
    chance = 1.0 / (1.0 + np.exp(-np.einsum("nmd,nd->nm", x, weights)))
    data = _as_batch(x, (rng.random(chance.shape) < chance).astype(np.int32))
    x = data.x.astype(np.float64)
    optimum, value = _solve_logistic(x.reshape(-1, dim), 2.0 * data.y.reshape(-1) - 1.0, l2)
    moments = np.einsum("nmi,nmj->nij", x, x) / samples_per_agent
    smooth = float(np.linalg.eigvalsh(moments).max() / 4.0 + l2)
    return Problem(_logistic_loss(l2), data, optimum, value, smooth, float(l2))


def gaussian_blobs(
    num_samples: int, num_classes: int, dim: int, *, seed: int = 0, separation: float = 3.0
) -> Dataset:
    """Classification data set of isotropic unit Gaussians, one per class.

    Args:
        num_samples: ``S >= C``; classes differ in size by at most one.
        num_classes: ``C >= 1``.
        dim: ``D >= 1``.
        seed: of everything.
        separation: distance of every class centre from the origin, ``>= 0``, in standard
            deviations.

    Raises:
        ValueError: for values out of range.
    """
    num_samples, dim = checks.whole("num_samples", num_samples, 1), checks.whole("dim", dim, 1)
    num_classes = checks.whole("num_classes", num_classes, 1)
    separation = float(checks.real("separation", separation, 0.0))
    if num_samples < num_classes:
        raise ValueError(
            f"num_samples: expected at least one per class, {num_classes}, got {num_samples}"
        )
    rng = np.random.default_rng(check_seed(seed))
    centers = rng.standard_normal((num_classes, dim))
    centers *= separation / np.linalg.norm(centers, axis=1, keepdims=True)
    labels = rng.permutation(np.arange(num_samples) % num_classes)
    features = centers[labels] + rng.standard_normal((num_samples, dim))
    return from_arrays(features, labels, num_classes=num_classes, name="gaussian_blobs")


def _quadratic_loss(params: jax.Array, batch: Quadratic) -> jax.Array:
    return 0.5 * jnp.dot(params, jnp.dot(batch.A, params)) - jnp.dot(batch.b, params)


def _ridge_loss(l2: float) -> Callable[[jax.Array, Batch], jax.Array]:
    def loss(params: jax.Array, batch: Batch) -> jax.Array:
        batch = _without_padding(batch)
        residual = jnp.square(jnp.dot(batch.x, params) - batch.y)
        return 0.5 * _mean(residual, batch.weight) + 0.5 * l2 * jnp.sum(jnp.square(params))

    return loss


def _logistic_loss(l2: float) -> Callable[[jax.Array, Batch], jax.Array]:
    def loss(params: jax.Array, batch: Batch) -> jax.Array:
        batch = _without_padding(batch)
        sign = 2.0 * batch.y.astype(params.dtype) - 1.0
        cost = jax.nn.softplus(-sign * jnp.dot(batch.x, params))
        return _mean(cost, batch.weight) + 0.5 * l2 * jnp.sum(jnp.square(params))

    return loss


def _without_padding(batch: Batch) -> Batch:
    """The batch with zeros for samples of weight 0, whose values must not have any influence."""
    real = batch.weight > 0
    return batch._replace(
        x=jnp.where(real[:, None], batch.x, 0.0),
        y=jnp.where(real, batch.y, 0).astype(batch.y.dtype),
    )


def _mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    total = jnp.sum(weight)
    return jnp.sum(weight * values) / jnp.where(total > 0, total, 1.0)


def _solve_logistic(x: np.ndarray, sign: np.ndarray, l2: float) -> tuple[np.ndarray, float]:
    """Minimiser and value by a trust-region Newton method in float64, polished to ``TOLERANCE``."""
    from scipy.linalg import cho_factor, cho_solve
    from scipy.optimize import minimize
    from scipy.special import expit

    def value(w: np.ndarray) -> float:
        return float(np.mean(np.logaddexp(0.0, -sign * (x @ w))) + 0.5 * l2 * w @ w)

    def gradient(w: np.ndarray) -> np.ndarray:
        return -x.T @ (sign * expit(-sign * (x @ w))) / len(x) + l2 * w

    def hessian(w: np.ndarray) -> np.ndarray:
        p = expit(x @ w)
        return (x.T * (p * (1.0 - p))) @ x / len(x) + l2 * np.eye(x.shape[1])

    w = minimize(value, np.zeros(x.shape[1]), jac=gradient, hess=hessian, method="trust-exact").x
    for _ in range(20):  # Newton steps, within the region of quadratic convergence by now
        grad = gradient(w)
        if np.linalg.norm(grad) <= TOLERANCE:
            return w, value(w)
        w = w - cho_solve(cho_factor(hessian(w)), grad)
    raise RuntimeError(f"logistic regression did not reach a gradient norm of {TOLERANCE}")


def _features(
    rng: np.random.Generator, n: int, m: int, dim: int, heterogeneity: float
) -> tuple[np.ndarray, np.ndarray]:
    x = rng.standard_normal((n, m, dim))
    weights = rng.standard_normal(dim) + heterogeneity * rng.standard_normal((n, dim))
    return x, weights


def _as_batch(x: np.ndarray, y: np.ndarray) -> Batch:
    kept = y if y.dtype == np.int32 else y.astype(np.float32)
    return Batch(x.astype(np.float32), kept, np.ones(y.shape, np.float32))
