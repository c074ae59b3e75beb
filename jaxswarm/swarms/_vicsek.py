"""The Vicsek model: self-propelled particles that align with their neighbours, with noise.

Shapes: ``N`` agents.

References:
    T. Vicsek, A. Czirók, E. Ben-Jacob, I. Cohen, O. Shochet, Novel type of phase transition in a
    system of self-driven particles, 1995.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxswarm import agents, checks
from jaxswarm.space import Space, search
from jaxswarm.swarms.dynamics import (
    Dynamics,
    Number,
    SwarmInfo,
    active_mask,
    check_numbers,
    check_space,
    check_speed,
    count_nonfinite,
)
from jaxswarm.swarms.order import phase_order


class VicsekParams(NamedTuple):
    """Parameters of the Vicsek model; all may be traced.

    Attributes:
        speed: distance per step, not negative.
        noise: ``η``; angular noise is uniform in ``[-η/2, η/2]`` radians.
        radius: interaction radius, at most the ``radius`` given to :func:`vicsek`.
    """

    speed: Number = 0.03
    noise: Number = 0.1
    radius: Number = 1.0


class HeadingState(NamedTuple):
    """The state of agents with a position and a heading.

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
    speed: Number = 0.03,
    noise: Number = 0.1,
    radius: float = 1.0,
    capacity: int | None = None,
    method: str = "auto",
) -> Dynamics:
    """Agents at constant speed take the mean heading of their neighbours within a radius.

    Positions advance with the old heading, as in the paper. Neighbourhoods are discs with a hard
    edge, so the gradient with respect to the radius is zero.

    Args:
        space: of two dimensions.
        num_agents: ``N``.
        speed: distance per step.
        noise: width ``η`` of the uniform angular noise, radians.
        radius: interaction radius; static, it fixes the width of the search's cells.
        capacity: see :func:`jaxswarm.space.search`; a number makes reverse-mode differentiation
            possible for large ``N``.
        method: see :func:`jaxswarm.space.search`.

    Returns:
        A :class:`Dynamics` over :class:`HeadingState`.

    Raises:
        ValueError: for another dimension than two, negative numbers, a speed above the radius, and
            what :func:`jaxswarm.space.search` refuses.

    Example:
        >>> import jax, jaxswarm as js
        >>> model = js.swarms.vicsek(js.space.Space((5.0, 5.0)), 20, noise=0.0)
        >>> state = model.init(jax.random.key(0))
        >>> state, records = js.rollout(model.step, state, 100, key=jax.random.key(1))
        >>> bool(records.info.polarization[-1] > records.info.polarization[0])
        True
    """
    check_space(space)
    if space.dimensions != 2:
        raise ValueError(f"space: expected two dimensions, got {space.dimensions}")
    neighbors = search(space, radius, num_agents, capacity=capacity, method=method)
    num_agents = neighbors.num_agents
    check_numbers(speed=speed, noise=noise)
    check_speed(speed, 1.0, radius)
    defaults = VicsekParams(speed, noise, radius)

    def init(key: jax.Array, active: ArrayLike | None = None) -> HeadingState:
        checks.key(key)
        position_key, angle_key = jax.random.split(key)
        return HeadingState(
            space.uniform(agents.keys(position_key, num_agents)),
            centered_uniforms(angle_key, num_agents, 2.0 * jnp.pi),
            active_mask(num_agents, active),
        )

    def step(
        key: jax.Array, state: HeadingState, parameters: VicsekParams | None = None
    ) -> tuple[HeadingState, SwarmInfo]:
        p = defaults if parameters is None else parameters
        own = jnp.stack([jnp.cos(state.angles), jnp.sin(state.angles)], axis=1)
        summed, report = neighbors.sum(state.positions, own, radius=p.radius, active=state.active)
        total = own + summed
        turned = jnp.arctan2(total[:, 1], total[:, 0]) + centered_uniforms(key, num_agents, p.noise)
        moved = state.positions + p.speed * own
        positions, bounced = space.move(moved, jnp.stack([jnp.cos(turned), jnp.sin(turned)], 1))
        if space.boundary == "reflecting":
            turned = jnp.arctan2(bounced[:, 1], bounced[:, 0])
        turned = jnp.mod(turned + jnp.pi, 2.0 * jnp.pi) - jnp.pi
        after = HeadingState(positions, turned, state.active)
        after = agents.where(state.active, after, state)
        order = phase_order(after.angles, after.active)
        bad = count_nonfinite(after.active, after.positions, after.angles)
        return after, SwarmInfo(order, report.overflow, bad)

    return Dynamics(init, step, defaults)


def centered_uniforms(key: jax.Array, n: int, width: Number) -> jax.Array:
    """``[N]`` uniform numbers in ``[-width/2, width/2]``, each agent from its own stream."""
    return width * (jax.vmap(jax.random.uniform)(agents.keys(key, n)) - 0.5)
