"""Decision rules: maps from an agent's observation to the distribution of its action, as vectors.

The vector of parameters is the upper level's *action*: it is chosen once for the whole swarm, and
every agent then samples its own action from the rule. A rule is a diagonal Gaussian whose mean and
standard deviation are given at a grid of observations, and interpolated by a kernel or constant
over bins.

Shapes: ``B`` grid points, ``Y`` numbers of an observation, ``U`` of an action, ``P = 2 B U``.

References:
    K. Cui et al., Learning decentralized partially observable mean field control for artificial
    collective behavior, 2024 (kernels instead of bins).
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.collective.task import SwarmTask, check_task, clip_actions
from jaxswarm.types import Key


class DecisionRule(NamedTuple):
    """A parametrisation of decision rules for one task; functions are of one agent.

    Attributes:
        num_params: ``P``; every parameter is in ``[−1, 1]``.
        grid: ``[B, Y]``, the observations that the parameters belong to.
        distribution: ``distribution(params [P], y [Y]) -> (mean [U], std [U])``.
        sample: ``sample(key, params, y) -> action [U]``, within the task's bounds.
        params_of: ``params_of(fn, std) -> [P]``, the rule whose means at the grid are ``fn(y)`` and
            whose standard deviation is the same everywhere (both clipped to the rule's range).
        lipschitz: whether the distribution is Lipschitz in ``y``, as the convergence theory asks.
    """

    num_params: int
    grid: np.ndarray
    distribution: Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    sample: Callable[[Key, jax.Array, jax.Array], jax.Array]
    params_of: Callable[..., jax.Array]
    lipschitz: bool


def kernel_rule(
    task: SwarmTask,
    *,
    points: int = 5,
    bandwidth: Any = 0.6,
    std_range: tuple[float, float] = (0.02, 0.5),
) -> DecisionRule:
    """Make a rule of parameters at the midpoints of bins, mixed with normalized RBF weights.

    As the bandwidth goes to zero this becomes :func:`histogram_rule`.

    Args:
        task: gives the range of observations and actions.
        points: per dimension of the observation, at least 2.
        bandwidth: of the kernel, in units of the distance between grid points; may be traced.
        std_range: smallest and largest standard deviation of an action, as fractions of half its
            range.

    Raises:
        ValueError: fewer than two points, a bandwidth that is not positive, a ``std_range`` that is
            not increasing and positive.

    Example:
        >>> from jaxswarm import collective
        >>> task = collective.kuramoto_task(6)
        >>> rule = collective.kernel_rule(task, points=3)
        >>> params = rule.params_of(lambda y: 1.5 * y[1:], 0.1)  # turn towards the neighbours
        >>> params.shape == (rule.num_params,)
        True
    """
    checks.real("bandwidth", bandwidth, above=0.0)
    points = checks.whole("points", points, 2)
    grid, _, spacing = _midpoints(task, points)

    def weights(y: jax.Array) -> jax.Array:
        offset = (jnp.asarray(grid) - y[None, :]) / spacing[None, :]
        return jax.nn.softmax(-0.5 * jnp.sum(jnp.square(offset / bandwidth), axis=1))

    return _rule(task, grid, weights, std_range, lipschitz=True)


def histogram_rule(
    task: SwarmTask, *, points: int = 5, std_range: tuple[float, float] = (0.02, 0.5)
) -> DecisionRule:
    """Make a rule of parameters that are constant over bins of equal size.

    Arguments and errors as of :func:`kernel_rule`; observations out of range fall in the outermost
    bin.
    """
    points = checks.whole("points", points, 2)
    grid, low, spacing = _midpoints(task, points)
    strides = points ** np.arange(len(low) - 1, -1, -1)

    def weights(y: jax.Array) -> jax.Array:
        bin_ = jnp.clip(jnp.floor((y - low) / spacing), 0, points - 1).astype(jnp.int32)
        weight = jax.nn.one_hot(jnp.sum(bin_ * strides), len(grid))
        return jnp.where(jnp.isfinite(y).all(), weight, jnp.nan)  # a NaN is in no bin

    return _rule(task, grid, weights, std_range, lipschitz=False)


def check_rule_params(rule: DecisionRule, rule_params: jax.Array) -> None:
    """Refuse parameters of a rule with another grid.

    Raises:
        ValueError: if the last axis is not ``P``.
    """
    checks.instance("rule", rule, DecisionRule, "collective.kernel_rule(task)")
    checks.numbers("rule_params", rule_params)
    if np.ndim(rule_params) < 1 or np.shape(rule_params)[-1] != rule.num_params:
        raise ValueError(
            f"rule_params: expected a last axis of {rule.num_params}, for a grid of "
            f"{len(rule.grid)} observations, got shape {np.shape(rule_params)}"
        )


def warn_unless_lipschitz(rule: DecisionRule) -> None:
    """Warn that the ``O(1/√N)`` theory does not cover a rule with jumps."""
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
    std_range: tuple[float, float],
    *,
    lipschitz: bool,
) -> DecisionRule:
    checks.real("std_range", checks.concrete("std_range", std_range), above=0.0, shape=(2,))
    least, most = std_range
    if not least < most:
        raise ValueError(f"std_range: expected increasing positive numbers, got {std_range}")
    low, high = (np.asarray(bound, np.float32) for bound in task.action_bounds)
    size = len(low)
    middle: Any = (low + high) / 2.0
    half: Any = (high - low) / 2.0
    count = 2 * len(grid) * size

    def distribution(params: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
        outputs = weights(y) @ params.reshape(len(grid), 2 * size)
        unit = (outputs[size:] + 1.0) / 2.0
        return outputs[:size] * half + middle, (least + (most - least) * unit) * half

    def sample(key: Key, params: jax.Array, y: jax.Array) -> jax.Array:
        mean, std = distribution(params, y)
        return clip_actions(task, mean + std * flat(jax.random.normal, key, mean.shape))

    def params_of(fn: Callable[[jax.Array], jax.Array], std: float = 0.1) -> jax.Array:
        checks.function("fn", fn)
        checks.real("std", std, 0.0)
        means = jax.vmap(fn)(jnp.asarray(grid))
        if means.shape != (len(grid), size):
            wanted = (size,)
            raise ValueError(f"fn: expected actions of shape {wanted}, got {means.shape[1:]}")
        stds = jnp.full_like(means, 2.0 * (std - least) / (most - least) - 1.0)
        table = jnp.concatenate([(means - middle[None, :]) / half[None, :], stds], axis=1)
        return jnp.clip(table, -1.0, 1.0).reshape(-1)

    return DecisionRule(count, grid, distribution, sample, params_of, lipschitz)


def _midpoints(task: SwarmTask, points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Midpoints ``[B, Y]`` of the bins, their lower bound ``[Y]`` and their width ``[Y]``."""
    check_task(task)
    low, high = (np.asarray(bound, np.float32) for bound in task.observation_bounds)
    width = (high - low) / points
    axes = [a + s * (np.arange(points) + 0.5) for a, s in zip(low, width, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(low))
    return grid.astype(np.float32), low, width
