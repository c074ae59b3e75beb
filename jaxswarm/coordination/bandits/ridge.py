"""Ridge regression by sufficient statistics, which can be added, discounted and gossiped.

A linear bandit's statistics are ``G = Σ x xᵀ``, ``b = Σ r x`` and the number of terms. The prior
``λ I`` is added when the sums are *used*, never stored, so the sums of several learners simply
add. Every use factorises ``λ I + G`` afresh: a float32 inverse updated 10⁵ times by
Sherman–Morrison drifts.

Shapes: ``d`` features; leading axes ``...`` are learners or arms.

References:
    L. Li, W. Chu, J. Langford, R. Schapire, A contextual-bandit approach to personalized news
    article recommendation, 2010. Y. Russac, C. Vernade, O. Cappé, Weighted linear bandits for
    non-stationary environments, 2019 (discounting).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Ridge(NamedTuple):
    """Sums over observations, all float32.

    Attributes:
        gram: ``[..., d, d]``, ``Σ w x xᵀ``.
        moment: ``[..., d]``, ``Σ w r x``.
        count: ``[...]``, ``Σ w``.
    """

    gram: jax.Array
    moment: jax.Array
    count: jax.Array


def empty_sums(num_features: int, leading: tuple[int, ...] = ()) -> Ridge:
    """Sums of no observations.

    Args:
        num_features: ``d``, at least 1.
        leading: leading axes, such as ``(N,)`` learners.

    Raises:
        ValueError: if ``num_features < 1``.
    """
    if num_features < 1:
        raise ValueError(f"num_features: expected at least 1, got {num_features}")
    d = num_features
    return Ridge(jnp.zeros((*leading, d, d)), jnp.zeros((*leading, d)), jnp.zeros(leading))


def add_observation(
    sums: Ridge, x: jax.Array, reward: jax.Array, weight: float | jax.Array = 1.0
) -> Ridge:
    """Add one observation each; weight 0 leaves the sums as they are.

    Args:
        sums: leaves ``[..., d, d]``, ``[..., d]``, ``[...]``.
        x: ``float32[..., d]``, features.
        reward: ``float32[...]``.
        weight: ``float32``, broadcast to ``[...]``.
    """
    weight = jnp.broadcast_to(jnp.asarray(weight, jnp.float32), sums.count.shape)
    weighted = weight[..., None] * x
    return Ridge(
        sums.gram + weighted[..., :, None] * x[..., None, :],
        sums.moment + weighted * reward[..., None],
        sums.count + weight,
    )


def scale_sums(sums: Ridge, factor: float | jax.Array) -> Ridge:
    """Multiply all sums by ``factor``: below 1 a discount, above 1 a number of learners."""
    return jax.tree.map(lambda s: factor * s, sums)


def add_sums(*parts: Ridge) -> Ridge:
    """Add the sums of several learners: those of a learner with all observations."""
    return jax.tree.map(lambda *s: sum(s[1:], s[0]), *parts)


def cholesky_factor(sums: Ridge, regularization: float | jax.Array) -> jax.Array:
    """Lower Cholesky factor ``[..., d, d]`` of ``λ I + G``."""
    eye = jnp.eye(sums.gram.shape[-1])
    prior = jnp.broadcast_to(regularization * eye, sums.gram.shape)
    return jnp.linalg.cholesky(sums.gram + prior)


def coefficients(sums: Ridge, regularization: float | jax.Array) -> jax.Array:
    """Ridge regression coefficients ``[..., d]``: ``θ = (λ I + G)⁻¹ b``.

    Args:
        sums: of all observations.
        regularization: ``λ > 0``.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.coordination import bandits
        >>> sums = bandits.add_observation(bandits.empty_sums(1), jnp.ones(1), jnp.float32(4.0))
        >>> round(float(bandits.coefficients(sums, 1.0)[0]), 3)  # (1 + 1)⁻¹ · 4
        2.0
    """
    return cholesky_solve(cholesky_factor(sums, regularization), sums.moment)


def cholesky_solve(low: jax.Array, right: jax.Array) -> jax.Array:
    """Solve by a Cholesky factor ``[..., d]``: ``(L Lᵀ)⁻¹ right``."""
    return jax.scipy.linalg.cho_solve((low, True), right[..., None])[..., 0]


def widths(low: jax.Array, features: jax.Array) -> jax.Array:
    """Confidence widths ``[..., L]``: ``√(xᵀ (L Lᵀ)⁻¹ x)`` of ``features [..., L, d]``."""
    half = jax.scipy.linalg.solve_triangular(low, jnp.swapaxes(features, -1, -2), lower=True)
    return jnp.sqrt(jnp.sum(half**2, axis=-2))
