"""TrueSkill for games of two: Gaussian skills that each comparison updates in turn.

Shapes: ``K`` items, ``M`` comparisons.

References:
    R. Herbrich, T. Minka, T. Graepel, TrueSkill: a Bayesian skill rating system, 2007.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.trust.ranking._bradley_terry import checked_comparisons
from jaxswarm.types import ArrayLike


class Skills(NamedTuple):
    """Gaussian beliefs about skills.

    Attributes:
        mean: ``float32[K]``.
        deviation: ``float32[K]``.
    """

    mean: jax.Array
    deviation: jax.Array


def trueskill(
    winners: ArrayLike,
    losers: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    num_items: int,
    mean: float = 25.0,
    deviation: float = 25.0 / 3.0,
    noise: float = 25.0 / 6.0,
    drift: float = 25.0 / 300.0,
) -> Skills:
    """Rate items by TrueSkill without draws, one comparison after another.

    Args:
        winners: ``int[M]`` in ``[0, K)``.
        losers: ``int[M]`` in ``[0, K)``, other than the winners.
        weights: ``float[M]``; a comparison of weight 0 is left out, all others count alike. All
            count if ``None``.
        num_items: ``K >= 2``.
        mean: of the prior.
        deviation: standard deviation of the prior, > 0.
        noise: standard deviation ``β`` of an item's performance, > 0.
        drift: standard deviation ``τ`` that is added to the skills before each comparison, >= 0.

    Returns:
        Means and deviations; items are ranked by their mean.

    Raises:
        ValueError: as :func:`bradley_terry`, or for numbers out of range.

    Example:
        >>> skills = trueskill([0], [1], num_items=2)
        >>> [round(float(x), 2) for x in skills.mean]
        [29.21, 20.79]
    """
    num_items = checks.whole("num_items", num_items, 2)
    checks.real("mean", mean)
    checks.real("deviation", deviation, above=0.0)
    checks.real("noise", noise, above=0.0)
    checks.real("drift", drift, 0.0)
    winners, losers, weights = checked_comparisons(winners, losers, weights, num_items)

    def step(
        carry: tuple[jax.Array, jax.Array], one: tuple[jax.Array, jax.Array, jax.Array]
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        means, variances = carry
        winner, loser, weight = one
        won, lost = (items == winner).astype(means.dtype), (items == loser).astype(means.dtype)
        spread = variances + drift**2
        scale = jnp.sqrt(2.0 * noise**2 + jnp.sum((won + lost) * spread))
        margin = jnp.sum((won - lost) * means) / scale
        log_density = jax.scipy.stats.norm.logpdf(margin)
        shift = jnp.exp(log_density - jax.scipy.stats.norm.logcdf(margin))
        shrink = shift * (shift + margin)
        moved = means + (won - lost) * spread / scale * shift
        left = spread * (1.0 - spread / scale**2 * shrink)
        narrowed = jnp.where(won + lost > 0, left, variances)
        counts = weight > 0
        return (jnp.where(counts, moved, means), jnp.where(counts, narrowed, variances)), None

    items = jnp.arange(num_items)
    start = (jnp.full(num_items, mean), jnp.full(num_items, float(deviation) ** 2))
    (means, variances), _ = jax.lax.scan(step, start, (winners, losers, weights))
    return Skills(means, jnp.sqrt(variances))
