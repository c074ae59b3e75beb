"""States, observations and physics of the SwarmBench tasks.

Shapes: ``N`` agents, a map ``[H, W]``, windows ``k × k``, messages of ``L`` tokens below ``V``,
inboxes of ``M`` messages.
"""

from typing import NamedTuple

import jax

from jaxswarm.types import PyTree


class SwarmBenchParams(NamedTuple):
    """Physics, traced.

    Attributes:
        sight: cells farther than this (Chebyshev distance) are hidden, and messages from there are
            not received; at most ``k // 2`` matters. So several view sizes share one program.
        communication: 1, or 0 to drop all messages.
        shaping: weight of a dense reward, not part of the benchmark, that guides learners; 0 gives
            the benchmark's score alone. It is ``discount`` times a potential of the state after the
            round minus that of the state before, which leaves the order of policies as it is.
        discount: the learner's discount factor, in ``[0, 1]``.
    """

    sight: int | jax.Array = 1_000
    communication: float | jax.Array = 1.0
    shaping: float | jax.Array = 0.0
    discount: float | jax.Array = 1.0


class SwarmBenchWorld(NamedTuple):
    """The map and the agents on it.

    Attributes:
        position: ``int32[N, 2]``; agents that left keep their last position.
        present: ``bool[N]``.
        marked: ``bool[N]``, the light is on, or food is carried; true where a task has neither.
        terrain: ``int32[H, W]``, codes of the cells that never change.
        message: ``int32[N, L]``, tokens sent in the last round, 0 for silence.
        explored: ``bool[H, W]``, cells that agents have visited.
        score: ``float32[]``, the benchmark's score.
        round: ``int32[]``.
        task: the task's own pytree.
    """

    position: jax.Array
    present: jax.Array
    marked: jax.Array
    terrain: jax.Array
    message: jax.Array
    explored: jax.Array
    score: jax.Array
    round: jax.Array
    task: PyTree


class SwarmBenchObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        view: ``int32[N, k, k]`` of codes.
        numbers: ``int32[N, k, k]``, id of the agent in a cell, −1 for none.
        position: ``int32[N, 2]``, row and column on the map.
        round: ``int32[N]``, 0 if hidden.
        status: ``float32[N, 1]``, the task's status: the score, the own light, carrying or not.
        inbox: ``int32[N, M, L]``, received messages, zeros where there are fewer.
        num_messages: ``int32[N]``, messages within reach; those beyond ``M`` are not in the inbox.
        agent_mask: ``bool[N]``.
    """

    view: jax.Array
    numbers: jax.Array
    position: jax.Array
    round: jax.Array
    status: jax.Array
    inbox: jax.Array
    num_messages: jax.Array
    agent_mask: jax.Array


class SwarmBenchFeatures(NamedTuple):
    """The observation as features for neural networks, all ``float32``.

    Attributes:
        view: ``[N, k, k, 11]``, indicators of the codes.
        position: ``[N, 2]``, shares of the map.
        round: ``[N]``, share of the time limit, 0 if hidden.
        status: ``[N, 1]``.
        messages: ``[N, L, V]``, share of the received messages with each token in each place.
        agent_mask: ``bool[N]``.
    """

    view: jax.Array
    position: jax.Array
    round: jax.Array
    status: jax.Array
    messages: jax.Array
    agent_mask: jax.Array


class Update(NamedTuple):
    """A task's update of a round.

    Attributes:
        world: after the round.
        reward: ``float32[N]``.
        terminated: ``bool[]``.
    """

    world: SwarmBenchWorld
    reward: jax.Array
    terminated: jax.Array


class Body(NamedTuple):
    """A rigid body: its ``cells bool[H + 2 P, W + 2 P]`` in the padded map, and its ``mass``."""

    cells: jax.Array
    mass: int
