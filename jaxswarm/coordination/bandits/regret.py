"""Regret of bandits: loss against the best choice, and its rate of growth.

Shapes: ``T`` steps.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks, statistics


def step_regret(means: jax.Array, valid: ArrayLike, chosen: jax.Array) -> jax.Array:
    """Regret of one step ``[...]``: best valid mean less the mean of the choice.

    It is 0 where no candidate is valid; a choice of -1 (no candidate) earns 0.

    Args:
        means: ``float32[..., L]``, expected rewards, hidden from the learner.
        valid: ``bool[..., L]``.
        chosen: ``int32[...]``, -1 for no candidate.

    Raises:
        ValueError: for other shapes, or a choice that names no candidate.
    """
    means = checks.numbers("means", means)
    if not means.ndim or not means.shape[-1]:
        raise ValueError(f"means: expected [..., L] of at least one candidate, got {means.shape}")
    valid = jnp.asarray(checks.mask("valid", valid, means.shape))
    most = means.shape[-1] - 1
    chosen = jnp.asarray(checks.wholes("chosen", chosen, -1, most, shape=means.shape[:-1]))
    best = jnp.max(jnp.where(valid, means, -jnp.inf), axis=-1)
    best = jnp.where(valid.any(axis=-1), best, 0.0)
    place = jnp.maximum(chosen, 0)[..., None]
    earned = jnp.take_along_axis(means, place, axis=-1)[..., 0]
    return best - jnp.where(chosen >= 0, earned, 0.0)


def regret_growth(regret: ArrayLike, *, start: int = 100) -> np.ndarray:
    """Exponent of growth ``[S]``: slope of ``log R_t`` against ``log t`` from ``start`` on.

    1 is linear regret (no learning), 1/2 that of an optimal rule.

    Args:
        regret: ``[S, T]``, of each step.
        start: steps to leave out, at least 1.

    Raises:
        ValueError: if fewer than ten steps remain.
    """
    start = checks.whole("start", start, 1)
    checks.real("regret", checks.concrete("regret", regret), shape=(None, None))
    steps = np.asarray(regret, np.float64)
    if steps.shape[1] < start + 10:
        raise ValueError(
            f"regret: expected [S, T] with T of at least {start + 10}, got {steps.shape}"
        )
    total = np.cumsum(steps, axis=1)
    at = np.unique(np.geomspace(start, steps.shape[1], 40).astype(int))
    logs = np.log(np.maximum(total[:, at - 1], 1e-9))
    return np.array([statistics.linear_fit(np.log(at), row).slope for row in logs])
