"""Strongly convex test problems with known optimum: least squares and ridge logistic regression.

``f_i(x)`` is the mean loss of agent ``i``'s samples plus ``ridge · ||x||²/2``. Made on the host in
float64; the network minimises the sum.

Shapes: ``N`` agents, ``M`` samples each, ``d`` features.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks

Task = Literal["least_squares", "logistic"]
TASKS = ("least_squares", "logistic")


class Samples(NamedTuple):
    """``features [..., M, d]``; ``targets [..., M]``, real numbers or labels ``±1``."""

    features: Any
    targets: Any


class Problem(NamedTuple):
    """A problem with its constants and optimum.

    Attributes:
        samples: leaves ``float64[N, M, ...]``.
        ridge: added to every ``f_i``.
        smoothness: ``L``, the largest of all agents.
        convexity: ``μ``, the smallest of all agents.
        optimum: ``float64[d]``, of the sum.
    """

    samples: Samples
    ridge: float
    smoothness: float
    convexity: float
    optimum: np.ndarray


def gradient(
    task: Task, ridge: float | jax.Array = 0.0
) -> Callable[[jax.Array, Samples], jax.Array]:
    """Make ``gradient(x [d], samples of one agent) -> ∇f_i(x) [d]``.

    Args:
        task: one of :data:`TASKS`.
        ridge: added to the curvature, at least 0; may be traced.

    Raises:
        ValueError: on an unknown task.
    """
    checks.choice("task", task, TASKS)
    checks.real("ridge", ridge, 0.0)

    def least_squares(x: jax.Array, samples: Samples) -> jax.Array:
        residual = samples.features @ x - samples.targets
        return residual @ samples.features / samples.targets.shape[0] + ridge * x

    def logistic(x: jax.Array, samples: Samples) -> jax.Array:
        margin = samples.targets * (samples.features @ x)
        residual = samples.targets * jax.nn.sigmoid(-margin)
        return -(residual @ samples.features) / samples.targets.shape[0] + ridge * x

    return least_squares if task == "least_squares" else logistic


def quadratic(samples: Samples) -> tuple[jax.Array, jax.Array]:
    """Hessian ``H [d, d]`` and linear term ``b [d]`` of one agent's ``f = xᵀHx/2 - bᵀx + c``."""
    count = samples.targets.shape[0]
    features = jnp.asarray(samples.features)
    return features.T @ features / count, samples.targets @ features / count


def heterogeneous(
    num_agents: int,
    *,
    condition: float,
    dimension: int = 5,
    samples: int = 50,
    spread: float = 1.0,
    task: Task = "least_squares",
    seed: int = 0,
) -> Problem:
    """Make a problem of agents with different spectra, eigenvectors and local optima.

    Least squares: every ``f_i`` has eigenvalues spread geometrically over exactly ``[1, κ]`` in a
    random basis, and a random optimum. Logistic: ridge 1, features scaled so that ``L = κ``, labels
    by a random hyperplane of each agent's own with a tenth of them flipped.

    Args:
        num_agents: ``N >= 1``.
        condition: ``κ = L/μ >= 1`` (above 1 for the logistic task), of all agents alike.
        dimension: ``d``; at least 2 for least squares with ``κ > 1``.
        samples: ``M >= d``.
        spread: standard deviation of the local optima (logistic: of the hyperplanes' normals).
        task: which loss.
        seed: of everything random.

    Raises:
        ValueError: on sizes or ``condition`` out of range, or an unknown task.
    """
    checks.choice("task", task, TASKS)
    num_agents = checks.whole("num_agents", num_agents, 1)
    samples = checks.whole("samples", samples, 1)
    dimension = checks.whole("dimension", dimension, 1, samples)
    if task == "logistic":
        condition = float(checks.real("condition", condition, above=1.0))
    else:
        condition = float(checks.real("condition", condition, 1.0))
    spread = float(checks.real("spread", spread, 0.0))
    seed = checks.whole("seed", seed)
    rng = np.random.default_rng(seed)
    shape = (num_agents, samples, dimension)
    own = spread * rng.normal(size=(num_agents, dimension))
    if task == "least_squares":
        left = np.linalg.qr(rng.normal(size=shape))[0]
        right = np.linalg.qr(rng.normal(size=(num_agents, dimension, dimension)))[0]
        scales = np.sqrt(samples * np.geomspace(1.0, condition, dimension))
        features = (left * scales) @ np.swapaxes(right, 1, 2)
        targets = np.einsum("nmd,nd->nm", features, own) + 0.1 * rng.normal(size=shape[:2])
        return problem(Samples(features, targets), task=task)
    features = rng.normal(size=shape)
    top = np.linalg.norm(features, ord=2, axis=(1, 2)) ** 2 / samples / 4.0
    features *= np.sqrt((condition - 1.0) / top)[:, None, None]
    flipped = rng.uniform(size=shape[:2]) < 0.1
    targets = np.sign(np.einsum("nmd,nd->nm", features, own)) * np.where(flipped, -1.0, 1.0)
    return problem(Samples(features, targets), task=task, ridge=1.0)


def problem(samples: Samples, *, task: Task = "least_squares", ridge: float = 0.0) -> Problem:
    """Compute ``L``, ``μ`` and the optimum of given samples.

    Args:
        samples: features ``[N, M, d]`` and targets ``[N, M]``.
        task: one of :data:`TASKS`.
        ridge: at least 0.

    Raises:
        ValueError: if some agent's problem is not strongly convex (features without full column
            rank and no ridge), on a negative ridge, numbers that are not finite, labels other than
            ``±1``, or shapes that do not fit.
    """
    checks.choice("task", task, TASKS)
    checks.instance("samples", samples, Samples)
    features = checks.as_array("samples.features", samples.features, "numbers [N, M, d]")
    targets = checks.as_array("samples.targets", samples.targets, "numbers [N, M]")
    features, targets = features.astype(np.float64), targets.astype(np.float64)
    if features.ndim != 3 or targets.shape != features.shape[:2]:
        raise ValueError(
            "samples: expected features [N, M, d] and targets [N, M], "
            f"got {list(features.shape)} and {list(targets.shape)}"
        )
    for leaf, values in (("features", features), ("targets", targets)):
        if not np.all(np.isfinite(values)):
            raise ValueError(f"samples.{leaf}: expected finite numbers")
    if task == "logistic" and not np.all(np.abs(targets) == 1.0):
        raise ValueError("samples.targets: expected labels -1 and 1 for the logistic task")
    ridge = float(checks.real("ridge", ridge, 0.0))
    count, dimension = features.shape[1:]
    covariance = np.swapaxes(features, 1, 2) @ features / count
    values = np.linalg.eigvalsh(covariance)
    if task == "least_squares":
        convexity, smoothness = values.min() + ridge, values.max() + ridge
    else:
        convexity, smoothness = float(ridge), values.max() / 4.0 + ridge
    if convexity <= 1e-12 * smoothness:
        agent = int(values.min(axis=1).argmin())
        raise ValueError(
            f"samples: expected strongly convex losses, but agent {agent}'s has convexity "
            f"{convexity:.2g}; give it more samples or a ridge"
        )
    if task == "least_squares":
        linear = np.einsum("nmd,nm->d", features, targets) / count
        matrix = covariance.sum(axis=0) + len(features) * ridge * np.eye(dimension)
        best = np.linalg.solve(matrix, linear)
    else:
        best = _newton(features, targets, ridge)
    kept = Samples(features, targets)
    return Problem(kept, float(ridge), float(smoothness), float(convexity), best)


def _newton(features: np.ndarray, targets: np.ndarray, ridge: float) -> np.ndarray:
    """Optimum of the summed logistic losses by damped Newton's method."""
    flat = (features * targets[..., None]).reshape(-1, features.shape[-1])
    x = np.zeros(features.shape[-1])

    def value(x: np.ndarray) -> float:
        return np.logaddexp(0.0, -flat @ x).mean() + ridge * x @ x / 2.0

    for _ in range(100):
        probability = 1.0 / (1.0 + np.exp(np.clip(flat @ x, -500, 500)))
        grad = -(probability @ flat) / len(flat) + ridge * x
        variance = probability * (1.0 - probability)
        hessian = (flat.T * variance) @ flat / len(flat) + ridge * np.eye(len(x))
        direction = np.linalg.solve(hessian, grad)
        size = 1.0
        while value(x - size * direction) > value(x) + 1e-15 and size > 1e-6:
            size /= 2.0
        x = x - size * direction
        if np.abs(direction).max() < 1e-14:
            break
    return x
