"""Vicsek's self-propelled particles: take the mean direction around you, with an error.

Shapes: ``N`` agents.

References:
    T. Vicsek, A. Czirók, E. Ben-Jacob, I. Cohen, O. Shochet, Novel type of phase transition in a
    system of self-driven particles, 1995.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.space import Space, search
from jaxswarm.swarms.law import Law, SwarmInfo, check_numbers, check_speed, everyone
from jaxswarm.swarms.order import phase_order


class VicsekParams(NamedTuple):
    """Numbers of the law; all may be traced.

    Attributes:
        speed: distance per step, not negative.
        noise: ``η``, the error is uniform in ``[-η/2, η/2]`` radians.
        radius: how far agents see, at most the law's.
    """

    speed: Any = 0.03
    noise: Any = 0.1
    radius: Any = 1.0


class Headed(NamedTuple):
    """Agents with a direction only.

    Attributes:
        positions: ``[N, 2]``.
        angles: ``[N]`` radians.
        active: ``bool[N]``.
    """

    positions: jax.Array
    angles: jax.Array
    active: jax.Array


def vicsek(
    space: Space,
    num_agents: int,
    *,
    speed: Any = 0.03,
    noise: Any = 0.1,
    radius: float = 1.0,
    capacity: int | None = None,
    method: str = "auto",
) -> Law:
    """Everyone moves at one speed and takes the mean direction of those within the radius.

    Positions advance with the old direction, as in the paper.

    Args:
        space: of two dimensions.
        num_agents: ``N``.
        speed: see :class:`VicsekParams`.
        noise: likewise.
        radius: static, the width of the search's cells.
        capacity: see :func:`jaxswarm.space`.
        method: likewise.

    Returns:
        A :class:`Law` over :class:`Headed`.

    Raises:
        ValueError: another dimension than two, negative numbers, a speed above the radius, and
            what :func:`jaxswarm.space` refuses.
    """
    if space.dimensions != 2:
        raise ValueError(f"space: expected two dimensions, got {space.dimensions}")
    look = search(space, radius, num_agents, capacity=capacity, method=method)
    check_numbers(speed=speed, noise=noise)
    check_speed(speed, 1.0, radius)
    defaults = VicsekParams(speed, noise, radius)

    def init(key: jax.Array, active: Any = None) -> Headed:
        places, ways = jax.random.split(key)
        return Headed(
            space.uniform(agents.keys(places, num_agents)),
            errors(ways, num_agents, 2.0 * jnp.pi),
            everyone(num_agents, active),
        )

    def step(key: jax.Array, state: Headed, parameters: Any = None) -> tuple[Headed, SwarmInfo]:
        p = defaults if parameters is None else parameters
        own = jnp.stack([jnp.cos(state.angles), jnp.sin(state.angles)], axis=1)
        seen, report = look.sum(state.positions, own, radius=p.radius, active=state.active)
        total = own + seen
        turned = jnp.arctan2(total[:, 1], total[:, 0]) + errors(key, num_agents, p.noise)
        moved = state.positions + p.speed * own
        positions, bounced = space.move(moved, jnp.stack([jnp.cos(turned), jnp.sin(turned)], 1))
        if space.boundary == "reflecting":
            turned = jnp.arctan2(bounced[:, 1], bounced[:, 0])
        turned = jnp.mod(turned + jnp.pi, 2.0 * jnp.pi) - jnp.pi
        after = Headed(positions, turned, state.active)
        after = agents.where(state.active, after, state)
        return after, SwarmInfo(phase_order(after.angles, state.active), *report[:2])

    return Law(init, step, defaults)


def errors(key: jax.Array, n: int, width: Any) -> jax.Array:
    """``[N]`` uniform numbers in ``[-width/2, width/2]``, every agent from its own stream."""
    return width * (jax.vmap(jax.random.uniform)(agents.keys(key, n)) - 0.5)
