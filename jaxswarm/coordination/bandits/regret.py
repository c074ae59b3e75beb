"""Regret: what was lost against the best choice, and how fast it grows.

Shapes: ``T`` steps.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxswarm import statistics


def step_regret(means: Any, valid: Any, chosen: Any) -> Any:
    """``[...]``: best valid mean less the mean of the choice; 0 where nothing was valid.

    A choice of -1 (nobody) earns 0.

    Args:
        means: ``[..., L]``, expected rewards, known to the recorder alone.
        valid: ``bool[..., L]``.
        chosen: ``int32[...]``, -1 for nobody.
    """
    best = jnp.max(jnp.where(valid, means, 0.0), axis=-1)
    place = jnp.maximum(chosen, 0)[..., None]
    got = jnp.take_along_axis(means, place, axis=-1)[..., 0]
    return best - jnp.where(chosen >= 0, got, 0.0)


def growth(regret: Any, *, start: int = 100) -> np.ndarray:
    """``[S]``: slope of ``log R_t`` against ``log t`` from step ``start`` on.

    1 is linear regret (nothing learnt), 1/2 that of an optimal rule.

    Args:
        regret: ``[S, T]``, of each step.
        start: steps to leave out, at least 1.

    Raises:
        ValueError: if fewer than ten steps remain.
    """
    steps = np.asarray(regret, np.float64)
    if steps.ndim != 2 or start < 1 or steps.shape[1] < start + 10:
        raise ValueError(
            f"regret: expected [S, T] with T of at least {start + 10}, got {steps.shape}"
        )
    total = np.cumsum(steps, axis=1)
    at = np.unique(np.geomspace(start, steps.shape[1], 40).astype(int))
    logs = np.log(np.maximum(total[:, at - 1], 1e-9))
    return np.array([statistics.linear_fit(np.log(at), row).slope for row in logs])
