"""Aggregation task: agents with noisy observations of their own position come together.

Shapes: ``N`` agents; actions and observations are two numbers each.

References:
    K. Cui et al., Learning decentralized partially observable mean field control for artificial
    collective behavior, 2024 (the task; its numbers are arguments here).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.collective.domains import Domain
from jaxswarm.collective.task import SwarmTask, TaskState, mean_distance
from jaxswarm.swarms.dynamics import check_numbers, normals
from jaxswarm.types import Key


class AggregationTaskParams(NamedTuple):
    """Physics of the aggregation task; all may be traced.

    Attributes:
        speed: distance of one step at full action.
        noise: standard deviation of the noise of every step.
        blur: standard deviation of the error of an observation.
        cost: of a squared action, subtracted from the reward.
    """

    speed: Any = 0.2
    noise: Any = 0.05
    blur: Any = 0.1
    cost: Any = 0.0


def aggregation_task(
    num_agents: int, *, params: AggregationTaskParams | None = None, side: float = 4.0
) -> SwarmTask:
    """Make the task: actions are velocities in a walled box, the reward minus the mean distance.

    Actions are in ``[−1, 1]²``, positions in ``[0, side]²``. Agents observe their position relative
    to the middle, with an error, so mostly in ``[−side/2, side/2]²``.

    Args:
        num_agents: ``N``, at least 1.
        params: the default physics.
        side: length of the box.

    Raises:
        ValueError: zero agents, a side that is not positive, negative or non-finite numbers.
    """
    default = AggregationTaskParams() if params is None else params
    checks.instance("params", default, AggregationTaskParams, "AggregationTaskParams()")
    domain = Domain("box", side)
    num_agents, side = checks.whole("num_agents", num_agents, 1), domain.side
    check_numbers(**default._asdict())
    half = side / 2.0

    def init(key: Key, params: AggregationTaskParams) -> TaskState:
        return TaskState(domain.space.uniform(agents.keys(key, num_agents)), jnp.zeros(num_agents))

    def transition(
        key: Key, params: AggregationTaskParams, state: TaskState, actions: jax.Array
    ) -> TaskState:
        moved = (
            state.positions + params.speed * actions + params.noise * normals(key, num_agents, 2)
        )
        return state._replace(positions=domain.space.wrap(moved))

    def observe(key: Key, params: AggregationTaskParams, state: TaskState) -> jax.Array:
        return state.positions - half + params.blur * normals(key, num_agents, 2)

    def reward(params: AggregationTaskParams, state: TaskState, actions: jax.Array) -> jax.Array:
        effort = jnp.mean(jnp.sum(jnp.square(actions), axis=1))
        return -mean_distance(state.positions) - params.cost * effort

    return SwarmTask(
        "aggregation",
        num_agents,
        default,
        init,
        transition,
        observe,
        reward,
        lambda state: state.positions,
        ((-half, -half), (half, half)),
        ((-1.0, -1.0), (1.0, 1.0)),
        ((0.0, 0.0), (side, side)),
        (False, False),
    )
