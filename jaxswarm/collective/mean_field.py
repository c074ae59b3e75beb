"""Mean fields as vectors: histograms and kernel features of a swarm's distribution.

Shapes: ``N`` agents, ``D`` coordinates, ``M`` numbers of the vector.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.collective.task import SwarmTask, TaskState, check_task


class MeanField(NamedTuple):
    """Vector of a swarm's distribution, the same for every order of the agents.

    Attributes:
        size: ``M``.
        of: ``of(state) -> [M]``.
    """

    size: int
    of: Callable[[TaskState], jax.Array]


def histogram(task: SwarmTask, *, bins: int = 7) -> MeanField:
    """Make a histogram: fractions of the agents in ``bins ** D`` boxes, times the number of boxes.

    1 everywhere is the uniform distribution, whatever ``bins``; NaN if an agent is at a NaN.

    Args:
        task: gives coordinates and their ranges.
        bins: per dimension.

    Raises:
        ValueError: if ``bins < 1``.
    """
    check_task(task)
    bins = checks.whole("bins", bins, 1)
    low, high = (np.asarray(bound, np.float32) for bound in task.coordinate_bounds)
    size = bins ** len(low)
    strides = bins ** np.arange(len(low) - 1, -1, -1)

    def of(state: TaskState) -> jax.Array:
        x = task.coordinates(state)
        unit = (x - low[None, :]) / (high - low)[None, :]
        bin_ = jnp.clip(jnp.floor(unit * bins), 0, bins - 1).astype(jnp.int32)
        box = jnp.sum(bin_ * strides[None, :], axis=1)
        counts = jnp.zeros(size).at[box].add(1.0, mode="drop")
        # An agent at NaN is in no box: the whole histogram is NaN, as kernel features are.
        return jnp.where(jnp.isfinite(x).all(), counts * (size / task.num_agents), jnp.nan)

    return MeanField(size, of)


def kernel_features(
    task: SwarmTask, *, points: int = 7, bandwidth: float | None = None
) -> MeanField:
    """Make features: mean Gaussian kernel between the agents and ``points ** D`` grid points.

    Scaled so that the uniform distribution gives 1 (less at borders that do not wrap).

    Args:
        task: gives coordinates, their ranges and which of them are periodic.
        points: per dimension.
        bandwidth: in units of the distance between grid points; 0.6 if omitted.

    Raises:
        ValueError: if ``points < 1``, or the bandwidth is not positive.
    """
    check_task(task)
    points = checks.whole("points", points, 1)
    width = 0.6 if bandwidth is None else checks.concrete("bandwidth", bandwidth)
    width = float(checks.real("bandwidth", width, above=0.0))
    low, high = (np.asarray(bound, np.float32) for bound in task.coordinate_bounds)
    period = np.where(np.asarray(task.periodic), high - low, np.inf).astype(np.float32)
    step = (high - low) / points
    # A product of one-dimensional kernels: N · D · points exponentials, not N · points ** D.
    grid = np.stack([a + s * (np.arange(points) + 0.5) for a, s in zip(low, step, strict=True)])
    uniform = (math.sqrt(2.0 * math.pi) * width / points) ** len(low)
    periodic = np.isfinite(period)
    length = np.where(periodic, period, 1.0)

    def of(state: TaskState) -> jax.Array:
        x = task.coordinates(state)

        def kernel(axis: int) -> jax.Array:
            offset = x[:, axis, None] - grid[axis][None, :]
            if periodic[axis]:
                offset = offset - length[axis] * jnp.round(offset / length[axis])
            return jnp.exp(-0.5 * jnp.square(offset / (width * step[axis])))

        joint = kernel(0)
        for axis in range(1, len(low)):
            joint = (joint[:, :, None] * kernel(axis)[:, None, :]).reshape(len(x), -1)
        return jnp.mean(joint, axis=0) / uniform

    return MeanField(points ** len(low), of)
