"""What a critic or an upper level sees of a swarm: its mean field as a vector.

Shapes: ``N`` agents, ``D`` coordinates, ``M`` numbers of the vector.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.collective.task import SwarmState, SwarmTask


class MeanField(NamedTuple):
    """``of(state) -> [M]``, ``size`` ``M``; the same for every order of the agents."""

    size: int
    of: Callable[[SwarmState], jax.Array]


def histogram(task: SwarmTask, *, bins: int = 7) -> MeanField:
    """Shares of the agents in ``bins ** D`` boxes of equal size, times their number.

    Times their number, so that 1 is the uniform law whatever ``bins``.

    Raises:
        ValueError: if ``bins < 1``.
    """
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    low, high = (np.asarray(bound, np.float32) for bound in task.coordinate_bounds)
    size = bins ** len(low)
    strides = bins ** np.arange(len(low) - 1, -1, -1)

    def of(state: SwarmState) -> jax.Array:
        share = (task.coordinates(state) - low[None, :]) / (high - low)[None, :]
        place = jnp.clip(jnp.floor(share * bins), 0, bins - 1).astype(jnp.int32)
        box = jnp.sum(place * strides[None, :], axis=1)
        counts = jnp.zeros(size).at[box].add(1.0, mode="drop")
        return counts * (size / task.num_agents)

    return MeanField(size, of)


def kernel_features(
    task: SwarmTask, *, points: int = 7, bandwidth: float | None = None
) -> MeanField:
    """Mean Gaussian kernel between the agents and a grid of ``points ** D`` places.

    Scaled so that the uniform law gives 1 (less at borders that do not wrap).

    Args:
        task: gives coordinates, their ranges and which of them are periodic.
        points: per dimension.
        bandwidth: in units of the distance between places; 0.6 if omitted.

    Raises:
        ValueError: if ``points < 1``, or the bandwidth is not positive.
    """
    if points < 1:
        raise ValueError(f"points: expected at least 1, got {points}")
    width = 0.6 if bandwidth is None else bandwidth
    if not math.isfinite(width) or width <= 0.0:
        raise ValueError(f"bandwidth: expected a positive finite number, got {bandwidth}")
    low, high = (np.asarray(bound, np.float32) for bound in task.coordinate_bounds)
    period = np.where(np.asarray(task.periodic), high - low, np.inf).astype(np.float32)
    step = (high - low) / points
    # A product of one-dimensional kernels: N · D · points exponentials, not N · points ** D.
    places = np.stack([a + s * (np.arange(points) + 0.5) for a, s in zip(low, step, strict=True)])
    uniform = (math.sqrt(2.0 * math.pi) * width / points) ** len(low)
    wraps = np.isfinite(period)
    length = np.where(wraps, period, 1.0)

    def of(state: SwarmState) -> jax.Array:
        at = task.coordinates(state)

        def along(axis: int) -> jax.Array:
            offset = at[:, axis, None] - places[axis][None, :]
            if wraps[axis]:
                offset = offset - length[axis] * jnp.round(offset / length[axis])
            return jnp.exp(-0.5 * jnp.square(offset / (width * step[axis])))

        joint = along(0)
        for axis in range(1, len(low)):
            joint = (joint[:, :, None] * along(axis)[:, None, :]).reshape(len(at), -1)
        return jnp.mean(joint, axis=0) / uniform

    return MeanField(points ** len(low), of)
