"""The Couzin model: concentric zones of repulsion, orientation (alignment) and attraction.

Depending on the width of the orientation zone, the same group forms a swarm, a torus (milling) or a
parallel group.

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
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.space import Space, length, search
from jaxswarm.swarms.dynamics import (
    Dynamics,
    Number,
    Swarm,
    SwarmInfo,
    check_numbers,
    check_space,
    check_speed,
    normals,
    random_swarm,
    swarm_info,
)

FIELD = math.radians(270.0)
"""The paper's field of view."""
TURN = math.radians(40.0)
"""The paper's maximum turning rate per second."""


class CouzinParams(NamedTuple):
    """Parameters of the Couzin model, by default the paper's for 100 agents; all may be traced.

    Attributes:
        repulsion: radius of the zone of repulsion, the unit of length.
        orientation: outer radius of the zone of orientation, at least ``repulsion``.
        attraction: outer radius of the zone of attraction, at most the ``radius`` of
            :func:`couzin`.
        field: field of view, radians; ``2π − field`` is the blind angle behind an agent.
        turn: maximum turning rate, radians per second.
        noise: standard deviation of the error of the desired direction, radians.
        speed: distance per second.
    """

    repulsion: Number = 1.0
    orientation: Number = 2.5
    attraction: Number = 16.5
    field: Number = FIELD
    turn: Number = TURN
    noise: Number = 0.05
    speed: Number = 3.0


def couzin(
    space: Space,
    num_agents: int,
    *,
    repulsion: Number = 1.0,
    orientation: Number = 2.5,
    attraction: Number = 16.5,
    field: Number = FIELD,
    turn: Number = TURN,
    noise: Number = 0.05,
    speed: Number = 3.0,
    radius: float = 16.5,
    dt: float = 0.1,
    capacity: int | None = None,
    method: str = "auto",
) -> Dynamics:
    """Agents avoid neighbours in the repulsion zone, else align with and approach the others.

    Desired directions are sums of unit vectors, as published; an agent whose desired direction is
    zero keeps its heading. It turns towards the desired direction, with an error, by at most
    ``turn · dt``. Zones have hard edges, so gradients with respect to their radii are zero.

    Args:
        space: of two or three dimensions; the paper's is open.
        num_agents: ``N``.
        repulsion: see :class:`CouzinParams`.
        orientation: likewise.
        attraction: likewise.
        field: likewise.
        turn: likewise.
        noise: likewise.
        speed: likewise.
        radius: largest interaction distance; static, it fixes the width of the search's cells.
        dt: seconds per step.
        capacity: see :func:`jaxswarm.space.search`.
        method: likewise.

    Returns:
        A :class:`Dynamics` over :class:`Swarm`; agents start at uniform positions in the box.

    Raises:
        ValueError: for one dimension, negative numbers, zones in the wrong order or wider than
            ``radius``, and what :func:`jaxswarm.space.search` refuses.
    """
    check_space(space)
    if space.dimensions < 2:
        raise ValueError(f"space: expected two or three dimensions, got {space.dimensions}")
    neighbors = search(space, radius, num_agents, capacity=capacity, method=method)
    num_agents = neighbors.num_agents
    defaults = CouzinParams(repulsion, orientation, attraction, field, turn, noise, speed)
    check_numbers(**defaults._asdict())
    check_speed(speed, dt, radius)
    zones = (repulsion, orientation, attraction, radius)
    known = [zone for zone in zones if not checks.is_traced(zone)]
    if any(float(a) > float(b) * (1 + 1e-6) for a, b in itertools.pairwise(known)):
        raise ValueError(
            "repulsion, orientation, attraction, radius: expected each at most the next, got "
            f"{zones}"
        )

    def init(key: jax.Array, active: ArrayLike | None = None) -> Swarm:
        return random_swarm(key, space, num_agents, speed, active)

    def step(
        key: jax.Array, state: Swarm, parameters: CouzinParams | None = None
    ) -> tuple[Swarm, SwarmInfo]:
        p = defaults if parameters is None else parameters
        heading = _unit(state.velocities)

        def contribution(own: jax.Array, other: jax.Array, offset: jax.Array) -> Any:
            away = length(offset)
            towards = offset / jnp.where(away > 0.0, away, 1.0)
            ahead = jnp.sum(own * towards) >= jnp.cos(p.field / 2.0)
            near = (away < p.repulsion) & (away > 0.0)
            middle = (away >= p.repulsion) & (away < p.orientation) & ahead
            far = (away >= p.orientation) & (away <= p.attraction) & ahead
            return (
                jnp.where(near, -towards, 0.0),
                jnp.where(middle, other, 0.0),
                jnp.where(far, towards, 0.0),
            )

        summed, report = neighbors.reduce(
            state.positions, contribution, heading, active=state.active
        )
        avoid, align, approach = summed
        avoids = jnp.any(avoid != 0.0, axis=1)[:, None]
        desired = jnp.where(avoids, avoid, _unit(align) + _unit(approach))
        none = (length(desired) < 1e-9)[:, None]
        desired = _unit(jnp.where(none, heading, desired))
        desired = _unit(desired + p.noise * normals(key, num_agents, space.dimensions))
        turned = _turned(heading, desired, p.turn * dt)
        positions, velocities = space.move(
            state.positions + dt * p.speed * turned, p.speed * turned
        )
        after = agents.where(state.active, Swarm(positions, velocities, state.active), state)
        return after, swarm_info(after, report)

    return Dynamics(init, step, defaults)


def _unit(vectors: jax.Array) -> jax.Array:
    size = length(vectors)[:, None]
    return vectors / jnp.where(size > 0.0, size, 1.0)


def _turned(heading: jax.Array, desired: jax.Array, maximum: Number) -> jax.Array:
    """``heading`` turned towards ``desired`` in their common plane by at most ``maximum`` rad."""
    along = jnp.sum(heading * desired, axis=1, keepdims=True)
    aside = desired - along * heading
    sine = length(aside)[:, None]
    # For opposite directions every plane will do: take a fixed one.
    spare = jnp.roll(heading, 1, axis=1).at[:, 0].multiply(-1.0)
    spare = _unit(spare - jnp.sum(spare * heading, axis=1, keepdims=True) * heading)
    aside = jnp.where(sine > 1e-6, aside / jnp.where(sine > 1e-6, sine, 1.0), spare)
    angle = jnp.minimum(jnp.arctan2(sine, along), maximum)
    return _unit(jnp.cos(angle) * heading + jnp.sin(angle) * aside)
