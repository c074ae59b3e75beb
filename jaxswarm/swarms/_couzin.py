"""Couzin's zones: away from those too near, along with those near, towards those far.

Depending on how wide the middle zone is, the same group mills about as a ball, turns as a ring or
flies off in parallel.

Shapes: ``N`` agents, ``d`` dimensions.

References:
    I. D. Couzin, J. Krause, R. James, G. D. Ruxton, N. R. Franks, Collective memory and spatial
    sorting in animal groups, 2002.
"""

import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxswarm import agents
from jaxswarm.space import Space, length, search
from jaxswarm.swarms.law import (
    Law,
    Swarm,
    SwarmInfo,
    check_numbers,
    check_speed,
    normals,
    scattered,
)
from jaxswarm.swarms.order import polarization


class CouzinParams(NamedTuple):
    """Numbers of the law, the paper's for 100 individuals; all may be traced.

    Attributes:
        repulsion: radius of the innermost zone, the unit of length.
        orientation: outer radius of the middle zone, at least ``repulsion``.
        attraction: outer radius of the last zone, at most the law's ``radius``.
        field: angle that an agent sees, radians; ``2π − field`` is its blind angle behind.
        turn: fastest turn, radians per second.
        noise: standard deviation of the error of the wanted direction, radians.
        speed: distance per second.
    """

    repulsion: Any = 1.0
    orientation: Any = 2.5
    attraction: Any = 16.5
    field: Any = math.radians(270.0)
    turn: Any = math.radians(40.0)
    noise: Any = 0.05
    speed: Any = 3.0


def couzin(
    space: Space,
    num_agents: int,
    *,
    radius: float = 16.5,
    parameters: CouzinParams = CouzinParams(),  # noqa: B008
    dt: float = 0.1,
    capacity: int | None = None,
    method: str = "auto",
) -> Law:
    """Whoever has somebody in the innermost zone flees them all; the others align and approach.

    Wanted directions are sums of unit vectors, as published; an agent that wants none, or its own,
    flies on. It turns towards the wanted direction, with an error, by at most ``turn · dt``.

    Args:
        space: of two or three dimensions; the paper's is open.
        num_agents: ``N``.
        radius: static, how far anyone can see.
        parameters: zones, angles and speed.
        dt: seconds per step.
        capacity: see :func:`jaxswarm.space`.
        method: likewise.

    Returns:
        A :class:`Law` over :class:`Swarm`; agents start anywhere in the box.

    Raises:
        ValueError: one dimension, negative numbers, zones in the wrong order or wider than
            ``radius``, and what :func:`jaxswarm.space` refuses.
    """
    if space.dimensions < 2:
        raise ValueError(f"space: expected two or three dimensions, got {space.dimensions}")
    look = search(space, radius, num_agents, capacity=capacity, method=method)
    check_numbers(**parameters._asdict())
    check_speed(parameters.speed, dt, radius)
    zones = (parameters.repulsion, parameters.orientation, parameters.attraction, radius)
    known = [zone for zone in zones if not isinstance(zone, Tracer)]
    if any(float(a) > float(b) * (1 + 1e-6) for a, b in itertools.pairwise(known)):
        raise ValueError(
            "repulsion, orientation, attraction, radius: expected each at most the next, got "
            f"{zones}"
        )

    def init(key: jax.Array, active: Any = None) -> Swarm:
        return scattered(key, space, num_agents, parameters.speed, active)

    def step(key: jax.Array, state: Swarm, given: Any = None) -> tuple[Swarm, SwarmInfo]:
        p = parameters if given is None else given
        way = _unit(state.velocities)

        def other(own: jax.Array, seen: jax.Array, offset: jax.Array) -> Any:
            away = length(offset)
            towards = offset / jnp.where(away > 0.0, away, 1.0)
            ahead = jnp.sum(own * towards) >= jnp.cos(p.field / 2.0)
            near = (away < p.repulsion) & (away > 0.0)
            middle = (away >= p.repulsion) & (away < p.orientation) & ahead
            far = (away >= p.orientation) & (away <= p.attraction) & ahead
            return (
                jnp.where(near, -towards, 0.0),
                jnp.where(middle, seen, 0.0),
                jnp.where(far, towards, 0.0),
            )

        found, report = look.reduce(state.positions, other, way, active=state.active)
        flee, align, approach = found
        flees = jnp.any(flee != 0.0, axis=1)[:, None]
        wanted = jnp.where(flees, flee, _unit(align) + _unit(approach))
        none = (length(wanted) < 1e-9)[:, None]
        wanted = _unit(jnp.where(none, way, wanted))
        wanted = _unit(wanted + p.noise * normals(key, num_agents, space.dimensions))
        turned = _turned(way, wanted, p.turn * dt)
        positions, velocities = space.move(
            state.positions + dt * p.speed * turned, p.speed * turned
        )
        after = agents.where(state.active, Swarm(positions, velocities, state.active), state)
        return after, SwarmInfo(polarization(after.velocities, state.active), *report[:2])

    return Law(init, step, parameters)


def _unit(vectors: jax.Array) -> jax.Array:
    size = length(vectors)[:, None]
    return vectors / jnp.where(size > 0.0, size, 1.0)


def _turned(way: jax.Array, wanted: jax.Array, most: Any) -> jax.Array:
    """``way`` turned towards ``wanted`` in their common plane by at most ``most`` radians."""
    along = jnp.sum(way * wanted, axis=1, keepdims=True)
    aside = wanted - along * way
    sine = length(aside)[:, None]
    # Straight behind, any plane will do: a fixed one.
    spare = jnp.roll(way, 1, axis=1).at[:, 0].multiply(-1.0)
    spare = _unit(spare - jnp.sum(spare * way, axis=1, keepdims=True) * way)
    aside = jnp.where(sine > 1e-6, aside / jnp.where(sine > 1e-6, sine, 1.0), spare)
    angle = jnp.minimum(jnp.arctan2(sine, along), most)
    return _unit(jnp.cos(angle) * way + jnp.sin(angle) * aside)
