"""The Cucker-Smale model: velocities align with a strength that decays with distance.

Shapes: ``N`` agents, ``d`` dimensions.

References:
    F. Cucker, S. Smale, Emergent behavior in flocks, 2007.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxswarm import agents
from jaxswarm.space import Space, search
from jaxswarm.swarms.dynamics import (
    Dynamics,
    Number,
    Swarm,
    SwarmInfo,
    check_numbers,
    check_space,
    check_speed,
    random_swarm,
    swarm_info,
)


class CuckerSmaleParams(NamedTuple):
    """``strength`` ``K`` and ``decay`` ``β`` of ``K / (1 + distance²)^β``; both may be traced."""

    strength: Number = 1.0
    decay: Number = 0.4


def cucker_smale(
    space: Space,
    num_agents: int,
    *,
    radius: float,
    strength: Number = 1.0,
    decay: Number = 0.4,
    speed: float = 0.3,
    dt: float = 0.1,
    capacity: int | None = None,
    method: str = "auto",
) -> Dynamics:
    """``v_i' = (1/N) Σ_j K (1 + |x_j − x_i|²)^(−β) (v_j − v_i)`` over neighbours within a radius.

    The paper's model has no radius: give one beyond all distances. Weights are symmetric, so the
    total momentum is conserved, except at a reflecting boundary.

    **Gradients** with respect to ``strength`` and ``decay`` are those of the trajectory as it is:
    exact without a radius (beyond all distances: within 0.2 % of differences over ±5 % after 20
    steps, 4 % after 200), while with one they miss what changes when agents cross its hard edge
    (−0.0090 against −0.0138 after 200 steps at radius 2 in a box of side 5). They are zero with
    respect to the radius, and fade as velocities agree: 10⁻⁵ after 1,000 steps.

    Args:
        space: the domain.
        num_agents: ``N``.
        radius: agents farther apart than this do not interact.
        strength: ``K``.
        decay: ``β``.
        speed: of every agent at the start, in a random direction.
        dt: time step of Euler's method.
        capacity: see :func:`jaxswarm.space.search`.
        method: likewise.

    Returns:
        A :class:`Dynamics` over :class:`Swarm`.

    Raises:
        ValueError: for negative numbers, a displacement per step above the radius, and what
            :func:`jaxswarm.space.search` refuses.
    """
    check_space(space)
    neighbors = search(space, radius, num_agents, capacity=capacity, method=method)
    num_agents = neighbors.num_agents
    check_numbers(strength=strength, decay=decay, speed=speed)
    check_speed(speed, dt, radius)
    defaults = CuckerSmaleParams(strength, decay)

    def init(key: jax.Array, active: ArrayLike | None = None) -> Swarm:
        return random_swarm(key, space, num_agents, speed, active)

    def step(
        key: jax.Array, state: Swarm, parameters: CuckerSmaleParams | None = None
    ) -> tuple[Swarm, SwarmInfo]:
        p = defaults if parameters is None else parameters
        (pulled, weight), report = neighbors.sum(
            state.positions,
            (state.velocities, jnp.ones(num_agents)),
            lambda squared: p.strength * (1.0 + squared) ** -p.decay,
            active=state.active,
        )
        count = jnp.maximum(jnp.sum(state.active), 1)
        change = (pulled - weight[:, None] * state.velocities) / count
        velocities = state.velocities + dt * change
        positions, velocities = space.move(state.positions + dt * state.velocities, velocities)
        after = agents.where(state.active, Swarm(positions, velocities, state.active), state)
        return after, swarm_info(after, report)

    return Dynamics(init, step, defaults)
