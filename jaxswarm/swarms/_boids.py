"""Reynolds' boids: steering by separation, alignment and cohesion.

Shapes: ``N`` agents, ``d`` dimensions.

References:
    C. Reynolds, Flocks, herds, and schools: a distributed behavioral model, 1987.
"""

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
    clip_length,
    random_swarm,
    swarm_info,
)


class BoidsParams(NamedTuple):
    """Parameters of the boids model; all may be traced.

    Attributes:
        separation: weight of the steering away from neighbours nearer than ``personal`` radii.
        alignment: weight of the steering towards the neighbours' mean velocity.
        cohesion: weight of the steering towards the neighbours' mean position.
        personal: distance below which separation acts, as a share of the radius.
        min_speed: lower bound of the speed.
        max_speed: upper bound of the speed, which is also the speed at the start.
    """

    separation: Number = 0.005
    alignment: Number = 0.2
    cohesion: Number = 0.05
    personal: Number = 0.5
    min_speed: Number = 0.2
    max_speed: Number = 0.4


def boids(
    space: Space,
    num_agents: int,
    *,
    separation: Number = 0.005,
    alignment: Number = 0.2,
    cohesion: Number = 0.05,
    personal: Number = 0.5,
    min_speed: Number = 0.2,
    max_speed: Number = 0.4,
    radius: float = 1.0,
    dt: float = 1.0,
    capacity: int | None = None,
    method: str = "auto",
) -> Dynamics:
    """Agents steer by separation, alignment and cohesion with neighbours within a radius.

    The dynamics are chaotic: gradients through more than a few steps are large and of little use.

    Args:
        space: of any dimension.
        num_agents: ``N``.
        separation: see :class:`BoidsParams`.
        alignment: likewise.
        cohesion: likewise.
        personal: likewise.
        min_speed: likewise.
        max_speed: likewise.
        radius: interaction radius.
        dt: time step.
        capacity: see :func:`jaxswarm.space.search`; a number makes reverse-mode differentiation
            possible for large ``N``.
        method: see :func:`jaxswarm.space.search`.

    Returns:
        A :class:`Dynamics` over :class:`Swarm`.

    Raises:
        ValueError: for negative numbers, ``min_speed`` above ``max_speed``, a displacement per step
            above the radius, and what :func:`jaxswarm.space.search` refuses.

    Example:
        >>> import jax, jaxswarm as js
        >>> model = js.swarms.boids(js.space.Space((5.0, 5.0)), 20, alignment=0.5)
        >>> state = model.init(jax.random.key(0))
        >>> state, records = js.rollout(model.step, state, 50, key=jax.random.key(1))
        >>> state.positions.shape, bool(records.info.polarization[-1] > 0.9)
        ((20, 2), True)
    """
    check_space(space)
    neighbors = search(space, radius, num_agents, capacity=capacity, method=method)
    num_agents = neighbors.num_agents
    defaults = BoidsParams(separation, alignment, cohesion, personal, min_speed, max_speed)
    check_numbers(**defaults._asdict())
    check_speed(max_speed, dt, radius)
    known = not any(checks.is_traced(number) for number in (min_speed, max_speed))
    if known and float(min_speed) > float(max_speed):
        raise ValueError(f"min_speed: expected at most max_speed = {max_speed}, got {min_speed}")

    def init(key: jax.Array, active: ArrayLike | None = None) -> Swarm:
        return random_swarm(key, space, num_agents, max_speed, active)

    def step(
        key: jax.Array, state: Swarm, parameters: BoidsParams | None = None
    ) -> tuple[Swarm, SwarmInfo]:
        p = defaults if parameters is None else parameters

        def contribution(own: Any, velocity: jax.Array, offset: jax.Array) -> Any:
            squared = jnp.sum(jnp.square(offset))
            near = (squared < jnp.square(p.personal * radius)) & (squared > 0.0)
            # Away along the line between the two agents, with strength 1 / distance.
            push = jnp.where(near, radius / jnp.where(near, squared, 1.0), 0.0)
            return jnp.ones(()), velocity, offset, -push * offset

        summed, report = neighbors.reduce(
            state.positions, contribution, state.velocities, active=state.active
        )
        count, velocity, offset, away = summed
        divisor = jnp.maximum(count, 1.0)[:, None]
        alone = (count == 0.0)[:, None]
        align = jnp.where(alone, 0.0, velocity / divisor - state.velocities)
        steer = p.separation * away + p.alignment * align + p.cohesion * offset / divisor
        velocities = clip_length(state.velocities + dt * steer, p.max_speed)
        speed = length(velocities)[:, None]
        slow = (speed < p.min_speed) & (speed > 0.0)
        velocities = velocities * jnp.where(slow, p.min_speed / jnp.where(slow, speed, 1.0), 1.0)
        positions, velocities = space.move(state.positions + dt * velocities, velocities)
        after = agents.where(state.active, Swarm(positions, velocities, state.active), state)
        return after, swarm_info(after, report)

    return Dynamics(init, step, defaults)
