"""The teams' games, among them one in which edges are worth a known amount.

In *informed* one agent, another in every step, observes the right action; all observe which agent
that is. The reward is the share of the agents that take the right action. What edges are worth
follows from counting (:func:`informed_values`): without edges all other agents act at random, in
the full graph of a fixed order those before the informed agent do, and with a graph that depends on
the state no agent does.

Shapes: ``N`` agents with ``A`` actions.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from experiments.bn_actor_critic.config import Config
from jaxswarm import envs
from jaxswarm.envs import Outcome, SwarmEnvironment, discrete_actions

CHOICES = 2  # actions of the informed game
INFORMED_STEPS = 10  # steps of its episodes


class InformedWorld(NamedTuple):
    """``informed int32[]``: the agent that observes the ``right int32[]`` action."""

    informed: jax.Array
    right: jax.Array


class InformedObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        informed: ``float32[N, N]``, one-hot, the informed agent; the same for all.
        right: ``float32[N, A]``, one-hot, the right action; 0 for all but the informed agent.
        agent_mask: ``bool[N]``, always true.
    """

    informed: jax.Array
    right: jax.Array
    agent_mask: jax.Array


class Informed(SwarmEnvironment):
    """One agent observes the right action; the reward is the share of agents that take it."""

    def __init__(self, num_agents: int, num_choices: int = CHOICES):
        self.num_choices = num_choices
        super().__init__(num_agents, INFORMED_STEPS)

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]``."""
        return discrete_actions(self.num_agents, self.num_choices)

    def start(self, key: jax.Array, params: Any) -> InformedWorld:
        """Draw the informed agent and the right action."""
        del params
        agent_key, action_key = jax.random.split(key)
        informed = jax.random.randint(agent_key, (), 0, self.num_agents)
        return InformedWorld(informed, jax.random.randint(action_key, (), 0, self.num_choices))

    def advance(
        self, key: jax.Array, world: InformedWorld, action: jax.Array, params: Any
    ) -> Outcome:
        """Reward the right actions, and draw anew."""
        share = jnp.mean((action == world.right).astype(jnp.float32))
        reward = jnp.full(self.num_agents, share)
        return Outcome(self.start(key, params), reward, jnp.zeros((), bool), {})

    def observe(self, world: InformedWorld, params: Any, step_count: jax.Array) -> Any:
        """The informed agent's id, and to that agent the right action."""
        del params, step_count
        n = self.num_agents
        informed = jax.nn.one_hot(world.informed, n)
        right = informed[:, None] * jax.nn.one_hot(world.right, self.num_choices)[None]
        return InformedObservation(jnp.tile(informed, (n, 1)), right, jnp.ones(n, bool))


def informed_values(n: int, num_choices: int = CHOICES) -> dict[str, float]:
    """Largest expected reward per step by graph, from the agents that the right action reaches."""
    guess = 1.0 / num_choices
    in_order = sum(n - p + p * guess for p in range(n)) / n / n
    return {"independent": (1.0 + (n - 1) * guess) / n, "full": in_order, "learnt": 1.0}


class Game(NamedTuple):
    """A game of teams.

    Attributes:
        env: the environment.
        discount: discount factor.
        iterations: PPO iterations.
    """

    env: SwarmEnvironment
    discount: float
    iterations: int


def build_games(config: Config) -> dict[str, Game]:
    """Build the teams' games; a size of 0 leaves one out."""
    games: dict[str, tuple[SwarmEnvironment, float, int]] = {}
    if config.aloha:
        games["aloha"] = (envs.Aloha(config.aloha), 0.99, config.aloha_steps)
    if config.informed:
        games["informed"] = (Informed(config.informed), 0.0, config.informed_steps)
    if config.coordination:
        env = envs.CoordinationGame(config.coordination)
        games["coordination"] = (env, 0.95, config.coordination_steps)
    return {
        name: Game(env, discount, max(steps // (config.team_envs * env.time_limit), 1))
        for name, (env, discount, steps) in games.items()
    }
