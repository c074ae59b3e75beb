"""Closed forms of policies that stay close to given policies, and min-norm gradient weights.

Shapes: ``n`` given policies, ``K`` actions, ``A`` numbers of a continuous action; leading axes
``...`` are states.

References:
    Q. Cai, Z. Xue, C. Zhang et al., Two-stage constrained actor-critic for short video
    recommendation, 2023.
    J.-A. Désidéri, Multiple-gradient descent algorithm (MGDA) for multiobjective optimization,
    2012.
"""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

FLOOR = 1e-6
"""Smallest probability of an auxiliary policy that counts; smaller ones are raised to it."""


def regularized_policy(
    advantage: ArrayLike, policies: ArrayLike, weights: ArrayLike, *, floor: float = FLOOR
) -> jax.Array:
    """Compute the policy that maximizes ``E[A] − Σ λ_i KL(π ‖ π_i)`` in closed form.

    It is proportional to ``Π π_i^(λ_i / Σλ) · exp(A / Σλ)``.

    Args:
        advantage: ``[..., K]``, of the main response; a constant per state makes no difference.
        policies: ``[n, ..., K]``, probabilities of the auxiliary policies.
        weights: ``λ``, ``[n]`` or one number for all; at least 0, not all 0.
        floor: probabilities below it are raised to it, with a warning if they are known.

    Returns:
        Probabilities ``[..., K]``.

    Raises:
        ValueError: for no actions, advantages or probabilities that are not finite or out of range,
            other shapes, negative weights, or weights that are all 0.

    Example:
        >>> from jaxswarm.rl import constrained
        >>> policies = [[0.9, 0.1], [0.4, 0.6]]
        >>> best = constrained.regularized_policy([0.0, 0.0], policies, 1.0)
        >>> [round(float(p), 2) for p in best]
        [0.71, 0.29]
    """
    gain, given, shares, total = _checked(advantage, policies, weights)
    floor = float(checks.real("floor", floor, above=0.0, below=1.0))
    if not checks.is_traced(given) and bool((np.asarray(given) < floor).any()):
        warnings.warn(
            f"policies: probabilities below {floor:g} are raised to it", UserWarning, stacklevel=2
        )
    logs = jnp.log(jnp.maximum(given, floor))
    logits = jnp.tensordot(shares, logs, axes=1) + gain / total
    return jax.nn.softmax(logits, axis=-1)


def regularized_objective(
    policy: ArrayLike,
    advantage: ArrayLike,
    policies: ArrayLike,
    weights: ArrayLike,
    *,
    floor: float = FLOOR,
) -> jax.Array:
    """Compute ``E_π[A] − Σ λ_i KL(π ‖ π_i)`` of each state, ``[...]``.

    Args:
        policy: ``[..., K]``, probabilities.
        advantage: ``[..., K]``.
        policies: ``[n, ..., K]``.
        weights: as in :func:`regularized_policy`.
        floor: as in :func:`regularized_policy`.

    Raises:
        ValueError: as :func:`regularized_policy`.
    """
    gain, given, shares, total = _checked(advantage, policies, weights)
    own = jnp.asarray(checks.probability("policy", policy, shape=gain.shape), jnp.float32)
    floor = float(checks.real("floor", floor, above=0.0, below=1.0))
    logs = jnp.tensordot(shares, jnp.log(jnp.maximum(given, floor)), axes=1)
    own_log = jnp.log(jnp.maximum(own, jnp.finfo(own.dtype).tiny))
    return jnp.sum(own * (gain - total * (own_log - logs)), axis=-1)


def regularized_gaussian(
    means: ArrayLike,
    stds: ArrayLike,
    weights: ArrayLike,
    gradient: ArrayLike,
    curvature: ArrayLike = 0.0,
) -> tuple[jax.Array, jax.Array]:
    """Compute the Gaussian that maximizes ``E[A] − Σ λ_i KL(π ‖ π_i)`` for a quadratic advantage.

    ``A(a) = g·a − ½ Σ c a²``; the precision is ``Σ (λ_i / Σλ) / σ_i² + c / Σλ``.

    Args:
        means: ``[n, ..., A]``, of the auxiliary policies.
        stds: ``[n, ..., A]``, their standard deviations, above 0.
        weights: ``λ``, as in :func:`regularized_policy`.
        gradient: ``g``, ``[..., A]``.
        curvature: ``c >= 0``, ``[..., A]`` or one number.

    Returns:
        Mean and standard deviation, ``[..., A]``.

    Raises:
        ValueError: for numbers out of range or other shapes.

    Example:
        >>> from jaxswarm.rl import constrained
        >>> mean, std = constrained.regularized_gaussian([[0.0], [1.0]], [[1.0], [1.0]], 0.5, [0.2])
        >>> round(float(mean[0]), 3), float(std[0])
        (0.7, 1.0)
    """
    slope = jnp.asarray(checks.real("gradient", gradient, shape=None), jnp.float32)
    if not slope.ndim:
        raise ValueError("gradient: expected [..., A], got a number")
    mean = checks.real("means", means, shape=(None, *slope.shape))
    mean = jnp.asarray(mean, jnp.float32)
    std = jnp.asarray(checks.real("stds", stds, above=0.0, shape=mean.shape), jnp.float32)
    bend: Any = checks.real("curvature", curvature, 0.0, shape=None)
    bend = jnp.broadcast_to(jnp.asarray(bend, jnp.float32), slope.shape)
    shares, total = check_weights(weights, mean.shape[0])
    precision = jnp.tensordot(shares, std**-2, axes=1)
    middle = jnp.tensordot(shares, mean * std**-2, axes=1) + slope / total
    precision = precision + bend / total
    return middle / precision, precision**-0.5


def min_norm_weights(gram: ArrayLike, *, num_iterations: int = 100) -> jax.Array:
    """Compute the convex weights of the combination of gradients with the smallest norm (MGDA).

    By Frank–Wolfe steps with exact line search from equal weights.

    Args:
        gram: ``[m, m]``, inner products of the ``m`` gradients.
        num_iterations: at least 1.

    Returns:
        ``[m]``, at least 0, sum 1.

    Raises:
        ValueError: for another shape or numbers that are not finite.

    Example:
        >>> from jaxswarm.rl import constrained
        >>> constrained.min_norm_weights([[1.0, 0.0], [0.0, 1.0]]).tolist()
        [0.5, 0.5]
    """
    products = jnp.asarray(checks.real("gram", gram, shape=(None, None)), jnp.float32)
    m = products.shape[0]
    if products.shape != (m, m) or not m:
        raise ValueError(f"gram: expected a square matrix, got shape {products.shape}")
    count = checks.whole("num_iterations", num_iterations, 1)

    def improve(weights: jax.Array, _: None) -> tuple[jax.Array, None]:
        slope = products @ weights
        toward = jax.nn.one_hot(jnp.argmin(slope), m) - weights
        bend = toward @ products @ toward
        length = jnp.clip(-(toward @ slope) / jnp.maximum(bend, 1e-30), 0.0, 1.0)
        return weights + length * toward, None

    return jax.lax.scan(improve, jnp.full(m, 1.0 / m), length=count)[0]


def check_weights(weights: ArrayLike, num_policies: int) -> tuple[jax.Array, jax.Array]:
    """Check ``λ`` and return its shares ``[n]``, which sum to 1, and its sum.

    Raises:
        ValueError: for negative weights, weights that are all 0, or another shape.
    """
    each = one_or_each("weights", weights, num_policies, 0.0)
    if not checks.is_traced(weights) and not np.any(np.asarray(weights) > 0):
        raise ValueError("weights: expected at least one above 0, got none")
    total = each.sum()
    return each / total, total


def one_or_each(name: str, value: ArrayLike, count: int, low: float = -np.inf) -> jax.Array:
    """Check one number for all, or ``[count]``, and return ``float32[count]``.

    Raises:
        ValueError: for another shape, or numbers that are not finite or below ``low``.
    """
    array = value if checks.is_traced(value) else checks.as_array(name, value, "real numbers")
    checks.real(name, value, low, shape=() if array.ndim == 0 else (count,))  # type: ignore[union-attr]
    return jnp.broadcast_to(jnp.asarray(value, jnp.float32), (count,))


def _checked(
    advantage: ArrayLike, policies: ArrayLike, weights: ArrayLike
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    gain = jnp.asarray(checks.real("advantage", advantage, shape=None), jnp.float32)
    if not gain.ndim or not gain.shape[-1]:
        raise ValueError(f"advantage: expected at least one action, got shape {gain.shape}")
    given = checks.probability("policies", policies, shape=(None, *gain.shape))
    given = jnp.asarray(given, jnp.float32)
    if not given.shape[0]:
        raise ValueError("policies: expected at least one, got none")
    shares, total = check_weights(weights, given.shape[0])
    return gain, given, shares, total
