"""Single-agent jumanji environments, one copy per agent; built by ``from_jumanji``."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs
from jumanji.env import Environment

from jaxswarm.envs.adapters.copies import CopyStep, IndependentCopies, choose_restart
from jaxswarm.envs.adapters.observation import adapted_spec
from jaxswarm.envs.environment import discrete_actions
from jaxswarm.types import PyTree


class FromJumanjiCopies(IndependentCopies):
    """A single-agent jumanji environment as a swarm environment; see :func:`from_jumanji`."""

    def __init__(
        self,
        env: Environment,
        num_agents: int,
        time_limit: int,
        *,
        truncates: bool,
        succeeded: Callable[[Any], jax.Array] | None,
        restart: bool | None,
    ):
        self._env, self._succeeded = env, succeeded
        self.ends_at_limit = truncates
        self.restarts = choose_restart(restart, num_agents)
        super().__init__(num_agents, time_limit)

    @cached_property
    def action_spec(self) -> specs.Array:
        """The original's action for every agent, ``[N, ...]``."""
        one, n = self._env.action_spec, self.num_agents
        if isinstance(one, specs.DiscreteArray):
            return discrete_actions(n, int(one.num_values))
        if isinstance(one, specs.MultiDiscreteArray):
            values = np.broadcast_to(one.num_values, (n, *one.shape)).astype(np.int32)
            return specs.MultiDiscreteArray(num_values=values, name="action")  # pyright: ignore
        assert isinstance(one, specs.BoundedArray)
        low, high = (np.broadcast_to(x, (n, *one.shape)) for x in (one.minimum, one.maximum))
        return specs.BoundedArray((n, *one.shape), one.dtype, low, high, "action")

    @cached_property
    def observation_spec(self) -> specs.Spec:
        """Shapes and dtypes, every leaf ``[N, ...]``."""
        state = jax.eval_shape(self._example)
        observation = jax.eval_shape(self.observe, state.world, state.params, state.step_count)
        return adapted_spec(observation)

    def begin(self, key: jax.Array, params: PyTree) -> tuple[PyTree, PyTree]:
        """Reset one copy."""
        del params
        state, timestep = self._env.reset(key)
        return state, timestep.observation

    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> CopyStep:
        """The original's step; it terminates where that ends with discount 0."""
        del key, params
        state, timestep = self._env.step(state, action)
        terminated = jnp.asarray(timestep.last()) & jnp.all(timestep.discount == 0.0)
        extras = timestep.extras if isinstance(timestep.extras, dict) else {}
        reward = jnp.asarray(timestep.reward)
        return CopyStep(state, timestep.observation, reward, terminated, dict(extras))

    def succeeded(self, state: PyTree) -> jax.Array:
        """Whether a copy that ends in the last step did not end by the time limit, ``bool[]``."""
        return jnp.zeros((), bool) if self._succeeded is None else self._succeeded(state)
