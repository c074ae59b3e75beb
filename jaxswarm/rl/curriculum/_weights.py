"""Sampling weights over the slots of a level buffer: ranks, proportions, staleness.

Shapes: ``C`` slots.

References:
    M. Jiang, E. Grefenstette, T. Rocktäschel, Prioritized level replay, 2021 (rank and proportional
    transforms, staleness).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike


def rank_weights(score: ArrayLike, support: ArrayLike, temperature: ArrayLike) -> jax.Array:
    """Weights ``(1 / rank)^(1 / temperature)`` by descending score, ``float32[C]`` of sum 1.

    Ranks count the slots in ``support`` only; of equal scores the earlier slot ranks first. The
    last rank has a positive weight too.

    Args:
        score: ``float[C]``, may be infinite.
        support: ``bool[C]``; other slots have weight 0, all of them if there are none.
        temperature: above 0; small for the best slots only, infinite for uniform weights.

    Raises:
        ValueError: for shapes that differ, or a known temperature that is not positive.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.rl import curriculum
        >>> score, support = jnp.array([1.0, 3.0, 2.0]), jnp.array([True, True, False])
        >>> (3 * curriculum.rank_weights(score, support, 1.0)).round(2).tolist()
        [1.0, 2.0, 0.0]
    """
    score, support = _of_slots(score, support)
    check_temperature("temperature", temperature)
    order = jnp.argsort(jnp.where(support, -score, jnp.inf), stable=True)
    # Slots outside come last, but so do those of score -inf inside: count the support's own ranks.
    rank = jnp.zeros(order.shape, jnp.int32).at[order].set(jnp.cumsum(support[order]))
    logits = -jnp.log(jnp.maximum(rank, 1).astype(jnp.float32)) / temperature
    return _normalized(jnp.exp(logits), support)


def proportional_weights(score: ArrayLike, support: ArrayLike, temperature: ArrayLike) -> jax.Array:
    """Weights ``score^(1 / temperature)``, ``float32[C]`` of sum 1; uniform if all scores are 0.

    Args:
        score: ``float[C]``; negative ones count as 0.
        support: ``bool[C]``; other slots have weight 0.
        temperature: above 0, may be infinite.

    Raises:
        ValueError: as :func:`rank_weights`.
    """
    score, support = _of_slots(score, support)
    check_temperature("temperature", temperature)
    positive = support & (score > 0.0)
    # Relative to the largest, so that small temperatures do not overflow.
    largest = jnp.max(jnp.where(positive, score, 0.0))
    share = jnp.where(positive, score / jnp.where(largest > 0.0, largest, 1.0), 1.0)
    weights = jnp.where(positive, share ** (1.0 / jnp.asarray(temperature, jnp.float32)), 0.0)
    return _normalized(weights, support)


def staleness_weights(last_seen: ArrayLike, clock: ArrayLike, support: ArrayLike) -> jax.Array:
    """Weights in proportion to the iterations since a level was replayed, ``float32[C]`` of sum 1.

    Args:
        last_seen: ``int32[C]``, iteration of the last replay.
        clock: ``int32[]``, the present iteration.
        support: ``bool[C]``; other slots have weight 0. Uniform if none of them is stale.

    Raises:
        ValueError: for shapes that differ.
    """
    last_seen, support = _of_slots(last_seen, support)
    age = jnp.maximum(jnp.asarray(clock) - last_seen, 0).astype(jnp.float32)
    return _normalized(age, support)


def check_temperature(name: str, temperature: ArrayLike) -> None:
    """Refuse a known temperature that is not positive; infinite and traced ones pass.

    Raises:
        ValueError: naming it.
    """
    checks.real(name, temperature, above=0.0, infinite=True)


def _of_slots(values: ArrayLike, support: ArrayLike) -> tuple[jax.Array, jax.Array]:
    known = values if isinstance(values, jax.Array) else checks.as_array("score", values, "numbers")
    if np.ndim(known) != 1:
        raise ValueError(f"score: expected shape [slots], got {np.shape(known)}")
    return jnp.asarray(known), jnp.asarray(checks.mask("support", support, np.shape(known)))


def _normalized(weights: jax.Array, support: jax.Array) -> jax.Array:
    """Weights in the support with sum 1: uniform if they are all 0; 0 without support."""
    weights = jnp.where(support, weights, 0.0)
    total = jnp.sum(weights)
    uniform = support / jnp.maximum(jnp.sum(support), 1)
    return jnp.where(total > 0.0, weights / jnp.where(total > 0.0, total, 1.0), uniform)
