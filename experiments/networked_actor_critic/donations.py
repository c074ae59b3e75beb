"""The donation game with different tastes and an optional team reward."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import envs
from jaxswarm.envs.environment import Outcome


class TeamDonationParams(NamedTuple):
    """Physics of :class:`TeamDonations`; may be traced.

    Attributes:
        benefit: what a gift is worth, shared equally among the giver's neighbors.
        cost: cost of giving.
        income: probability of having something to give when no agent gave.
        growth: added to it, in proportion to the share of agents that gave.
        mean_pay: 0 pays every agent its own reward, 1 the mean reward of all.
        worth: ``[N]``, factor on what received gifts are worth to each agent.
    """

    benefit: Any = 3.0
    cost: Any = 1.0
    income: Any = 0.4
    growth: Any = 0.5
    mean_pay: Any = 0.0
    worth: Any = 1.0


class TeamDonations(envs.Donations):
    """The donation game whose rewards can be weighted per agent and shared by all agents."""

    @property
    def params(self) -> Any:
        """Private rewards and equal tastes."""
        return TeamDonationParams(worth=jnp.ones(self.num_agents))

    def advance(self, key: jax.Array, world: Any, action: jax.Array, params: Any) -> Outcome:
        """Step the donation game, then weight received gifts and share the reward."""
        outcome = super().advance(key, world, action, params)
        spent = params.cost * (world.has & (action == 1))
        own = params.worth * (outcome.reward + spent) - spent
        return outcome._replace(reward=own + params.mean_pay * (jnp.mean(own) - own))
