"""Slotted Aloha: agents with backlogs decide whether to send; neighbours that both send collide.

All agents get +0.1 for each successful transmission and −10 for each sender that collides, so never
sending is better than random access, and taking turns is best.

Shapes: ``N`` agents, any interference graph.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs.aloha import viewer
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, discrete_actions
from jaxswarm.topology import Topology, from_edges, require_topology


class AlohaParams(NamedTuple):
    """Physics, traced.

    Attributes:
        arrival: probability that a message arrives at an agent in a step.
        capacity: largest backlog; messages that arrive beyond it are lost.
        clean: reward of all agents for each transmission without collision.
        collision: penalty of all agents for each sender that collides.
    """

    arrival: Any = 0.6
    capacity: Any = 5
    clean: Any = 0.1
    collision: Any = 10.0


class AlohaObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        backlog: ``float32[N, 1]``, its own, as a share of the capacity.
        position: ``float32[N, N]``, its id one-hot.
        agent_mask: ``bool[N]``, always true.
    """

    backlog: jax.Array
    position: jax.Array
    agent_mask: jax.Array


def ladder(num_agents: int) -> Topology:
    """Ladder graph: two rows of ``N/2`` with rungs, and a link from the first row to the second.

    For 10 agents the paper's graph: a 2×5 ladder and the link 4–5.

    Raises:
        ValueError: if ``N`` is odd or below 4.
    """
    num_agents = checks.whole("num_agents", num_agents)
    if num_agents < 4 or num_agents % 2:
        raise ValueError(f"num_agents: expected an even number of at least 4, got {num_agents}")
    half = num_agents // 2
    rows = [(i, i + 1) for i in range(num_agents - 1)]  # the link half − 1, half included
    rungs = [(i, i + half) for i in range(half) if i + 1 != i + half]
    return from_edges(np.array(rows + rungs), num_agents)


class Aloha(SwarmEnvironment):
    """Slotted Aloha with actions ``int32[N]``: 1 sends, 0 waits.

    Args:
        num_agents: ``N``.
        time_limit: steps of an episode.
        topology: interference graph; :func:`ladder` if omitted.

    Raises:
        ValueError: if the topology has another number of agents or is a sequence.
    """

    def __init__(
        self, num_agents: int = 10, time_limit: int = 20, topology: Topology | None = None
    ):
        graph = ladder(num_agents) if topology is None else topology
        require_topology(graph)
        if graph.num_agents != num_agents or graph.is_sequence:
            raise ValueError(
                f"topology: expected a single graph of {num_agents} agents, got {graph.num_agents}"
            )
        self.topology = graph
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> AlohaParams:
        """The paper's physics."""
        return AlohaParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]``, 0 or 1."""
        return discrete_actions(self.num_agents, 2)

    def start(self, key: jax.Array, params: AlohaParams) -> jax.Array:
        """A backlog of one message each, ``int32[N]``."""
        del key, params
        return jnp.ones(self.num_agents, jnp.int32)

    def advance(
        self, key: jax.Array, world: jax.Array, action: jax.Array, params: AlohaParams
    ) -> Outcome:
        """Transmissions, then arrivals. An agent without backlog does not send."""
        sends = (action == 1) & (world > 0)
        sending_neighbors = jax.ops.segment_sum(
            (sends[self.topology.senders] & self.topology.mask).astype(jnp.int32),
            self.topology.receivers,
            self.num_agents,
            indices_are_sorted=True,
        )
        clean = sends & (sending_neighbors == 0)
        collides = sends & (sending_neighbors > 0)
        reward = params.clean * jnp.sum(clean) - params.collision * jnp.sum(collides)
        draws = jax.vmap(lambda k: jax.random.uniform(k))(agents.keys(key, self.num_agents))
        arrives = (draws < params.arrival).astype(jnp.int32)
        backlog = jnp.minimum(world - clean + arrives, params.capacity).astype(jnp.int32)
        metrics = {"clean": jnp.sum(clean), "collisions": jnp.sum(collides)}
        return Outcome(
            backlog,
            jnp.full(self.num_agents, reward, jnp.float32),
            jnp.zeros((), bool),
            metrics,
        )

    def draw(self, world: jax.Array, params: AlohaParams, ax: Any) -> None:
        """Draw the graph with backlogs; see :mod:`jaxswarm.envs.aloha.viewer`."""
        viewer.draw(world, self.topology, params.capacity, ax)

    def observe(
        self, world: jax.Array, params: AlohaParams, step_count: jax.Array
    ) -> AlohaObservation:
        """Each agent's own backlog as a share of the capacity, and its id."""
        del step_count
        return AlohaObservation(
            backlog=(world / params.capacity).astype(jnp.float32)[:, None],
            position=jnp.eye(self.num_agents, dtype=jnp.float32),
            agent_mask=jnp.ones(self.num_agents, bool),
        )
