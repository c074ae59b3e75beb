"""Kuramoto and Vicsek tasks: agree on a heading, observing only neighbours within a radius.

Kuramoto's agents do not move, Vicsek's move along their heading, so their neighbours change. In
both, actions are turning rates; agents align only by what they learn.

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

from jaxswarm import agents, checks
from jaxswarm.collective.domains import Domain, local_heading, wrapped
from jaxswarm.collective.task import (
    SwarmTask,
    TaskState,
    mean_phase_distance,
)
from jaxswarm.swarms.dynamics import check_numbers, check_speed, normals
from jaxswarm.types import Key


class HeadingTaskParams(NamedTuple):
    """Physics of both tasks; all may be traced.

    Attributes:
        turn: radians of one step at full action.
        noise: standard deviation of the noise of the heading in a step, radians.
        blur: standard deviation of the error of each observed number; ``None`` for no error.
        width: headings start uniformly within ``±π width``; 1 is complete disorder.
        speed: distance of one step; Vicsek only.
        cost: of a squared action, subtracted from the reward.
    """

    turn: Any = 0.4
    noise: Any = 0.05
    blur: Any = None
    width: Any = 1.0
    speed: Any = 0.0
    cost: Any = 0.0


def kuramoto_task(
    num_agents: int,
    *,
    params: HeadingTaskParams | None = None,
    domain: Domain | None = None,
    radius: float = 0.25,
) -> SwarmTask:
    """Make the task: oscillators at fixed random positions, reward minus the mean phase distance.

    Agents observe the mean ``(cos, sin)`` of the phases within the radius, relative to their own,
    and choose a phase velocity in ``[−1, 1]``. The mean field is the distribution of the phase.

    Args:
        num_agents: ``N``, at least 1.
        params: the default physics; the speed is not used.
        domain: where positions are drawn from; a torus of side 1 if omitted.
        radius: of the observed neighbourhood.

    Raises:
        ValueError: zero agents, a radius not in ``(0, side/2]``, negative or non-finite numbers.

    Example:
        >>> import jax
        >>> from jaxswarm import collective
        >>> task = collective.kuramoto_task(6)
        >>> state = jax.jit(task.init)(jax.random.key(0), task.params)
        >>> task.observe(jax.random.key(1), task.params, state).shape
        (6, 2)
    """
    params = HeadingTaskParams() if params is None else params
    checks.instance("params", params, HeadingTaskParams, "HeadingTaskParams()")
    domain = Domain() if domain is None else domain
    checks.instance("domain", domain, Domain, "Domain('torus', 1.0)")
    return _task("kuramoto", num_agents, params._replace(speed=0.0), domain, radius)


def vicsek_task(
    num_agents: int,
    *,
    params: HeadingTaskParams | None = None,
    domain: Domain | None = None,
    radius: float = 0.25,
) -> SwarmTask:
    """Make the task of :func:`kuramoto_task` with agents that move along their heading.

    The mean field is the distribution of position and heading. On surfaces that mirror, headings
    are compared in the square's own coordinates.

    Args:
        num_agents: ``N``, at least 1.
        params: the default physics; a speed of 0.03 if omitted.
        domain: where agents move; a torus of side 1 if omitted.
        radius: of the observed neighbourhood; at least a step's length.

    Raises:
        ValueError: as :func:`kuramoto_task`, and on a speed above the radius.
    """
    params = HeadingTaskParams(speed=0.03) if params is None else params
    checks.instance("params", params, HeadingTaskParams, "HeadingTaskParams()")
    domain = Domain() if domain is None else domain
    checks.instance("domain", domain, Domain, "Domain('torus', 1.0)")
    checks.real("radius", checks.concrete("radius", radius), above=0.0)
    check_speed(params.speed, 1.0, radius)
    return _task("vicsek", num_agents, params, domain, radius)


def _task(
    name: str, num_agents: int, default: HeadingTaskParams, domain: Domain, radius: float
) -> SwarmTask:
    num_agents = checks.whole("num_agents", num_agents, 1)
    check_numbers(**{k: v for k, v in default._asdict().items() if v is not None})
    mean_heading = local_heading(domain, radius, num_agents)
    moves = name == "vicsek"

    def init(key: Key, params: HeadingTaskParams) -> TaskState:
        position_key, heading_key = jax.random.split(key)
        u = jax.vmap(jax.random.uniform)(agents.keys(heading_key, num_agents))
        return TaskState(
            domain.space.uniform(agents.keys(position_key, num_agents)),
            jnp.pi * params.width * (2.0 * u - 1.0),
        )

    def transition(
        key: Key, params: HeadingTaskParams, state: TaskState, actions: jax.Array
    ) -> TaskState:
        noise = params.noise * normals(key, num_agents, 1)[:, 0]
        headings = state.headings + params.turn * actions[:, 0] + noise
        if not moves:
            return state._replace(headings=wrapped(headings))
        direction = jnp.stack([jnp.cos(headings), jnp.sin(headings)], axis=1)
        return TaskState(*domain.wrap(state.positions + params.speed * direction, headings))

    def observe(key: Key, params: HeadingTaskParams, state: TaskState) -> jax.Array:
        exact = mean_heading(state.positions, state.headings)
        return exact if params.blur is None else exact + params.blur * normals(key, num_agents, 2)

    def reward(params: HeadingTaskParams, state: TaskState, actions: jax.Array) -> jax.Array:
        effort = jnp.mean(jnp.square(actions))
        return -mean_phase_distance(state.headings) - params.cost * effort

    def coordinates(state: TaskState) -> jax.Array:
        angle = state.headings[:, None]
        return jnp.concatenate([state.positions, angle], axis=1) if moves else angle

    side, torus = domain.side, domain.name == "torus"
    return SwarmTask(
        name,
        num_agents,
        default,
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
