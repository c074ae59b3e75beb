"""Tasks of swarms with a mean-field limit: transition, observation and reward as pure functions.

Agents are interchangeable and all get the same reward, which depends on their distribution only; so
the swarm has a limit for infinitely many agents, the mean field.

Shapes: ``N`` agents, ``D`` coordinates of a state, ``Y`` numbers of an observation, ``U`` of an
action.

References:
    K. Cui, S. Hauck, C. Fabian, H. Koeppl, Learning decentralized partially observable mean field
    control for artificial collective behavior, 2024.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.space import length
from jaxswarm.types import Key, PyTree

Bounds = tuple[tuple[float, ...], tuple[float, ...]]


class TaskState(NamedTuple):
    """``positions [N, 2]`` and ``headings [N]`` in radians (zero where a task has none)."""

    positions: jax.Array
    headings: jax.Array


class SwarmTask(NamedTuple):
    """One task; ``params`` is a pytree of numbers that may be traced and vmapped.

    Attributes:
        name: for titles.
        num_agents: ``N``.
        params: the default physics.
        init: ``init(key, params) -> TaskState``.
        transition: ``transition(key, params, state, actions [N, U]) -> TaskState``.
        observe: ``observe(key, params, state) -> [N, Y]``; each agent's own observation.
        reward: ``reward(params, state, actions) -> []``, of the state *after* the actions.
        coordinates: ``coordinates(state) -> [N, D]``, whose distribution is the mean field.
        observation_bounds: ``(low, high)``, ``Y`` numbers each: the range of most observations.
        action_bounds: ``U`` numbers each; actions are clipped to them.
        coordinate_bounds: ``D`` numbers each.
        periodic: ``D`` flags: coordinates that are angles or wrap.
    """

    name: str
    num_agents: int
    params: PyTree
    init: Callable[[Key, PyTree], TaskState]
    transition: Callable[[Key, PyTree, TaskState, jax.Array], TaskState]
    observe: Callable[[Key, PyTree, TaskState], jax.Array]
    reward: Callable[[PyTree, TaskState, jax.Array], jax.Array]
    coordinates: Callable[[TaskState], jax.Array]
    observation_bounds: Bounds
    action_bounds: Bounds
    coordinate_bounds: Bounds
    periodic: tuple[bool, ...]


def check_task(task: SwarmTask) -> None:
    """Refuse anything but a :class:`SwarmTask`.

    Raises:
        ValueError: naming what came.
    """
    checks.instance("task", task, SwarmTask, "collective.kuramoto_task(8)")


def clip_actions(task: SwarmTask, actions: jax.Array) -> jax.Array:
    """Clip actions ``[..., U]`` to the task's bounds."""
    low, high = (jnp.asarray(bound, actions.dtype) for bound in task.action_bounds)
    shape = actions.shape
    return jnp.clip(actions, jnp.broadcast_to(low, shape), jnp.broadcast_to(high, shape))


def mean_phase_distance(headings: jax.Array) -> jax.Array:
    """Mean phase distance of all pairs, ``(1/N²) Σ_ij |θ_i − θ_j|`` on the circle; ``O(N log N)``.

    In ``[0, π/2]``: π/2 in perfect disorder, 0 if all are aligned; NaN if a heading is NaN.

    Raises:
        ValueError: if headings are not ``[N]`` with an agent at least.
    """
    headings = _agents_first("headings", headings, (None,))
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
    """Mean distance of all pairs, ``(1/N²) Σ_ij |x_i − x_j|``; computed in blocks of rows.

    NaN if a point is NaN.

    Raises:
        ValueError: if points are not ``[N, d]`` with an agent at least, or ``block < 1``.
    """
    points = _agents_first("points", points, (None, None))
    block = checks.whole("block", block, 1)
    n = len(points)
    if n <= block:
        return jnp.mean(length(points[:, None, :] - points[None, :, :]))

    def row(point: jax.Array) -> jax.Array:
        return jnp.sum(length(points - point[None, :]))

    return jnp.sum(jax.lax.map(row, points, batch_size=block)) / n**2


def _agents_first(name: str, values: jax.Array, shape: tuple[None, ...]) -> jax.Array:
    values = checks.numbers(name, values, shape)
    if not len(values):
        raise ValueError(f"{name}: expected at least 1 agent, got {list(values.shape)}")
    return values
