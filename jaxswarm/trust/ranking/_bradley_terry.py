"""Weighted Bradley–Terry model with a ridge penalty, fitted by damped Newton steps.

Shapes: ``K`` items, ``M`` comparisons.

References:
    R. Bradley, M. Terry, Rank analysis of incomplete block designs: I. The method of paired
    comparisons, 1952.
    T. Sun, Q. Tran-Dinh, Generalized self-concordant functions: a recipe for Newton-type methods,
    2019 (length of the damped step).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike


def bradley_terry(
    winners: ArrayLike,
    losers: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    num_items: int,
    ridge: ArrayLike = 0.1,
    num_steps: int = 12,
) -> jax.Array:
    r"""Fit log-strengths of items to weighted pairwise comparisons by penalized maximum likelihood.

    Under the model item ``i`` beats ``j`` with probability ``σ(s_i - s_j)``. The fit maximizes
    ``Σ_m w_m log σ(s_winner - s_loser) - (ridge / 2) ‖s‖²``, which has exactly one maximum: without
    the penalty an item that never loses, or a graph in several parts, would have none. The maximum
    has mean zero. A fixed number of damped Newton steps, inside ``jit``; ``vmap`` over questions.

    Args:
        winners: ``int[M]`` in ``[0, K)``.
        losers: ``int[M]`` in ``[0, K)``, other than the winners.
        weights: ``float[M]``, at least 0, not all 0; 1 if ``None``. A comparison of weight 0 has no
            influence, whatever its items.
        num_items: ``K >= 2``. Memory grows with ``K²``.
        ridge: strength of the penalty, > 0.
        num_steps: Newton steps, at least 1. Twelve reach float32's precision for ``ridge >= 1e-3``.

    Returns:
        ``float32[K]`` with mean 0 (float64 under x64).

    Raises:
        ValueError: for items out of range, an item compared with itself, weights that are negative,
            NaN or all 0, lengths that differ, or a penalty that is not positive.

    Example:
        >>> from jaxswarm.trust import ranking
        >>> strengths = ranking.bradley_terry([0, 0, 1], [1, 2, 2], num_items=3)
        >>> [round(float(s), 2) for s in strengths]
        [1.76, 0.0, -1.76]
    """
    num_items = checks.whole("num_items", num_items, 2)
    num_steps = checks.whole("num_steps", num_steps, 1)
    checks.real("ridge", ridge, above=0.0)
    winners, losers, weights = checked_comparisons(winners, losers, weights, num_items)
    dtype = jnp.promote_types(weights.dtype, jnp.float32)
    weights = weights.astype(dtype)
    ridge = jnp.asarray(ridge, dtype)
    items = jnp.arange(num_items)[None]
    # Rows of the comparisons' incidence matrix, +1 at the winner and -1 at the loser.
    incidence = (winners[:, None] == items).astype(dtype) - (losers[:, None] == items).astype(dtype)

    def step(strengths: jax.Array, _: None) -> tuple[jax.Array, None]:
        upset = jax.nn.sigmoid(-(incidence @ strengths))
        gradient = incidence.T @ (weights * upset) - ridge * strengths
        curvature = incidence.T @ (incidence * (weights * upset * (1.0 - upset))[:, None])
        factor = jax.scipy.linalg.cho_factor(curvature + ridge * jnp.eye(num_items, dtype=dtype))
        move = jax.scipy.linalg.cho_solve(factor, gradient)
        # The third derivative along a comparison is at most the second times its change, so this
        # length never overshoots, and tends to 1 near the maximum.
        change = jnp.max(jnp.where(weights > 0, jnp.abs(incidence @ move), 0.0))
        length = jnp.where(change > 1e-4, jnp.log1p(change) / jnp.maximum(change, 1e-4), 1.0)
        strengths = strengths + length * move
        return strengths - jnp.mean(strengths), None

    start = jnp.zeros(num_items, dtype)
    return jax.lax.scan(step, start, length=num_steps)[0]


def log_likelihood(
    strengths: ArrayLike,
    winners: ArrayLike,
    losers: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    ridge: ArrayLike = 0.0,
) -> jax.Array:
    """Penalized log-likelihood in nats that :func:`bradley_terry` maximizes.

    Args:
        strengths: ``float[K]``.
        winners: ``int[M]``.
        losers: ``int[M]``.
        weights: ``float[M]``; 1 if ``None``.
        ridge: strength of the penalty, at least 0.

    Returns:
        A scalar.

    Raises:
        ValueError: as :func:`bradley_terry`.
    """
    strengths = checks.numbers("strengths", strengths, (None,))
    checks.real("ridge", ridge, 0.0)
    winners, losers, weights = checked_comparisons(winners, losers, weights, strengths.shape[0])
    margins = jax.nn.log_sigmoid(strengths[winners] - strengths[losers])
    penalty = 0.5 * jnp.asarray(ridge) * jnp.sum(jnp.square(strengths))
    return jnp.sum(jnp.where(weights > 0, weights * margins, 0.0)) - penalty


def checked_comparisons(
    winners: Any, losers: Any, weights: Any, num_items: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Check items and weights; items of comparisons without weight become 0 and 1."""
    limits = (0, num_items - 1) if weights is None else (-checks.LARGEST, checks.LARGEST)
    winners = checks.wholes("winners", winners, *limits, shape=(None,))
    losers = checks.wholes("losers", losers, *limits, shape=winners.shape)
    if weights is None:
        weights = np.ones(winners.shape, np.float32)
    checks.real("weights", weights, 0.0, shape=winners.shape)
    known = not any(checks.is_traced(x) for x in (winners, losers, weights))
    if known:
        counts = np.asarray(weights) > 0
        if not counts.any():
            raise ValueError("weights: expected at least one above 0, got none")
        for name, items in (("winners", winners), ("losers", losers)):
            checks.wholes(name, np.asarray(items)[counts], 0, num_items - 1)
        same = counts & (np.asarray(winners) == np.asarray(losers))
        if same.any():
            raise ValueError(
                "losers: expected items other than the winners, got item "
                f"{int(np.asarray(winners)[same][0])} compared with itself"
            )
    weights = checks.numbers("weights", weights)
    counts = weights > 0
    first = jnp.where(counts, jnp.asarray(winners), 0)
    second = jnp.where(counts, jnp.asarray(losers), 1)
    return first, second, jnp.where(counts, weights, 0.0)
