"""The limit of infinitely many agents as a density on a grid, pushed forward without sampling.

Agents observe for themselves, so the push-forward carries the law of the *observation* too: every
cell's mass is spread over what its agents may observe, then over the actions the rule draws, then
over where noise takes them. Gaussians are replaced by Gauss-Hermite nodes, and mass that lands
between cells is shared by its neighbours in proportion, which keeps the total and the mean. The
spread that this adds, a sixth of a squared cell on average, is taken off the noise's.

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

from jaxswarm.collective._aggregation import AggregationParams
from jaxswarm.collective.headings import HeadingParams
from jaxswarm.collective.rules import Rule, check_numbers_fit


class Limit(NamedTuple):
    """``returns []`` discounted, ``rewards [T]``, and ``density`` at the end (sums to 1)."""

    returns: jax.Array
    rewards: jax.Array
    density: jax.Array


def kuramoto_limit(
    rule: Rule,
    numbers: jax.Array,
    num_steps: int,
    parameters: HeadingParams,
    *,
    cells: int = 256,
    nodes: int = 5,
    discount: Any = 0.99,
) -> Limit:
    """``J`` of decision rules for infinitely many oscillators spread evenly over a torus.

    With positions independent of phases at the start they stay so, everyone sees the mean of the
    whole law, and the law of the phase alone is the state. From perfect disorder (``width`` 1) it
    stays there: order then begins with fluctuations that only finite swarms have.

    Args:
        rule: the parametrisation.
        numbers: ``[T, P]`` or ``[P]``.
        num_steps: ``T``.
        parameters: the physics of :func:`jaxswarm.collective.kuramoto`.
        cells: ``C`` of the circle.
        nodes: ``Q`` per Gaussian.
        discount: factor per step.

    Raises:
        ValueError: numbers for another grid or length, sizes below 1 (cells below 8).
    """
    numbers = _sequence(rule, numbers, num_steps, cells, nodes)
    p, step = parameters, 2.0 * np.pi / cells
    # Cell c is the middle of [−π + c step, −π + (c + 1) step).
    angles = jnp.asarray((-np.pi + step * (np.arange(cells) + 0.5)).astype(np.float32))
    two, share_two = _hermite(nodes)
    blur = 0.0 if p.blur is None else p.blur
    noise = _sharpened(p.noise, step)
    start = jnp.clip(
        p.width * cells / 2.0 - jnp.abs(jnp.arange(cells) + 0.5 - cells / 2.0) + 0.5, 0.0, 1.0
    )
    offsets = jnp.abs((angles[:, None] - angles[None, :] + jnp.pi) % (2.0 * jnp.pi) - jnp.pi)

    def advance(density: jax.Array, now: jax.Array) -> tuple[jax.Array, tuple[Any, Any]]:
        mean = jnp.stack([density @ jnp.cos(angles), density @ jnp.sin(angles)])

        def of_cell(angle: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            turn = jnp.stack([jnp.cos(angle), jnp.sin(angle)])
            y = jnp.stack([mean @ turn, mean[1] * turn[0] - mean[0] * turn[1]])

            center, deviation = jax.vmap(lambda e: rule.law(now, y + blur * e))(two)
            action = jnp.clip(center + deviation * two[None, :, 0], -1.0, 1.0)
            target = angle + p.turn * action + noise * two[None, :, 1]
            share = share_two[:, None] * share_two[None, :]
            effort = jnp.sum(share * jnp.square(action))
            return target.reshape(-1), share.reshape(-1), effort

        target, share, effort = jax.vmap(of_cell)(angles)
        place = (target + jnp.pi) / step - 0.5
        below = jnp.floor(place)
        part = place - below
        mass = density[:, None] * share
        cell = below.astype(jnp.int32)
        moved = jnp.zeros(cells).at[cell % cells].add(mass * (1.0 - part))
        moved = moved.at[(cell + 1) % cells].add(mass * part)
        reward = -moved @ (offsets @ moved) - p.cost * (density @ effort)
        return moved, (reward, None)

    density, (rewards, _) = jax.lax.scan(advance, start / jnp.sum(start), numbers)
    return Limit(rewards @ jnp.asarray(discount) ** jnp.arange(num_steps), rewards, density)


def aggregation_limit(
    rule: Rule,
    numbers: jax.Array,
    num_steps: int,
    parameters: AggregationParams,
    *,
    side: float = 4.0,
    cells: int = 32,
    nodes: int = 3,
    discount: Any = 0.99,
) -> Limit:
    """``J`` of decision rules for infinitely many aggregating agents, on ``C × C`` cells.

    Cells wider than the noise blur what they hold; the result converges as they grow in number.
    Arguments as of :func:`kuramoto_limit`, with the physics of
    :func:`jaxswarm.collective`.
    """
    numbers = _sequence(rule, numbers, num_steps, cells, nodes)
    p, step = parameters, side / cells
    middle = (step * (np.arange(cells) + 0.5)).astype(np.float32)
    places = np.stack(np.meshgrid(middle, middle, indexing="ij"), -1).reshape(-1, 2)
    grid = jnp.asarray(places)
    two, share_two = _hermite(nodes)
    noise = _sharpened(p.noise, step)
    # Two random points of one unit cell are 0.5214 apart on average.
    apart = np.sqrt(np.sum((places[:, None] - places[None]) ** 2, axis=-1))
    apart = jnp.asarray(apart + step * 0.5214 * np.eye(cells**2, dtype=np.float32))

    def advance(density: jax.Array, now: jax.Array) -> tuple[jax.Array, jax.Array]:
        def of_cell(place: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
            seen = (place - side / 2.0)[None, :] + p.blur * two
            center, deviation = jax.vmap(lambda y: rule.law(now, y))(seen)
            action = center[:, None, :] + deviation[:, None, :] * two[None, :, :]
            action = jnp.clip(action, -1.0, 1.0).reshape(-1, 2)
            share = (share_two[:, None] * share_two[None, :]).reshape(-1)
            effort = share @ jnp.sum(jnp.square(action), axis=1)
            target = (place[None, :] + p.speed * action)[:, None, :] + noise * two[None, :, :]
            share = (share[:, None] * share_two[None, :]).reshape(-1)
            return target.reshape(-1, 2), share, effort

        target, share, effort = jax.vmap(of_cell)(grid)
        folded = jnp.mod(target, 2.0 * side)
        folded = jnp.where(folded > side, 2.0 * side - folded, folded)
        place = folded / step - 0.5
        below = jnp.floor(place)
        part = place - below
        cell = below.astype(jnp.int32)
        mass = density[:, None] * share
        moved = jnp.zeros((cells, cells))
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            # Half a cell before a wall there is no next cell: that mass stays.
            row = jnp.clip(cell[..., 0] + i, 0, cells - 1)
            column = jnp.clip(cell[..., 1] + j, 0, cells - 1)
            split = (part[..., 0] if i else 1.0 - part[..., 0]) * (
                part[..., 1] if j else 1.0 - part[..., 1]
            )
            moved = moved.at[row, column].add(mass * split)
        flat = moved.reshape(-1)
        reward = -flat @ (apart @ flat) - p.cost * (density @ effort)
        return flat, reward

    start = jnp.full(cells**2, 1.0 / cells**2)
    density, rewards = jax.lax.scan(advance, start, numbers)
    returns = rewards @ jnp.asarray(discount) ** jnp.arange(num_steps)
    return Limit(returns, rewards, density.reshape(cells, cells))


def _hermite(nodes: int) -> tuple[jax.Array, jax.Array]:
    """Nodes ``[Q², 2]`` and weights ``[Q²]`` of two independent standard normal numbers."""
    at, weight = np.polynomial.hermite_e.hermegauss(nodes)
    two = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)
    share = np.outer(weight, weight).reshape(-1) / weight.sum() ** 2
    return jnp.asarray(two, jnp.float32), jnp.asarray(share, jnp.float32)


def _sharpened(noise: Any, step: float) -> jax.Array:
    return jnp.sqrt(jnp.maximum(jnp.square(jnp.asarray(noise)) - step**2 / 6.0, 0.0))


def _sequence(rule: Rule, numbers: jax.Array, num_steps: int, cells: int, nodes: int) -> jax.Array:
    check_numbers_fit(rule, numbers)
    if num_steps < 1 or nodes < 1 or cells < 8:
        raise ValueError(
            f"num_steps, nodes, cells: expected at least 1, 1 and 8, got {num_steps}, {nodes}, "
            f"{cells}"
        )
    if jnp.ndim(numbers) == 2 and len(numbers) != num_steps:
        raise ValueError(f"numbers: expected {num_steps} rules, got {len(numbers)}")
    return jnp.broadcast_to(numbers, (num_steps, rule.num_parameters))
