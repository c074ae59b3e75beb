"""Cucker and Smale's flock: velocities drawn together, the less the farther apart.

Shapes: ``N`` agents, ``d`` dimensions.

References:
    F. Cucker, S. Smale, Emergent behavior in flocks, 2007.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.space import Space, search
from jaxswarm.swarms.law import Law, Swarm, SwarmInfo, check_numbers, check_speed, scattered
from jaxswarm.swarms.order import polarization


class CuckerSmaleParams(NamedTuple):
    """``strength`` ``K`` and ``decay`` ``β`` of ``K / (1 + distance²)^β``; both may be traced."""

    strength: Any = 1.0
    decay: Any = 0.4


def cucker_smale(
    space: Space,
    num_agents: int,
    *,
    radius: float,
    strength: Any = 1.0,
    decay: Any = 0.4,
    speed: float = 0.3,
    dt: float = 0.1,
    capacity: int | None = None,
    method: str = "auto",
) -> Law:
    """``v_i' = (1/N) Σ_j K (1 + |x_j − x_i|²)^(−β) (v_j − v_i)`` among those within the radius.

    The paper's flock has no radius: take one beyond all distances. Weights are symmetric, so
    the total momentum stays what it was, except where a reflecting wall takes it.

    Args:
        space: the box.
        num_agents: ``N``.
        radius: beyond it the pull is cut to zero.
        strength: see :class:`CuckerSmaleParams`.
        decay: likewise.
        speed: of every agent at the start, in a random direction.
        dt: time step of Euler's rule.
        capacity: see :func:`jaxswarm.space`.
        method: likewise.

    Returns:
        A :class:`Law` over :class:`Swarm`.

    Raises:
        ValueError: negative numbers, a step longer than the radius, and what
            :func:`jaxswarm.space` refuses.
    """
    look = search(space, radius, num_agents, capacity=capacity, method=method)
    check_numbers(strength=strength, decay=decay, speed=speed)
    check_speed(speed, dt, radius)
    defaults = CuckerSmaleParams(strength, decay)

    def init(key: jax.Array, active: Any = None) -> Swarm:
        return scattered(key, space, num_agents, speed, active)

    def step(key: jax.Array, state: Swarm, parameters: Any = None) -> tuple[Swarm, SwarmInfo]:
        p = defaults if parameters is None else parameters
        (pulled, weight), report = look.sum(
            state.positions,
            (state.velocities, jnp.ones(num_agents)),
            lambda squared: p.strength * (1.0 + squared) ** -p.decay,
            active=state.active,
        )
        taking = jnp.maximum(jnp.sum(state.active), 1)
        change = (pulled - weight[:, None] * state.velocities) / taking
        velocities = state.velocities + dt * change
        positions, velocities = space.move(state.positions + dt * state.velocities, velocities)
        after = agents.where(state.active, Swarm(positions, velocities, state.active), state)
        return after, SwarmInfo(polarization(after.velocities, state.active), *report[:2])

    return Law(init, step, defaults)
