"""Reynolds' boids: keep apart, fly alike, stay together.

Shapes: ``N`` agents, ``d`` dimensions.

References:
    C. Reynolds, Flocks, herds, and schools: a distributed behavioral model, 1987.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.space import Space, length, search
from jaxswarm.swarms.law import (
    Law,
    Swarm,
    SwarmInfo,
    check_numbers,
    check_speed,
    limited,
    scattered,
)
from jaxswarm.swarms.order import polarization


class BoidsParams(NamedTuple):
    """Numbers of the law; all may be traced.

    Attributes:
        separation: weight of flying away from others nearer than ``personal`` radii.
        alignment: weight of the others' mean velocity.
        cohesion: weight of flying to the others' middle.
        personal: share of the radius within which others are too near.
        slowest: speeds are kept between this
        fastest: and this.
    """

    separation: Any = 0.005
    alignment: Any = 0.2
    cohesion: Any = 0.05
    personal: Any = 0.5
    slowest: Any = 0.2
    fastest: Any = 0.4


def boids(
    space: Space,
    num_agents: int,
    *,
    radius: float = 1.0,
    parameters: BoidsParams = BoidsParams(),  # noqa: B008
    dt: float = 1.0,
    capacity: int | None = None,
    method: str = "auto",
) -> Law:
    """Each steers by separation, alignment and cohesion among those within the radius.

    Args:
        space: of any dimension.
        num_agents: ``N``.
        radius: how far agents see.
        parameters: weights and speeds.
        dt: time step.
        capacity: see :func:`jaxswarm.space`.
        method: likewise.

    Returns:
        A :class:`Law` over :class:`Swarm`.

    Raises:
        ValueError: negative numbers, a speed above the radius per step, and what
            :func:`jaxswarm.space` refuses.
    """
    look = search(space, radius, num_agents, capacity=capacity, method=method)
    check_numbers(**parameters._asdict())
    check_speed(parameters.fastest, dt, radius)

    def init(key: jax.Array, active: Any = None) -> Swarm:
        return scattered(key, space, num_agents, parameters.fastest, active)

    def step(key: jax.Array, state: Swarm, p: Any = None) -> tuple[Swarm, SwarmInfo]:
        p = parameters if p is None else p

        def other(own: Any, seen: Any, offset: jax.Array) -> Any:
            squared = jnp.sum(jnp.square(offset))
            near = (squared < jnp.square(p.personal * radius)) & (squared > 0.0)
            # Away along the line between the two, harder the nearer: 1/distance.
            push = jnp.where(near, radius / jnp.where(near, squared, 1.0), 0.0)
            return jnp.ones(()), seen, offset, -push * offset

        found, report = look.reduce(state.positions, other, state.velocities, active=state.active)
        count, velocity, offset, away = found
        some = jnp.maximum(count, 1.0)[:, None]
        alone = (count == 0.0)[:, None]
        align = jnp.where(alone, 0.0, velocity / some - state.velocities)
        steer = p.separation * away + p.alignment * align + p.cohesion * offset / some
        velocities = limited(state.velocities + dt * steer, p.fastest)
        speed = length(velocities)[:, None]
        slow = (speed < p.slowest) & (speed > 0.0)
        velocities = velocities * jnp.where(slow, p.slowest / jnp.where(slow, speed, 1.0), 1.0)
        positions, velocities = space.move(state.positions + dt * velocities, velocities)
        after = agents.where(state.active, Swarm(positions, velocities, state.active), state)
        return after, SwarmInfo(polarization(after.velocities, state.active), *report[:2])

    return Law(init, step, parameters)
