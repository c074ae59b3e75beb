"""Reward statistics and reward shaping for fine-tuning by rewards.

Rewards of a black box have an arbitrary offset and scale. A running mean and standard deviation
over the sampled batches turn them into numbers of order one, so that one temperature, one clipping
threshold and one critic serve every reward.

Shapes: ``B`` samples of a batch.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks

SHAPINGS = ("none", "standardize", "squash")
"""``"none"``: ``R``; ``"standardize"``: ``(R - mean) / std``; ``"squash"``: ``tanh`` of that."""

_CONSTANT = 1e-6  # a standard deviation below this share of the largest reward is rounding


class RewardStatistics(NamedTuple):
    """Running moments of the rewards, the same weight for every batch at first, then a decay.

    Attributes:
        mean: ``float32[]``.
        variance: ``float32[]``, of single rewards around ``mean``.
        count: ``float32[]``, batches seen, up to the memory that the decay allows.
    """

    mean: jax.Array
    variance: jax.Array
    count: jax.Array


def reward_statistics() -> RewardStatistics:
    """Return the statistics of no reward: mean 0, variance 0, no batch seen."""
    return RewardStatistics(jnp.zeros(()), jnp.zeros(()), jnp.zeros(()))


def update_statistics(
    statistics: RewardStatistics, rewards: jax.Array, *, decay: float = 0.99
) -> RewardStatistics:
    """Update the running mean and variance with a batch of rewards; non-finite ones are left out.

    The first ``1 / (1 - decay)`` batches are averaged with equal weights, so there is no bias
    towards the initial zeros; from then on old batches are forgotten at rate ``decay``.

    Args:
        statistics: before the batch.
        rewards: ``[B]``.
        decay: weight of the past, in ``[0, 1)``.

    Returns:
        The statistics after the batch; the same ones if no reward is finite.

    Raises:
        ValueError: for a decay outside ``[0, 1)`` or rewards of another shape.

    Example:
        >>> seen = update_statistics(reward_statistics(), jnp.array([1.0, 3.0]))
        >>> float(seen.mean), float(seen.variance)
        (2.0, 1.0)
    """
    checks.real("decay", decay, 0.0, below=1.0)
    rewards = checks.numbers("rewards", rewards, (None,))
    is_finite = jnp.isfinite(rewards)
    number = jnp.sum(is_finite)
    some = jnp.maximum(number, 1)
    mean = jnp.sum(jnp.where(is_finite, rewards, 0.0)) / some
    variance = jnp.sum(jnp.where(is_finite, jnp.square(rewards - mean), 0.0)) / some
    count = jnp.minimum(statistics.count + 1.0, 1.0 / (1.0 - decay))
    share = 1.0 / count
    step = mean - statistics.mean
    updated = RewardStatistics(
        statistics.mean + share * step,
        # Law of total variance of the mixture of the past and the batch.
        (1.0 - share) * statistics.variance
        + share * variance
        + share * (1.0 - share) * jnp.square(step),
        count,
    )
    return jax.tree.map(lambda new, old: jnp.where(number > 0, new, old), updated, statistics)


def shape_rewards(
    rewards: jax.Array, statistics: RewardStatistics, shaping: str = "standardize"
) -> jax.Array:
    """Normalize rewards with their running mean and standard deviation.

    Constant rewards have no standard deviation to divide by; their shaped rewards are 0, so every
    sample gets the same weight.

    Args:
        rewards: ``[B]``; non-finite ones give 0, for callers that mask them.
        statistics: of :func:`update_statistics`.
        shaping: one of :data:`SHAPINGS`.

    Returns:
        ``float32[B]``.

    Raises:
        ValueError: for an unknown shaping or rewards of another shape.

    Example:
        >>> rewards = jnp.array([100.0, 300.0])
        >>> seen = update_statistics(reward_statistics(), rewards)
        >>> shape_rewards(rewards, seen).tolist()
        [-1.0, 1.0]
    """
    checks.choice("shaping", shaping, SHAPINGS)
    rewards = checks.numbers("rewards", rewards, (None,))
    rewards = jnp.where(jnp.isfinite(rewards), rewards, statistics.mean)
    if shaping == "none":
        return rewards
    std = jnp.sqrt(statistics.variance)
    varies = std > _CONSTANT * jnp.abs(statistics.mean)
    scaled = (rewards - statistics.mean) / jnp.where(varies, std, 1.0)
    scaled = jnp.where(varies, scaled, 0.0)
    return jnp.tanh(scaled) if shaping == "squash" else scaled


def check_rewards(rewards: jax.Array) -> None:
    """Check that a batch of rewards is finite and not constant; traced rewards pass unchecked.

    Args:
        rewards: ``[B]``.

    Raises:
        ValueError: naming the value.

    Example:
        >>> check_rewards(jnp.ones(3))
        Traceback (most recent call last):
        ...
        ValueError: rewards: expected at least two different values, got 1 for all 3 samples
    """
    rewards = checks.numbers("rewards", rewards, (None,))
    if checks.is_traced(rewards):
        return
    if not bool(jnp.isfinite(rewards).all()):
        bad = rewards[~jnp.isfinite(rewards)]
        raise ValueError(
            f"rewards: expected finite numbers, got {float(bad[0])} for {bad.size} of "
            f"{rewards.size} samples"
        )
    if rewards.size == 0 or bool((rewards == rewards[0]).all()):
        shown = (
            f"{float(rewards[0]):.6g} for all {rewards.size} samples" if rewards.size else "none"
        )
        raise ValueError(f"rewards: expected at least two different values, got {shown}")
