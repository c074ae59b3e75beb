"""The donation game on a graph: giving has a private cost and benefits the neighbours.

An agent that has a donation may give it; the cost is its own, the larger benefit is shared by its
neighbours. The more agents give, the more likely all agents are to have a donation in the next
step. The team's return is largest if all agents always give, an agent's own if it never does: a
conflict of private and team rewards, as in networked reinforcement learning.

Shapes: ``N`` agents, any graph.

References:
    M. A. Nowak, Five rules for the evolution of cooperation, 2006 (the donation game).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs.donations import viewer
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, SwarmState, discrete_actions
from jaxswarm.topology import Topology, require_topology, ring


class DonationParams(NamedTuple):
    """Physics, traced.

    Attributes:
        benefit: of a donation, shared equally among the giver's neighbours; above ``cost`` for a
            social dilemma.
        cost: of giving.
        income: probability of having a donation when no agent gave in the step before.
        growth: added to it in proportion to the share of agents that gave.
    """

    benefit: Any = 3.0
    cost: Any = 1.0
    income: Any = 0.4
    growth: Any = 0.5


class DonationWorld(NamedTuple):
    """``has bool[N]``: agents with a donation; ``gave bool[N]``: that gave in the step before."""

    has: jax.Array
    gave: jax.Array


class DonationObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        has: ``[N, 1]``, whether it has a donation.
        received: ``[N, 1]``, the share of its neighbours that gave in the step before.
        agent_mask: ``bool[N]``, always true.
    """

    has: jax.Array
    received: jax.Array
    agent_mask: jax.Array


class Donations(SwarmEnvironment):
    """The donation game with actions ``int32[N]``: 0 keeps, 1 gives; rewards are private.

    Args:
        num_agents: ``N``.
        time_limit: steps of an episode.
        topology: edges from givers to receivers; a ring if omitted.

    Raises:
        ValueError: if the topology is a sequence or has another number of agents, or an agent
            without in- or out-neighbours.
    """

    def __init__(self, num_agents: int = 8, time_limit: int = 20, topology: Topology | None = None):
        num_agents = checks.whole("num_agents", num_agents, 1)
        graph = ring(num_agents) if topology is None else topology
        require_topology(graph)
        if graph.num_agents != num_agents or graph.is_sequence:
            raise ValueError(
                f"topology: expected a single graph of {num_agents} agents, got {graph.num_agents}"
            )
        self.topology = graph
        self._out_degree = self._total(jnp.ones(num_agents), graph.receivers, graph.senders)
        self._in_degree = self._total(jnp.ones(num_agents), graph.senders, graph.receivers)
        least = int(jnp.minimum(self._out_degree, self._in_degree).min())
        if least < 1:
            raise ValueError("topology: expected in- and out-degrees of at least 1, got 0")
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> DonationParams:
        """Physics in which a donation is worth three times its cost."""
        return DonationParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]``, 0 or 1."""
        return discrete_actions(self.num_agents, 2)

    def start(self, key: jax.Array, params: DonationParams) -> DonationWorld:
        """Donations drawn at the income rate; no agent gave yet."""
        return DonationWorld(
            self._draw(key, jnp.asarray(params.income)), jnp.zeros(self.num_agents, bool)
        )

    def advance(
        self, key: jax.Array, world: DonationWorld, action: jax.Array, params: DonationParams
    ) -> Outcome:
        """Donations are received, then new ones are drawn."""
        gives = world.has & (action == 1)
        shares = jnp.where(gives, params.benefit / self._out_degree, 0.0)
        received = self._total(shares, self.topology.senders, self.topology.receivers)
        reward = received - params.cost * gives
        share = jnp.mean(gives.astype(jnp.float32))
        has = self._draw(key, params.income + params.growth * share)
        metrics = {"given": jnp.sum(gives).astype(jnp.int32)}
        return Outcome(DonationWorld(has, gives), reward, jnp.zeros((), bool), metrics)

    def draw(self, world: DonationWorld, params: DonationParams, ax: Any) -> None:
        """Draw the graph; see :mod:`jaxswarm.envs.donations.viewer`."""
        viewer.draw(world, self.topology, ax)

    def observe(
        self, world: DonationWorld, params: DonationParams, step_count: jax.Array
    ) -> DonationObservation:
        """Each agent's own donation, and the share of its neighbours that gave."""
        del params, step_count
        gave = world.gave.astype(jnp.float32)
        received = self._total(gave, self.topology.senders, self.topology.receivers)
        return DonationObservation(
            has=world.has.astype(jnp.float32)[:, None],
            received=(received / self._in_degree)[:, None],
            agent_mask=jnp.ones(self.num_agents, bool),
        )

    def global_state(self, state: SwarmState) -> jax.Array:
        """Shares of agents that have a donation and that gave, ``float32[2]``."""
        world = state.world
        return jnp.stack([jnp.mean(x.astype(jnp.float32)) for x in (world.has, world.gave)])

    def _draw(self, key: jax.Array, chance: jax.Array) -> jax.Array:
        draws = jax.vmap(lambda k: jax.random.uniform(k))(agents.keys(key, self.num_agents))
        return draws < chance

    def _total(self, values: jax.Array, sources: Any, ends: Any) -> jax.Array:
        """For every agent the sum of ``values`` of the sources of its edges."""
        per_edge = jnp.where(self.topology.mask, values[sources], 0.0)
        return jnp.zeros_like(values).at[ends].add(per_edge)
