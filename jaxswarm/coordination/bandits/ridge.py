"""Ridge regression as sums that add, decay and gossip.

What a linear bandit knows is ``G = Σ x xᵀ``, ``b = Σ r x`` and how many terms were added. The prior
``λ I`` is put on when the sums are *read*, never stored, so the sums of several learners simply
add. Reading factorises ``λ I + G`` afresh: a float32 inverse updated 10⁵ times by Sherman–Morrison
drifts.

Shapes: ``d`` features; leading axes ``...`` are learners or arms.

References: L. Li, W. Chu, J. Langford, R. Schapire, A contextual-bandit approach to personalized
    news article recommendation, 2010. Y. Russac, C. Vernade, O. Cappé, Weighted linear bandits for
    non-stationary environments, 2019 (discounting).
"""

from typing import Any, NamedTuple

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


def no_observations(num_features: int, leading: tuple[int, ...] = ()) -> Ridge:
    """Empty sums.

    Raises:
        ValueError: if ``num_features < 1``.
    """
    if num_features < 1:
        raise ValueError(f"num_features: expected at least 1, got {num_features}")
    d = num_features
    return Ridge(jnp.zeros((*leading, d, d)), jnp.zeros((*leading, d)), jnp.zeros(leading))


def observed(sums: Ridge, x: jax.Array, reward: jax.Array, weight: Any = 1.0) -> Ridge:
    """Sums after one observation each; ``weight`` 0 leaves them as they are.

    Args:
        sums: leaves ``[..., d, d]``, ``[..., d]``, ``[...]``.
        x: ``[..., d]``.
        reward: ``[...]``.
        weight: broadcast to ``[...]``.
    """
    weight = jnp.broadcast_to(jnp.asarray(weight, jnp.float32), sums.count.shape)
    weighted = weight[..., None] * x
    return Ridge(
        sums.gram + weighted[..., :, None] * x[..., None, :],
        sums.moment + weighted * reward[..., None],
        sums.count + weight,
    )


def faded(sums: Ridge, factor: Any) -> Ridge:
    """All sums times ``factor``: a discount when below 1, a population when above."""
    return jax.tree.map(lambda s: factor * s, sums)


def joined(*parts: Ridge) -> Ridge:
    """The sums over all observations of several learners."""
    return jax.tree.map(lambda *s: sum(s[1:], s[0]), *parts)


def factor(sums: Ridge, regularization: Any) -> jax.Array:
    """``[..., d, d]``: the lower Cholesky factor of ``λ I + G``."""
    eye = jnp.eye(sums.gram.shape[-1])
    prior = jnp.broadcast_to(regularization * eye, sums.gram.shape)
    return jnp.linalg.cholesky(sums.gram + prior)


def coefficients(sums: Ridge, regularization: Any) -> jax.Array:
    """``[..., d]``: ``θ = (λ I + G)⁻¹ b``."""
    return solved(factor(sums, regularization), sums.moment)


def solved(low: jax.Array, right: jax.Array) -> jax.Array:
    """``[..., d]``: ``(L Lᵀ)⁻¹ right``."""
    return jax.scipy.linalg.cho_solve((low, True), right[..., None])[..., 0]


def widths(low: jax.Array, features: jax.Array) -> jax.Array:
    """``[..., L]``: ``√(xᵀ (L Lᵀ)⁻¹ x)`` of ``features [..., L, d]``."""
    half = jax.scipy.linalg.solve_triangular(low, jnp.swapaxes(features, -1, -2), lower=True)
    return jnp.sqrt(jnp.sum(half**2, axis=-2))
