"""A finite swarm's task as pure functions: transition, observation and reward apart.

Agents are interchangeable and the reward is one number for all that depends on their distribution
only; so the swarm has a limit for many agents, the mean field.

Shapes: ``N`` agents, ``D`` coordinates of a state, ``Y`` numbers of an observation, ``U`` of an
action.

References:
    K. Cui, S. Hauck, C. Fabian, H. Koeppl, Learning decentralized partially observable mean field
    control for artificial collective behavior, 2024.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.space import length

PyTree = Any
Bounds = tuple[tuple[float, ...], tuple[float, ...]]


class SwarmState(NamedTuple):
    """``positions [N, 2]`` and ``headings [N]`` in radians (zero where a task has none)."""

    positions: jax.Array
    headings: jax.Array


class SwarmTask(NamedTuple):
    """One task; ``params`` is a pytree of numbers that may be traced and ``vmap``ped.

    Attributes:
        name: for titles.
        num_agents: ``N``.
        params: the default physics.
        init: ``init(key, params) -> SwarmState``.
        transition: ``transition(key, params, state, actions [N, U]) -> SwarmState``.
        observe: ``observe(key, params, state) -> [N, Y]``; what each agent alone knows.
        reward: ``reward(params, state, actions) -> []``, of the state *after* the actions.
        coordinates: ``coordinates(state) -> [N, D]``, what the mean field is a law of.
        observation_bounds: ``(low, high)``, ``Y`` numbers each: where observations mostly are.
        action_bounds: ``U`` numbers each; actions are clipped to them.
        coordinate_bounds: ``D`` numbers each.
        periodic: ``D`` flags: coordinates that are angles or wrap.
    """

    name: str
    num_agents: int
    params: PyTree
    init: Callable[[jax.Array, PyTree], SwarmState]
    transition: Callable[[jax.Array, PyTree, SwarmState, jax.Array], SwarmState]
    observe: Callable[[jax.Array, PyTree, SwarmState], jax.Array]
    reward: Callable[[PyTree, SwarmState, jax.Array], jax.Array]
    coordinates: Callable[[SwarmState], jax.Array]
    observation_bounds: Bounds
    action_bounds: Bounds
    coordinate_bounds: Bounds
    periodic: tuple[bool, ...]


def clipped(task: SwarmTask, actions: jax.Array) -> jax.Array:
    """Actions ``[..., U]`` within the task's bounds."""
    low, high = (jnp.asarray(bound, actions.dtype) for bound in task.action_bounds)
    shape = actions.shape
    return jnp.clip(actions, jnp.broadcast_to(low, shape), jnp.broadcast_to(high, shape))


def mean_phase_distance(headings: jax.Array) -> jax.Array:
    """``(1/N²) Σ_ij |θ_i − θ_j|`` on the circle, in ``[0, π/2]``; ``O(N log N)``.

    π/2 in perfect disorder, 0 if all are aligned.
    """
    n = len(headings)
    turn = 2.0 * jnp.pi
    angles = jnp.sort(jnp.mod(headings, turn))
    sums = jnp.concatenate([jnp.zeros(1, angles.dtype), jnp.cumsum(angles)])
    index = jnp.arange(n)
    # Of those after agent i in this order, the first are less than half a turn ahead; the others
    # are nearer the other way round.
    split = jnp.maximum(jnp.searchsorted(angles, angles + jnp.pi, side="right"), index + 1)
    ahead = sums[split] - sums[index + 1] - (split - index - 1) * angles
    round_ = (n - split) * (turn + angles) - (sums[n] - sums[split])
    return 2.0 * jnp.sum(ahead + round_) / n**2


def mean_distance(points: jax.Array, *, block: int = 512) -> jax.Array:
    """``(1/N²) Σ_ij |x_i − x_j|``; all pairs, in blocks of rows."""
    n = len(points)
    if n <= block:
        return jnp.mean(length(points[:, None, :] - points[None, :, :]))

    def row(point: jax.Array) -> jax.Array:
        return jnp.sum(length(points - point[None, :]))

    return jnp.sum(jax.lax.map(row, points, batch_size=block)) / n**2
