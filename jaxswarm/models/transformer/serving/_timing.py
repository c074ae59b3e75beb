"""Wall time of compiled programs: the median of repeats after a warm-up."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxswarm import checks


class Timing(NamedTuple):
    """Wall time of one program.

    Attributes:
        median: in seconds.
        seconds: ``float64[repeats]``, of each repeat, in order.
    """

    median: float
    seconds: np.ndarray

    @property
    def spread(self) -> float:
        """Distance of the quartiles as a fraction of the median."""
        low, high = np.quantile(self.seconds, [0.25, 0.75])
        return float((high - low) / self.median)


def timed(
    fn: Callable[..., Any],
    *args: Any,
    repeats: int = 5,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> Timing:
    """Measure the wall time of ``fn(*args)``, waiting for its outputs.

    Args:
        fn: such as a function compiled by ``jax.jit``; its first calls compile it.
        *args: of the function.
        repeats: calls that are measured, at least 1.
        warm_up: calls before them, at least 1.
        clock: seconds.

    Raises:
        ValueError: for what is no function, or counts below 1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> timed(jax.jit(jnp.sin), jnp.ones(3), repeats=3).seconds.shape
        (3,)
    """
    checks.function("fn", fn)
    repeats = checks.whole("repeats", repeats, 1)
    for _ in range(checks.whole("warm_up", warm_up, 1)):
        jax.block_until_ready(fn(*args))
    seconds = np.zeros(repeats)
    for i in range(repeats):
        start = clock()
        jax.block_until_ready(fn(*args))
        seconds[i] = clock() - start
    return Timing(float(np.median(seconds)), seconds)
