"""The coordination game: binary actions whose team reward has a poor and a good consensus.

Each agent's state bit becomes its action, flipped with some probability; all observe all bits. With
``z`` zeros and ``o`` ones the team earns 1 or 0 if the counts are within ``margin`` (1 if there are
fewer zeros), else 3 if zeros lead and 2 if ones do. Independent learners converge to the worse
consensus.

Shapes: ``N`` agents.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs.coordination_game import viewer
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, discrete_actions

MARGINS = {2: 1, 3: 1, 5: 2, 10: 3}
"""The paper's margin for its numbers of agents."""


class CoordinationParams(NamedTuple):
    """Physics, traced.

    Attributes:
        flip: probability that a bit differs from its agent's action.
        margin: largest difference of the counts without a consensus.
    """

    flip: Any
    margin: Any


class CoordinationObservation(NamedTuple):
    """``bits float32[N, N]``: all bits, the agent's own first; ``agent_mask bool[N]``."""

    bits: jax.Array
    agent_mask: jax.Array


class CoordinationGame(SwarmEnvironment):
    """Coordination game with binary actions ``int32[N]`` and a shared reward in ``{0, 1, 2, 3}``.

    Args:
        num_agents: ``N``.
        time_limit: steps of an episode.
        margin: largest difference of the counts without a consensus; the paper's for 2, 3, 5 and
            10 agents if omitted.

    Raises:
        ValueError: if ``margin`` is omitted for another number of agents, or not in ``[0, N)``.
    """

    def __init__(self, num_agents: int = 5, time_limit: int = 25, margin: int | None = None):
        num_agents = checks.whole("num_agents", num_agents, 1)
        if margin is None:
            if num_agents not in MARGINS:
                raise ValueError(
                    f"margin: expected a number for {num_agents} agents, got None; the paper has "
                    f"one for {sorted(MARGINS)} agents only"
                )
            margin = MARGINS[num_agents]
        self._margin = checks.whole("margin", margin, 0, num_agents - 1)
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> CoordinationParams:
        """Physics with a flip probability of 0.1."""
        return CoordinationParams(flip=0.1, margin=float(self._margin))

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]``, 0 or 1."""
        return discrete_actions(self.num_agents, 2)

    def start(self, key: jax.Array, params: CoordinationParams) -> jax.Array:
        """Uniformly random bits, ``bool[N]``."""
        del params
        return jax.vmap(jax.random.bernoulli)(agents.keys(key, self.num_agents))

    def advance(
        self, key: jax.Array, world: jax.Array, action: jax.Array, params: CoordinationParams
    ) -> Outcome:
        """The reward of the present bits, then the next bits."""
        ones = jnp.sum(world)
        zeros = self.num_agents - ones
        no_consensus = jnp.where(zeros < ones, 1.0, 0.0)
        consensus = jnp.where(zeros > ones, 3.0, 2.0)
        reward = jnp.where(jnp.abs(zeros - ones) <= params.margin, no_consensus, consensus)
        flips = jax.vmap(lambda k: jax.random.uniform(k))(agents.keys(key, self.num_agents))
        world = (action == 1) ^ (flips < params.flip)
        return Outcome(
            world, jnp.full(self.num_agents, reward), jnp.zeros((), bool), {"ones": ones}
        )

    def draw(self, world: jax.Array, params: CoordinationParams, ax: Any) -> None:
        """Draw the bits; see :mod:`jaxswarm.envs.coordination_game.viewer`."""
        viewer.draw(world, params, ax)

    def observe(
        self, world: jax.Array, params: CoordinationParams, step_count: jax.Array
    ) -> CoordinationObservation:
        """All bits, in cyclic order from each agent's own."""
        del params, step_count
        order = jnp.arange(self.num_agents)
        around = (order[:, None] + order[None, :]) % self.num_agents
        return CoordinationObservation(
            world.astype(jnp.float32)[around], jnp.ones(self.num_agents, bool)
        )
