"""The donation game on a graph: give and be out of pocket, or keep and live off others.

Who has something to give may give it; the cost is its own, the larger benefit goes to its
neighbours. The more is given, the more everyone has to give in the next step. The team is best off
if all give always, each agent by itself if it never does: private rewards that pull against the
team's, which is what networked learners are for.

Shapes: ``N`` agents, any graph.

References:
    M. A. Nowak, Five rules for the evolution of cooperation, 2006 (the donation game).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents
from jaxswarm.envs.donations import viewer
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, SwarmState, discrete_actions
from jaxswarm.topology import Topology, ring


class DonationParams(NamedTuple):
    """Traced.

    Attributes:
        benefit: of a gift, shared equally among the giver's neighbours; above ``cost`` for a
            dilemma.
        cost: of giving.
        income: probability of having something to give when nobody gave.
        growth: added to it when everybody did.
    """

    benefit: Any = 3.0
    cost: Any = 1.0
    income: Any = 0.4
    growth: Any = 0.5


class DonationWorld(NamedTuple):
    """``has bool[N]``, who has something to give; ``gave bool[N]`` in the step before."""

    has: jax.Array
    gave: jax.Array


class DonationObservation(NamedTuple):
    """What each agent sees.

    Attributes:
        has: ``[N, 1]``, its own.
        received: ``[N, 1]``, the share of its neighbours that gave in the step before.
        agent_mask: ``bool[N]``, always true.
    """

    has: jax.Array
    received: jax.Array
    agent_mask: jax.Array


class Donations(SwarmEnvironment):
    """Actions ``int32[N]``: 0 keeps, 1 gives; the rewards are private.

    Args:
        num_agents: ``N``.
        time_limit: steps of an episode.
        topology: who gives to whom; a ring if omitted.

    Raises:
        ValueError: if the topology is a sequence or has another number of agents, or somebody has
            nobody to give to or to receive from.
    """

    def __init__(self, num_agents: int = 8, time_limit: int = 20, topology: Topology | None = None):
        graph = ring(num_agents) if topology is None else topology
        if graph.num_agents != num_agents or graph.is_sequence:
            raise ValueError(
                f"topology: expected a single graph of {num_agents} agents, got {graph.num_agents}"
            )
        self.topology = graph
        self._takers = self._total(jnp.ones(num_agents), graph.receivers, graph.senders)
        self._givers = self._total(jnp.ones(num_agents), graph.senders, graph.receivers)
        if int(jnp.minimum(self._takers, self._givers).min()) < 1:
            raise ValueError("topology: expected a giver and a taker for everyone")
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> DonationParams:
        """Gifts are worth three times their cost."""
        return DonationParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """``int32[N]``, 0 or 1."""
        return discrete_actions(self.num_agents, 2)

    def start(self, key: jax.Array, params: DonationParams) -> DonationWorld:
        """Nobody gave yet."""
        return DonationWorld(
            self._draw(key, jnp.asarray(params.income)), jnp.zeros(self.num_agents, bool)
        )

    def advance(
        self, key: jax.Array, world: DonationWorld, action: jax.Array, params: DonationParams
    ) -> Outcome:
        """Gifts change hands, then fortunes are drawn anew."""
        gives = world.has & (action == 1)
        shares = jnp.where(gives, params.benefit / self._takers, 0.0)
        got = self._total(shares, self.topology.senders, self.topology.receivers)
        reward = got - params.cost * gives
        share = jnp.mean(gives.astype(jnp.float32))
        has = self._draw(key, params.income + params.growth * share)
        metrics = {"given": jnp.sum(gives).astype(jnp.int32)}
        return Outcome(DonationWorld(has, gives), reward, jnp.zeros((), bool), metrics)

    def draw(self, world: DonationWorld, params: DonationParams, ax: Any) -> None:
        """See :mod:`jaxswarm.envs.donations.viewer`."""
        viewer.draw(world, self.topology, ax)

    def observe(
        self, world: DonationWorld, params: DonationParams, step_count: jax.Array
    ) -> DonationObservation:
        """Own fortune, and how generous the neighbours were."""
        del params, step_count
        gave = world.gave.astype(jnp.float32)
        received = self._total(gave, self.topology.senders, self.topology.receivers)
        return DonationObservation(
            has=world.has.astype(jnp.float32)[:, None],
            received=(received / self._givers)[:, None],
            agent_mask=jnp.ones(self.num_agents, bool),
        )

    def global_state(self, state: SwarmState) -> jax.Array:
        """``float32[2]``: the shares that have and that gave; the graph adds nothing to a team."""
        world = state.world
        return jnp.stack([jnp.mean(x.astype(jnp.float32)) for x in (world.has, world.gave)])

    def _draw(self, key: jax.Array, chance: jax.Array) -> jax.Array:
        draws = jax.vmap(lambda k: jax.random.uniform(k))(agents.keys(key, self.num_agents))
        return draws < chance

    def _total(self, values: jax.Array, sources: Any, ends: Any) -> jax.Array:
        """For every agent the sum of ``values`` over the edges that end at it."""
        told = jnp.where(self.topology.mask, values[sources], 0.0)
        return jnp.zeros_like(values).at[ends].add(told)
