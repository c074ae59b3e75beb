"""Weights of samples from their rewards or advantages, normalized so that no exponential overflows.

Shapes: ``B`` samples of a batch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike

Weighting = Callable[[jax.Array], jax.Array]
"""``weighting(advantages [B]) -> [B]``, monotone and positive; only ratios of weights count."""


def clip_advantages(advantages: jax.Array, clip: ArrayLike | None) -> jax.Array:
    """Clip advantages to ``[-clip, clip]``.

    Args:
        advantages: ``[B]``, in units of the shaped reward.
        clip: threshold, > 0; ``None`` clips nothing.

    Raises:
        ValueError: for ``clip <= 0``.

    Example:
        >>> clip_advantages(jnp.array([-2.0, 0.1, 2.0]), 0.5).tolist()
        [-0.5, 0.10000000149011612, 0.5]
    """
    advantages = checks.numbers("advantages", advantages, (None,))
    if clip is None:
        return advantages
    checks.real("clip", clip, above=0.0)
    return jnp.clip(advantages, -jnp.asarray(clip), jnp.asarray(clip))


def exponential_weights(
    advantages: jax.Array, temperature: ArrayLike, where: jax.Array | None = None
) -> jax.Array:
    """Weights ``exp(temperature · advantage)``, divided by their mean over the batch.

    Computed as ``B · softmax``, so that advantages of any size give finite weights. With mean one,
    the balance between the weighted loss and the penalty towards the reference does not depend on
    temperature, nor on the rewards' offset.

    Args:
        advantages: ``[B]``: rewards, or rewards minus a critic's values.
        temperature: ``τ >= 0``; 0 gives equal weights.
        where: ``bool[B]``, samples that count; the others get weight 0 and have no influence.

    Returns:
        ``float32[B]``, nonnegative, of mean one over the samples that count.

    Raises:
        ValueError: for a negative temperature or arguments of another shape.

    Example:
        >>> exponential_weights(jnp.array([0.0, 1e4]), 1.0).tolist()
        [0.0, 2.0]
    """
    checks.real("temperature", temperature, 0.0)
    advantages = checks.numbers("advantages", advantages, (None,))
    counts = _counts(advantages, where)
    logits = jnp.where(counts, jnp.asarray(temperature) * advantages, -jnp.inf)
    largest = jnp.max(logits, initial=-jnp.inf)
    shifted = logits - jnp.where(jnp.isfinite(largest), largest, 0.0)
    return _mean_one(jnp.exp(shifted), counts)


def function_weights(
    advantages: jax.Array, weighting: Weighting, where: jax.Array | None = None
) -> jax.Array:
    """Weights by any positive monotone function of the advantage, divided by their mean.

    Args:
        advantages: ``[B]``.
        weighting: such as ``jax.nn.softplus``.
        where: ``bool[B]``, samples that count; the others get weight 0.

    Returns:
        ``float32[B]``, nonnegative, of mean one over the samples that count. Negative and
        non-finite weights count as 0.

    Raises:
        ValueError: if ``weighting`` does not return ``[B]``.

    Example:
        >>> function_weights(jnp.array([-1.0, 3.0]), jax.nn.relu).tolist()
        [0.0, 2.0]
    """
    checks.function("weighting", weighting)
    advantages = checks.numbers("advantages", advantages, (None,))
    counts = _counts(advantages, where)
    raw = weighting(advantages)
    if jnp.shape(raw) != advantages.shape:
        raise ValueError(
            f"weighting: expected to return shape {advantages.shape}, got {jnp.shape(raw)}"
        )
    return _mean_one(jnp.where(jnp.isfinite(raw) & (raw > 0.0), raw, 0.0), counts)


def top_share_weights(
    rewards: jax.Array, share: ArrayLike, where: jax.Array | None = None
) -> jax.Array:
    """Equal weights for the best share of a batch and 0 for the rest (RAFT's filter).

    Ties are broken by the position in the batch.

    Args:
        rewards: ``[B]``.
        share: of the samples that count, in ``(0, 1]``; at least one sample is kept.
        where: ``bool[B]``, samples that count; the others get weight 0.

    Returns:
        ``float32[B]``, of mean one over the samples that count.

    Raises:
        ValueError: for a share outside ``(0, 1]``.

    Example:
        >>> top_share_weights(jnp.array([0.1, 0.9, 0.5, 0.2]), 0.5).tolist()
        [0.0, 2.0, 2.0, 0.0]
    """
    checks.real("share", share, high=1.0, above=0.0)
    rewards = checks.numbers("rewards", rewards, (None,))
    counts = _counts(rewards, where)
    order = jnp.argsort(jnp.where(counts, -rewards, jnp.inf))
    rank = jnp.zeros(rewards.shape, jnp.int32).at[order].set(jnp.arange(rewards.shape[0]))
    kept = jnp.maximum(jnp.floor(jnp.asarray(share) * jnp.sum(counts)), 1)
    return _mean_one((rank < kept).astype(jnp.float32), counts)


def _counts(values: jax.Array, where: jax.Array | None) -> jax.Array:
    finite = jnp.isfinite(values)
    if where is None:
        return finite
    return finite & jnp.asarray(checks.mask("where", where, values.shape))


def _mean_one(weights: jax.Array, counts: jax.Array) -> jax.Array:
    """Weights of mean one over the samples that count; all zeros stay zeros."""
    weights = jnp.where(counts, weights, 0.0)
    total = jnp.sum(weights)
    return weights * jnp.sum(counts) / jnp.where(total > 0.0, total, 1.0)
