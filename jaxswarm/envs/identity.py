"""Observations with the agents' ids, for agents that share one network.

Shapes: ``N`` agents.

References:
    J. K. Terry et al., Revisiting parameter sharing in multi-agent deep reinforcement learning,
    2020 (agent indication).
"""

from collections import namedtuple
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm.envs.environment import Outcome, SwarmEnvironment, SwarmState, require_environment
from jaxswarm.types import PyTree


class WithIdentity(SwarmEnvironment):
    """An environment whose observations have one more field, ``identity: float32[N, N]``, one-hot.

    Everything else is the original's: agents that share weights can then act differently.

    Args:
        env: not wrapped.

    Raises:
        ValueError: for something that is no environment, or one whose observation has such a field.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> env = envs.WithIdentity(envs.SimpleSpread(3))
        >>> _, timestep = env.reset(jax.random.key(0))
        >>> timestep.observation.identity.tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    def __init__(self, env: SwarmEnvironment):
        _, timestep = jax.eval_shape(require_environment(env).reset, jax.random.key(0))
        fields = timestep.observation._fields
        if "identity" in fields:
            raise ValueError("env: expected observations without a field 'identity', got one")
        self.env = env
        name = f"Identified{type(timestep.observation).__name__}"
        self._observation: Any = namedtuple(name, (*fields, "identity"))
        super().__init__(env.num_agents, env.time_limit)

    @property
    def params(self) -> PyTree:
        """Physics of the original."""
        return self.env.params

    @cached_property
    def action_spec(self) -> specs.Array:
        """Action spec of the original."""
        return self.env.action_spec

    def start(self, key: jax.Array, params: PyTree) -> PyTree:
        """Start of the original."""
        return self.env.start(key, params)

    def advance(self, key: jax.Array, world: PyTree, action: jax.Array, params: PyTree) -> Outcome:
        """Step of the original."""
        return self.env.advance(key, world, action, params)

    def observe(self, world: PyTree, params: PyTree, step_count: jax.Array) -> PyTree:
        """Observation of the original, with ids."""
        observation = self.env.observe(world, params, step_count)
        return self._observation(*observation, identity=jnp.eye(self.num_agents))

    def agent_mask(self, world: PyTree) -> jax.Array:
        """Agents of the original that are present."""
        return self.env.agent_mask(world)

    def global_state(self, state: SwarmState) -> jax.Array:
        """Global state of the original, without ids."""
        return self.env.global_state(state)

    def draw(self, world: PyTree, params: PyTree, ax: Any) -> None:
        """Drawing of the original."""
        self.env.draw(world, params, ax)
