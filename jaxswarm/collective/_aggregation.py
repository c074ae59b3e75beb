"""Aggregation: come together, each knowing roughly where it is itself.

Shapes: ``N`` agents; actions and observations are two numbers each.

References:
    K. Cui et al., Learning decentralized partially observable mean field control for artificial
    collective behavior, 2024 (the task; its numbers are arguments here).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.collective.domains import Domain
from jaxswarm.collective.task import SwarmState, SwarmTask, mean_distance
from jaxswarm.swarms.dynamics import active_mask, check_numbers, normals


class AggregationParams(NamedTuple):
    """Numbers of the task; all may be traced.

    Attributes:
        speed: distance of one step at full action.
        noise: standard deviation added to every step.
        blur: standard deviation of the error in the own position.
        cost: of a squared action, taken from the reward.
    """

    speed: Any = 0.2
    noise: Any = 0.05
    blur: Any = 0.1
    cost: Any = 0.0


def aggregation(
    num_agents: int,
    *,
    parameters: AggregationParams = AggregationParams(),  # noqa: B008
    side: float = 4.0,
) -> SwarmTask:
    """Move by a velocity in ``[−1, 1]²`` in a walled box; earn minus the mean pair distance.

    Positions are in ``[0, side]²``; agents observe theirs from the middle, blurred, so in
    ``[−side/2, side/2]²`` for the most part.

    Args:
        num_agents: ``N``, at least 1.
        parameters: the default physics.
        side: of the box.

    Raises:
        ValueError: zero agents, a side that is not positive, negative or non-finite numbers.
    """
    domain = Domain("box", side)
    active_mask(num_agents, None)
    check_numbers(**parameters._asdict())
    half = side / 2.0

    def init(key: jax.Array, p: AggregationParams) -> SwarmState:
        return SwarmState(domain.space.uniform(agents.keys(key, num_agents)), jnp.zeros(num_agents))

    def transition(
        key: jax.Array, p: AggregationParams, state: SwarmState, actions: jax.Array
    ) -> SwarmState:
        moved = state.positions + p.speed * actions + p.noise * normals(key, num_agents, 2)
        return state._replace(positions=domain.space.wrap(moved))

    def observe(key: jax.Array, p: AggregationParams, state: SwarmState) -> jax.Array:
        return state.positions - half + p.blur * normals(key, num_agents, 2)

    def reward(p: AggregationParams, state: SwarmState, actions: jax.Array) -> jax.Array:
        effort = jnp.mean(jnp.sum(jnp.square(actions), axis=1))
        return -mean_distance(state.positions) - p.cost * effort

    return SwarmTask(
        "aggregation",
        num_agents,
        parameters,
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
