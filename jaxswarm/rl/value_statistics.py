"""Running mean and standard deviation of a critic's targets, for value normalization.

A critic that regresses targets of mean 0 and standard deviation 1 needs no tuning to the scale of
the rewards. Advantages are computed from values in the rewards' units.

References:
    C. Yu et al., The surprising effectiveness of PPO in cooperative multi-agent games, 2022
    (value normalization); H. van Hasselt et al., Learning values across many orders of magnitude,
    2016 (PopArt, which also corrects the output layer; this does not).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.rl.returns import masked_mean
from jaxswarm.types import PyTree

DECAY = 0.999
"""Weight of the past in each iteration's moving averages."""
MIN_STD = 0.1
"""Standard deviations are kept above this, so that constant targets do not divide by 0."""


class ValueStatistics(NamedTuple):
    """Exponential moving averages with their total weight, ``[]`` each.

    Attributes:
        mean: of the targets, not yet divided by the weight.
        square: of their squares, likewise.
        weight: total weight so far; 0 before the first target.
    """

    mean: jax.Array
    square: jax.Array
    weight: jax.Array


class NormalizedState(NamedTuple):
    """``opt_state`` of the optimizer, and ``statistics`` of the value targets."""

    opt_state: PyTree
    statistics: ValueStatistics


def initial_statistics(num_learners: int | None = None) -> ValueStatistics:
    """Statistics without any target: mean 0, standard deviation 1.

    Args:
        num_learners: adds a leading axis; ``None`` for a single learner.
    """
    blank = jnp.zeros(() if num_learners is None else num_learners)
    return ValueStatistics(blank, blank, blank)


def updated_statistics(
    statistics: ValueStatistics, target: jax.Array, mask: jax.Array
) -> ValueStatistics:
    """Take targets into the averages; those outside of ``mask`` have no influence.

    Without any target the statistics stay as they are.
    """
    batch = (masked_mean(target, mask), masked_mean(jnp.square(target), mask), 1.0)
    new = (DECAY * x + (1.0 - DECAY) * y for x, y in zip(statistics, batch, strict=True))
    any_target = jnp.any(mask)
    kept = (jnp.where(any_target, x, y) for x, y in zip(new, statistics, strict=True))
    return ValueStatistics(*kept)


def moments(statistics: ValueStatistics) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation of the targets; 0 and 1 before the first."""
    seen = statistics.weight > 0.0
    weight = jnp.where(seen, statistics.weight, 1.0)
    mean = statistics.mean / weight
    variance = jnp.maximum(statistics.square / weight - jnp.square(mean), MIN_STD**2)
    return mean, jnp.where(seen, jnp.sqrt(variance), 1.0)


def standardized(statistics: ValueStatistics, target: jax.Array) -> jax.Array:
    """Targets in units of their standard deviation, around their mean."""
    mean, std = moments(statistics)
    return (target - mean) / std


def denormalized(statistics: ValueStatistics, value: jax.Array) -> jax.Array:
    """What a critic's normalized values stand for, in the rewards' units."""
    mean, std = moments(statistics)
    return value * std + mean
