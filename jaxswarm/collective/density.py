"""Mean-field limit of infinitely many agents: a density on a grid, pushed forward without sampling.

The push-forward includes the distribution of the *observations*: every cell's mass is spread over
its agents' possible observations, then over the actions of the rule, then over the noise of the
transition. Gaussians are replaced by Gauss-Hermite nodes, and mass that lands between cells is
shared by the adjacent ones in proportion, which keeps the total and the mean. The variance that
this adds, a sixth of a squared cell on average, is subtracted from that of the noise.

Shapes: ``C`` cells per dimension, ``Q`` quadrature nodes, ``T`` steps.

References:
    K. Cui et al., Learning decentralized partially observable mean field control for artificial
    collective behavior, 2024 (the limit). R. Hockney, J. Eastwood, Computer simulation using
    particles, 1981 (cloud in cell).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.collective.aggregation import AggregationTaskParams
from jaxswarm.collective.headings import HeadingTaskParams
from jaxswarm.collective.rules import DecisionRule, check_rule_params
from jaxswarm.swarms.dynamics import check_numbers
from jaxswarm.types import ArrayLike


class Limit(NamedTuple):
    """Results in the limit.

    Attributes:
        returns: ``[]``, discounted.
        rewards: ``[T]``.
        density: at the end; sums to 1.
    """

    returns: jax.Array
    rewards: jax.Array
    density: jax.Array


def kuramoto_limit(
    rule: DecisionRule,
    rule_params: jax.Array,
    num_steps: int,
    params: HeadingTaskParams,
    *,
    cells: int = 256,
    nodes: int = 5,
    discount: ArrayLike = 0.99,
) -> Limit:
    """Return of decision rules for infinitely many oscillators, distributed uniformly on a torus.

    Positions that are independent of phases at the start stay so; every agent then observes the
    mean of the whole distribution, and the distribution of the phase alone is the state. Complete
    disorder (``width`` 1) does not change: order then begins with fluctuations of finite swarms.

    Args:
        rule: the parametrization.
        rule_params: ``[T, P]`` or ``[P]``.
        num_steps: ``T``.
        params: the physics of :func:`jaxswarm.collective.kuramoto_task`.
        cells: ``C`` of the circle.
        nodes: ``Q`` per Gaussian.
        discount: factor per step.

    Raises:
        ValueError: parameters for another grid or length, sizes below 1 (cells below 8).
    """
    num_steps, cells, nodes = _sizes(num_steps, cells, nodes)
    _check_physics(params, HeadingTaskParams, discount)
    sequence = _sequence(rule, rule_params, num_steps)
    step = 2.0 * np.pi / cells
    # Cell c is the middle of [−π + c step, −π + (c + 1) step).
    angles = jnp.asarray((-np.pi + step * (np.arange(cells) + 0.5)).astype(np.float32))
    normal, weights = _hermite(nodes)
    blur = 0.0 if params.blur is None else params.blur
    noise = _reduced_std(params.noise, step)
    start = jnp.clip(
        params.width * cells / 2.0 - jnp.abs(jnp.arange(cells) + 0.5 - cells / 2.0) + 0.5, 0.0, 1.0
    )
    offsets = jnp.abs((angles[:, None] - angles[None, :] + jnp.pi) % (2.0 * jnp.pi) - jnp.pi)

    def advance(density: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean = jnp.stack([density @ jnp.cos(angles), density @ jnp.sin(angles)])

        def of_cell(angle: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            own = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
            y = jnp.stack([mean @ own, mean[1] * own[0] - mean[0] * own[1]])

            center, std = jax.vmap(lambda e: rule.distribution(now, y + blur * e))(normal)
            action = jnp.clip(center + std * normal[None, :, 0], -1.0, 1.0)
            target = angle + params.turn * action + noise * normal[None, :, 1]
            weight = weights[:, None] * weights[None, :]
            effort = jnp.sum(weight * jnp.square(action))
            return target.reshape(-1), weight.reshape(-1), effort

        target, weight, effort = jax.vmap(of_cell)(angles)
        position = (target + jnp.pi) / step - 0.5
        below = jnp.floor(position)
        fraction = position - below
        mass = density[:, None] * weight
        cell = below.astype(jnp.int32)
        moved = jnp.zeros(cells).at[cell % cells].add(mass * (1.0 - fraction))
        moved = moved.at[(cell + 1) % cells].add(mass * fraction)
        reward = -moved @ (offsets @ moved) - params.cost * (density @ effort)
        return moved, reward

    density, rewards = jax.lax.scan(advance, start / jnp.sum(start), sequence)
    return Limit(rewards @ jnp.asarray(discount) ** jnp.arange(num_steps), rewards, density)


def aggregation_limit(
    rule: DecisionRule,
    rule_params: jax.Array,
    num_steps: int,
    params: AggregationTaskParams,
    *,
    side: float = 4.0,
    cells: int = 32,
    nodes: int = 3,
    discount: ArrayLike = 0.99,
) -> Limit:
    """Return of decision rules for infinitely many aggregating agents, on ``C × C`` cells.

    Cells wider than the noise smooth the density; the result converges with their number. Arguments
    as of :func:`kuramoto_limit`, with the physics of
    :func:`jaxswarm.collective.aggregation_task`.
    """
    num_steps, cells, nodes = _sizes(num_steps, cells, nodes)
    _check_physics(params, AggregationTaskParams, discount)
    side = float(checks.real("side", checks.concrete("side", side), above=0.0))
    sequence = _sequence(rule, rule_params, num_steps)
    step = side / cells
    middle = (step * (np.arange(cells) + 0.5)).astype(np.float32)
    centers = np.stack(np.meshgrid(middle, middle, indexing="ij"), -1).reshape(-1, 2)
    grid = jnp.asarray(centers)
    normal, weights = _hermite(nodes)
    noise = _reduced_std(params.noise, step)
    # Two random points of one unit cell are 0.5214 apart on average.
    distance = np.sqrt(np.sum((centers[:, None] - centers[None]) ** 2, axis=-1))
    distance = jnp.asarray(distance + step * 0.5214 * np.eye(cells**2, dtype=np.float32))

    def advance(density: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
        def of_cell(place: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            observations = (place - side / 2.0)[None, :] + params.blur * normal
            center, std = jax.vmap(lambda y: rule.distribution(now, y))(observations)
            action = center[:, None, :] + std[:, None, :] * normal[None, :, :]
            action = jnp.clip(action, -1.0, 1.0).reshape(-1, 2)
            weight = (weights[:, None] * weights[None, :]).reshape(-1)
            effort = weight @ jnp.sum(jnp.square(action), axis=1)
            moved = place[None, :] + params.speed * action
            target = moved[:, None, :] + noise * normal[None, :, :]
            weight = (weight[:, None] * weights[None, :]).reshape(-1)
            return target.reshape(-1, 2), weight, effort

        target, weight, effort = jax.vmap(of_cell)(grid)
        folded = jnp.mod(target, 2.0 * side)
        folded = jnp.where(folded > side, 2.0 * side - folded, folded)
        position = folded / step - 0.5
        below = jnp.floor(position)
        fraction = position - below
        cell = below.astype(jnp.int32)
        mass = density[:, None] * weight
        moved = jnp.zeros((cells, cells))
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            # Half a cell before a wall there is no next cell: that mass stays.
            row = jnp.clip(cell[..., 0] + i, 0, cells - 1)
            column = jnp.clip(cell[..., 1] + j, 0, cells - 1)
            split = (fraction[..., 0] if i else 1.0 - fraction[..., 0]) * (
                fraction[..., 1] if j else 1.0 - fraction[..., 1]
            )
            moved = moved.at[row, column].add(mass * split)
        flat = moved.reshape(-1)
        reward = -flat @ (distance @ flat) - params.cost * (density @ effort)
        return flat, reward

    start = jnp.full(cells**2, 1.0 / cells**2)
    density, rewards = jax.lax.scan(advance, start, sequence)
    returns = rewards @ jnp.asarray(discount) ** jnp.arange(num_steps)
    return Limit(returns, rewards, density.reshape(cells, cells))


def _hermite(nodes: int) -> tuple[jax.Array, jax.Array]:
    """Nodes ``[Q², 2]`` and weights ``[Q²]`` of two independent standard normal numbers."""
    x, weight = np.polynomial.hermite_e.hermegauss(nodes)
    pairs = np.stack(np.meshgrid(x, x, indexing="ij"), axis=-1).reshape(-1, 2)
    weights = np.outer(weight, weight).reshape(-1) / weight.sum() ** 2
    return jnp.asarray(pairs, jnp.float32), jnp.asarray(weights, jnp.float32)


def _reduced_std(noise: ArrayLike, step: float) -> jax.Array:
    """Standard deviation of the noise less the spread that sharing between cells adds."""
    return jnp.sqrt(jnp.maximum(jnp.square(jnp.asarray(noise)) - step**2 / 6.0, 0.0))


def _sizes(num_steps: int, cells: int, nodes: int) -> tuple[int, int, int]:
    return (
        checks.whole("num_steps", num_steps, 1),
        checks.whole("cells", cells, 8),
        checks.whole("nodes", nodes, 1),
    )


def _check_physics(params: Any, kind: type, discount: ArrayLike) -> None:
    checks.instance("params", params, kind, f"{kind.__name__}()")
    check_numbers(**{name: x for name, x in params._asdict().items() if x is not None})
    checks.probability("discount", discount)


def _sequence(rule: DecisionRule, rule_params: jax.Array, num_steps: int) -> jax.Array:
    check_rule_params(rule, rule_params)
    checks.real("rule_params", rule_params, shape=None)
    if np.ndim(rule_params) > 2:
        raise ValueError(f"rule_params: expected [T, P] or [P], got {np.shape(rule_params)}")
    if np.ndim(rule_params) == 2 and len(rule_params) != num_steps:
        raise ValueError(f"rule_params: expected {num_steps} rules, got {len(rule_params)}")
    return jnp.broadcast_to(jnp.asarray(rule_params), (num_steps, rule.num_params))
