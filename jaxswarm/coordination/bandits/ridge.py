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
from jax.typing import ArrayLike

from jaxswarm import checks


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
    d = checks.whole("num_features", num_features, 1)
    leading = tuple(checks.wholes("leading", leading, shape=(None,)).tolist())
    return Ridge(jnp.zeros((*leading, d, d)), jnp.zeros((*leading, d)), jnp.zeros(leading))


def add_observation(
    sums: Ridge, x: jax.Array, reward: jax.Array, weight: float | jax.Array = 1.0
) -> Ridge:
    """Add one observation each; weight 0 leaves the sums as they are, even if ``x`` is NaN.

    Args:
        sums: leaves ``[..., d, d]``, ``[..., d]``, ``[...]``.
        x: ``float32[..., d]``, features.
        reward: ``float32[...]``.
        weight: ``float32``, broadcast to ``[...]``.

    Raises:
        ValueError: for other shapes, and for numbers of weight that are not finite; traced ones
            are not checked.
    """
    _check_sums("sums", sums)
    leading, d = sums.count.shape, sums.moment.shape[-1]
    x = checks.numbers("x", x, (*leading, d))
    reward = checks.numbers("reward", as_number(reward), leading)
    weight = checks.numbers("weight", as_number(weight))
    if weight.shape not in ((), leading):
        raise ValueError(f"weight: expected a scalar or shape {leading}, got {weight.shape}")
    weight = jnp.broadcast_to(weight.astype(jnp.float32), leading)
    counts = weight != 0
    if not any(checks.is_traced(value) for value in (counts, x, reward)):
        checks.real("x", x[counts], shape=None)
        checks.real("reward", reward[counts], shape=None)
    x = jnp.where(counts[..., None], x, 0.0)
    reward = jnp.where(counts, reward, 0.0)
    weighted = weight[..., None] * x
    return Ridge(
        sums.gram + weighted[..., :, None] * x[..., None, :],
        sums.moment + weighted * reward[..., None],
        sums.count + weight,
    )


def scale_sums(sums: Ridge, factor: float | jax.Array) -> Ridge:
    """Multiply all sums by ``factor``: below 1 a discount, above 1 a number of learners.

    Raises:
        ValueError: if these are no sums, or the factor is no finite number of at least 0.
    """
    _check_sums("sums", sums)
    checks.real("factor", factor, 0.0)
    return jax.tree.map(lambda s: factor * s, sums)


def add_sums(*parts: Ridge) -> Ridge:
    """Add the sums of several learners: those of a learner with all observations.

    Raises:
        ValueError: without sums, or for sums of different shapes.
    """
    if not parts:
        raise ValueError("parts: expected at least one learner's sums, got none")
    for i, part in enumerate(parts):
        _check_sums(f"parts[{i}]", part)
        if part.moment.shape != parts[0].moment.shape:
            raise ValueError(
                f"parts[{i}]: expected moments of shape {parts[0].moment.shape}, got "
                f"{part.moment.shape}"
            )
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
    _check_sums("sums", sums)
    checks.real("regularization", regularization, above=0.0)
    return cholesky_solve(cholesky_factor(sums, regularization), sums.moment)


def cholesky_solve(low: jax.Array, right: jax.Array) -> jax.Array:
    """Solve by a Cholesky factor ``[..., d]``: ``(L Lᵀ)⁻¹ right``."""
    return jax.scipy.linalg.cho_solve((low, True), right[..., None])[..., 0]


def widths(low: jax.Array, features: jax.Array) -> jax.Array:
    """Confidence widths ``[..., L]``: ``√(xᵀ (L Lᵀ)⁻¹ x)`` of ``features [..., L, d]``."""
    half = jax.scipy.linalg.solve_triangular(low, jnp.swapaxes(features, -1, -2), lower=True)
    return jnp.sqrt(jnp.sum(half**2, axis=-2))


def as_number(value: ArrayLike) -> ArrayLike:
    """Successes and selections are flags: as 0 and 1."""
    dtype = getattr(value, "dtype", None)
    flags = isinstance(value, bool) or (dtype is not None and jnp.issubdtype(dtype, jnp.bool_))
    return jnp.asarray(value, jnp.float32) if flags else value


def _check_sums(name: str, sums: Ridge) -> None:
    checks.instance(name, sums, Ridge, "bandits.empty_sums(6)")
