"""Decision rules: a whole map from what an agent observes to the law of its action, as one vector.

The vector is the upper level's *action*: it is chosen once for the whole swarm, and every agent
then draws its own action from it. A rule is a diagonal Gaussian whose mean and deviation are known
at a grid of observations, and between them mixed by a kernel or taken from the bin.

Shapes: ``B`` grid points, ``Y`` numbers of an observation, ``U`` of an action, ``P = 2 B U``.

References:
    K. Cui et al., Learning decentralized partially observable mean field control for artificial
    collective behavior, 2024 (kernels instead of bins).
"""

import math
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxswarm.collective.task import SwarmTask, clipped


class Rule(NamedTuple):
    """A parametrisation of decision rules for one task; functions are of one agent.

    Attributes:
        num_parameters: ``P``; every number is in ``[−1, 1]``.
        grid: ``[B, Y]``, the observations the numbers belong to.
        law: ``law(numbers [P], y [Y]) -> (mean [U], deviation [U])``.
        sample: ``sample(key, numbers, y) -> action [U]``, within the task's bounds.
        numbers_of: ``numbers_of(fn, deviation) -> [P]``, the rule whose means at the grid are
            ``fn(y)`` and whose deviation is the same everywhere (both clipped to what it can say).
        lipschitz: whether the law is Lipschitz in ``y``, as the convergence theory asks.
    """

    num_parameters: int
    grid: np.ndarray
    law: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    sample: Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
    numbers_of: Callable[..., jax.Array]
    lipschitz: bool


def kernel_rule(
    task: SwarmTask,
    *,
    points: int = 5,
    bandwidth: Any = 0.6,
    deviations: tuple[float, float] = (0.02, 0.5),
) -> Rule:
    """Numbers at the middles of bins, mixed with normalised Gaussian (RBF) weights.

    As the bandwidth goes to zero this becomes :func:`histogram_rule`.

    Args:
        task: gives the range of observations and actions.
        points: per dimension of the observation, at least 2.
        bandwidth: of the kernel, in units of the distance between grid points; may be traced.
        deviations: smallest and largest standard deviation of an action, as shares of half its
            range.

    Raises:
        ValueError: fewer than two points, a bandwidth that is not positive, deviations that are
            not increasing and positive.
    """
    if not isinstance(bandwidth, Tracer) and not (math.isfinite(bandwidth) and bandwidth > 0.0):
        raise ValueError(f"bandwidth: expected a positive finite number, got {bandwidth}")
    grid, _, spacing = _middles(task, points)

    def weights(y: jax.Array) -> jax.Array:
        offset = (jnp.asarray(grid) - y[None, :]) / spacing[None, :]
        return jax.nn.softmax(-0.5 * jnp.sum(jnp.square(offset / bandwidth), axis=1))

    return _rule(task, grid, weights, deviations, lipschitz=True)


def histogram_rule(
    task: SwarmTask, *, points: int = 5, deviations: tuple[float, float] = (0.02, 0.5)
) -> Rule:
    """Numbers constant over bins of equal size: as many as the kernel has points.

    Arguments and errors as of :func:`kernel_rule`; observations out of range fall in the outermost
    bin.
    """
    grid, low, spacing = _middles(task, points)
    strides = points ** np.arange(len(low) - 1, -1, -1)

    def weights(y: jax.Array) -> jax.Array:
        place = jnp.clip(jnp.floor((y - low) / spacing), 0, points - 1).astype(jnp.int32)
        return jax.nn.one_hot(jnp.sum(place * strides), len(grid))

    return _rule(task, grid, weights, deviations, lipschitz=False)


def check_numbers_fit(rule: Rule, numbers: jax.Array) -> None:
    """Refuse rule parameters made for another grid.

    Raises:
        ValueError: if the last axis is not ``P``.
    """
    if jnp.ndim(numbers) < 1 or jnp.shape(numbers)[-1] != rule.num_parameters:
        raise ValueError(
            f"numbers: expected {rule.num_parameters} at the end, for a grid of "
            f"{len(rule.grid)} observations, got shape {jnp.shape(numbers)}"
        )


def warn_unless_lipschitz(rule: Rule) -> None:
    """Say that the ``O(1/√N)`` theory does not cover a rule with jumps."""
    if not rule.lipschitz:
        warnings.warn(
            "this decision rule jumps between bins: the convergence guarantee assumes a Lipschitz "
            "rule, such as kernel_rule",
            stacklevel=3,
        )


def _rule(
    task: SwarmTask,
    grid: np.ndarray,
    weights: Callable[[jax.Array], jax.Array],
    deviations: tuple[float, float],
    *,
    lipschitz: bool,
) -> Rule:
    least, most = deviations
    if not (math.isfinite(most) and 0.0 < least < most):
        raise ValueError(f"deviations: expected increasing positive numbers, got {deviations}")
    low, high = (np.asarray(bound, np.float32) for bound in task.action_bounds)
    size = len(low)
    middle: Any = (low + high) / 2.0
    half: Any = (high - low) / 2.0
    count = 2 * len(grid) * size

    def law(numbers: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        table = weights(y) @ numbers.reshape(len(grid), 2 * size)
        share = (table[size:] + 1.0) / 2.0
        mean, deviation = table[:size] * half + middle, (least + (most - least) * share) * half
        return mean, deviation

    def sample(key: jax.Array, numbers: jax.Array, y: jax.Array) -> jax.Array:
        mean, deviation = law(numbers, y)
        return clipped(task, mean + deviation * jax.random.normal(key, mean.shape))

    def numbers_of(fn: Callable[[jax.Array], jax.Array], deviation: float = 0.1) -> jax.Array:
        means = jax.vmap(fn)(jnp.asarray(grid))
        spread = jnp.full_like(means, 2.0 * (deviation - least) / (most - least) - 1.0)
        table = jnp.concatenate([(means - middle[None, :]) / half[None, :], spread], axis=1)
        return jnp.clip(table, -1.0, 1.0).reshape(-1)

    return Rule(count, grid, law, sample, numbers_of, lipschitz)


def _middles(task: SwarmTask, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles ``[B, Y]`` of the bins, where they begin ``[Y]``, and how wide they are ``[Y]``."""
    if points < 2:
        raise ValueError(f"points: expected at least 2 per dimension, got {points}")
    low, high = (np.asarray(bound, np.float32) for bound in task.observation_bounds)
    wide = (high - low) / points
    axes = [a + s * (np.arange(points) + 0.5) for a, s in zip(low, wide, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))
    return grid.astype(np.float32), low, wide
