"""Kuramoto and Vicsek: agree on a heading, each seeing only those within a disc.

Kuramoto's agents stand still, Vicsek's fly where they head, so their neighbours change. Both
control how fast they turn; nothing aligns them but what they learn.

Shapes: ``N`` agents; an action is one number, an observation two.

References:
    K. Cui et al., Learning decentralized partially observable mean field control for artificial
    collective behavior, 2024. Y. Kuramoto, Chemical oscillations, waves, and turbulence, 1984.
    T. Vicsek et al., Novel type of phase transition in a system of self-driven particles, 1995.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.collective.domains import Domain, local_heading, wrapped
from jaxswarm.collective.task import SwarmState, SwarmTask, mean_phase_distance
from jaxswarm.swarms.dynamics import active_mask, check_numbers, check_speed, normals


class HeadingParams(NamedTuple):
    """Numbers of both tasks; all may be traced.

    Attributes:
        turn: radians of one step at full action.
        noise: standard deviation of a step's error in the heading, radians.
        blur: standard deviation of the error in each number observed; ``None`` for no error.
        width: headings start uniformly within ``±π width``; 1 is no order at all.
        speed: distance of one step; Vicsek only.
        cost: of a squared action, taken from the reward.
    """

    turn: Any = 0.4
    noise: Any = 0.05
    blur: Any = None
    width: Any = 1.0
    speed: Any = 0.0
    cost: Any = 0.0


def kuramoto(
    num_agents: int,
    *,
    parameters: HeadingParams = HeadingParams(),  # noqa: B008
    domain: Domain = Domain(),  # noqa: B008
    radius: float = 0.25,
) -> SwarmTask:
    """Fixed random positions, phases to agree on; earn minus the mean phase distance of pairs.

    Agents observe the mean ``(cos, sin)`` of the phases within the radius, relative to their own,
    and choose a phase velocity in ``[−1, 1]``. The mean field is the law of the phase.

    Args:
        num_agents: ``N``, at least 1.
        parameters: the default physics; the speed is not used.
        domain: where positions are drawn from.
        radius: how far agents see.

    Raises:
        ValueError: zero agents, a radius not in ``(0, side/2]``, negative or non-finite numbers.
    """
    return _task("kuramoto", num_agents, parameters._replace(speed=0.0), domain, radius)


def vicsek(
    num_agents: int,
    *,
    parameters: HeadingParams = HeadingParams(speed=0.03),  # noqa: B008
    domain: Domain = Domain(),  # noqa: B008
    radius: float = 0.25,
) -> SwarmTask:
    """As :func:`kuramoto`, but agents fly along their heading; the mean field is of both.

    On surfaces that mirror, headings are compared in the square's own coordinates.

    Args:
        num_agents: ``N``, at least 1.
        parameters: the default physics.
        domain: where they fly.
        radius: how far agents see; at least a step's length.

    Raises:
        ValueError: as :func:`kuramoto`, and on a speed above the radius.
    """
    check_speed(parameters.speed, 1.0, radius)
    return _task("vicsek", num_agents, parameters, domain, radius)


def _task(
    name: str, num_agents: int, parameters: HeadingParams, domain: Domain, radius: float
) -> SwarmTask:
    active_mask(num_agents, None)
    check_numbers(**{k: v for k, v in parameters._asdict().items() if v is not None})
    look = local_heading(domain, radius, num_agents)
    moves = name == "vicsek"

    def init(key: jax.Array, p: HeadingParams) -> SwarmState:
        places, ways = jax.random.split(key)
        share = jax.vmap(jax.random.uniform)(agents.keys(ways, num_agents))
        return SwarmState(
            domain.space.uniform(agents.keys(places, num_agents)),
            jnp.pi * p.width * (2.0 * share - 1.0),
        )

    def transition(
        key: jax.Array, p: HeadingParams, state: SwarmState, actions: jax.Array
    ) -> SwarmState:
        error = p.noise * normals(key, num_agents, 1)[:, 0]
        headings = state.headings + p.turn * actions[:, 0] + error
        if not moves:
            return state._replace(headings=wrapped(headings))
        way = jnp.stack([jnp.cos(headings), jnp.sin(headings)], axis=1)
        return SwarmState(*domain.wrap(state.positions + p.speed * way, headings))

    def observe(key: jax.Array, p: HeadingParams, state: SwarmState) -> jax.Array:
        seen = look(state.positions, state.headings)
        return seen if p.blur is None else seen + p.blur * normals(key, num_agents, 2)

    def reward(p: HeadingParams, state: SwarmState, actions: jax.Array) -> jax.Array:
        effort = jnp.mean(jnp.square(actions))
        return -mean_phase_distance(state.headings) - p.cost * effort

    def coordinates(state: SwarmState) -> jax.Array:
        angle = state.headings[:, None]
        return jnp.concatenate([state.positions, angle], axis=1) if moves else angle

    side, torus = domain.side, domain.name == "torus"
    return SwarmTask(
        name,
        num_agents,
        parameters,
        init,
        transition,
        observe,
        reward,
        coordinates,
        ((-1.0, -1.0), (1.0, 1.0)),
        ((-1.0,), (1.0,)),
        ((0.0, 0.0, -math.pi), (side, side, math.pi)) if moves else ((-math.pi,), (math.pi,)),
        (torus, torus, True) if moves else (True,),
    )
