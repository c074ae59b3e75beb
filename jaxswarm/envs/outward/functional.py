"""Environments in the conventions of gymnax and JaxMARL, inside ``jit`` and ``vmap``.

Shapes: ``N`` agents, ``D`` numbers of an agent's observation.

References:
    R. T. Lange, gymnax: a JAX-based reinforcement learning environment library, 2022.
    A. Rutherford et al., JaxMARL: multi-agent RL environments and algorithms in JAX, 2024.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jumanji.types import TimeStep

from jaxswarm import agents
from jaxswarm.envs.environment import SwarmEnvironment, SwarmState, require_environment
from jaxswarm.envs.outward.views import (
    Box,
    Discrete,
    action_mask,
    names,
    size,
    space_of,
    typed,
    vectors,
)
from jaxswarm.types import Key, PyTree

Step = tuple[Any, SwarmState, Any, Any, dict[str, Any]]


class _Style:
    """Reset and step with the loop's keys, and automatic reset."""

    def __init__(self, env: SwarmEnvironment):
        self._env = require_environment(env)
        self.num_agents = env.num_agents
        self.name = type(env).__name__
        self._size = size(env)

    def _reset(self, key: Key, params: PyTree) -> tuple[TimeStep, SwarmState]:
        state, timestep = self._env.reset(typed(key), params)
        return timestep, state

    def _step(self, key: Key, state: SwarmState, action: Any) -> tuple[TimeStep, SwarmState]:
        state, timestep = self._env.step(state._replace(key=typed(key)), action)
        return timestep, state

    def _restarted(
        self, key: Key, timestep: TimeStep, state: SwarmState
    ) -> tuple[PyTree, SwarmState]:
        """Observation and state, of a new episode with the same physics if this one is over."""
        fresh, first = self._env.reset(jax.random.fold_in(typed(key), 1), state.params)
        last = timestep.last()
        new, old = (first.observation, fresh), (timestep.observation, state)
        choose = lambda a, b: jax.lax.select(jnp.broadcast_to(last, a.shape), a, b)  # noqa: E731
        return jax.tree.map(choose, new, old)


class GymnaxStyle(_Style):
    """An environment as gymnax has them; build it with :func:`to_gymnax`.

    Attributes:
        num_agents: ``N``; a single agent has no agents axis.
        name: name of the environment's class.
    """

    @property
    def default_params(self) -> PyTree:
        """The default physics."""
        return self._env.params

    @property
    def num_actions(self) -> int:
        """Number of discrete actions, or of numbers in an action."""
        space = self._one
        return space.n if isinstance(space, Discrete) else int(np.prod(space.shape))

    def reset(self, key: Key, params: PyTree = None) -> tuple[jax.Array, SwarmState]:
        """``(observation, state)``; observations are ``float32[N, D]``."""
        timestep, state = self._reset(key, params)
        return self._out(vectors(timestep.observation)), state

    def step(
        self, key: Key, state: SwarmState, action: Any, params: PyTree = None
    ) -> tuple[jax.Array, SwarmState, jax.Array, jax.Array, dict[str, Any]]:
        """``(observation, state, reward, done, info)``; a new episode begins where one ends.

        ``reward`` is ``float32[N]``, ``done`` a flag; info has ``discount float32[N]`` (1 where the
        episode was truncated), ``truncated`` and the environment's metrics.
        """
        timestep, after = self._step(key, self._with(state, params), self._in(action))
        observation, new = self._restarted(key, timestep, after)
        return self._out(vectors(observation)), new, *self._rest(timestep)

    def step_env(
        self, key: Key, state: SwarmState, action: Any, params: PyTree = None
    ) -> tuple[jax.Array, SwarmState, jax.Array, jax.Array, dict[str, Any]]:
        """As :meth:`step`, without a new episode."""
        timestep, after = self._step(key, self._with(state, params), self._in(action))
        return self._out(vectors(timestep.observation)), after, *self._rest(timestep)

    def action_space(self, params: PyTree = None) -> Discrete | Box:
        """Of one agent; with several, actions are ``[N, ...]`` of it."""
        del params
        return self._one

    def observation_space(self, params: PyTree = None) -> Box:
        """Of one agent, ``float32[D]``."""
        del params
        return Box(-np.inf, np.inf, (self._size,))

    @property
    def _one(self) -> Discrete | Box:
        return space_of(self._env, 0)

    def _with(self, state: SwarmState, params: PyTree) -> SwarmState:
        if params is None:
            return state
        return state._replace(params=jax.tree.map(jnp.asarray, params))

    def _in(self, action: Any) -> Any:
        return jnp.asarray(action)[None] if self.num_agents == 1 else action

    def _out(self, x: Any) -> jax.Array:
        return x[0] if self.num_agents == 1 else x

    def _rest(self, timestep: TimeStep) -> tuple[jax.Array, jax.Array, dict[str, Any]]:
        info = {**(timestep.extras or {}), "discount": self._out(timestep.discount)}
        legal = action_mask(timestep.observation)
        if legal is not None:
            info["action_mask"] = self._out(legal)
        return self._out(timestep.reward), jnp.asarray(timestep.last()), info


class JaxMARLStyle(_Style):
    """An environment as JaxMARL has them; build it with :func:`to_jaxmarl`.

    Attributes:
        agents: names ``agent_0``, ``agent_1``, …
        num_agents: ``N``.
        name: name of the environment's class.
        observation_spaces: space of each agent by name.
        action_spaces: likewise.
    """

    def __init__(self, env: SwarmEnvironment):
        super().__init__(env)
        self.agents = names(env)
        self.observation_spaces = {n: Box(-np.inf, np.inf, (self._size,)) for n in self.agents}
        self.action_spaces = {n: space_of(env, i) for i, n in enumerate(self.agents)}

    def observation_space(self, agent: str) -> Box:
        """Of one agent, ``float32[D]``."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete | Box:
        """Of one agent."""
        return self.action_spaces[agent]

    def reset(self, key: Key) -> tuple[dict[str, jax.Array], SwarmState]:
        """``(observations by agent, state)``."""
        timestep, state = self._reset(key, None)
        return self._named(vectors(timestep.observation)), state

    def step(
        self,
        key: Key,
        state: SwarmState,
        actions: dict[str, Any],
        reset_state: SwarmState | None = None,
    ) -> Step:
        """``(observations, state, rewards, dones, info)``; a new episode begins where one ends.

        ``dones`` has each agent and ``"__all__"``; info has ``truncated`` and the metrics.

        Args:
            key: of this step.
            state: before it.
            actions: by agent.
            reset_state: state to start new episodes from instead of a random one.
        """
        timestep, after = self._step(key, state, self._joined(actions))
        observation, new = self._restarted(key, timestep, after)
        if reset_state is not None:
            fixed = self._env.observe(reset_state.world, reset_state.params, reset_state.step_count)
            last = jnp.asarray(timestep.last())
            many = jnp.broadcast_to(last, (self.num_agents,))
            observation = agents.where(many, fixed, observation)
            new = jax.tree.map(
                lambda a, b: jax.lax.select(jnp.broadcast_to(last, b.shape), a, b),
                reset_state,
                new,
            )
        return self._named(vectors(observation)), new, *self._rest(timestep)

    def step_env(self, key: Key, state: SwarmState, actions: dict[str, Any]) -> Step:
        """As :meth:`step`, without a new episode."""
        timestep, after = self._step(key, state, self._joined(actions))
        return self._named(vectors(timestep.observation)), after, *self._rest(timestep)

    def get_obs(self, state: SwarmState) -> dict[str, jax.Array]:
        """Observations of a state by agent."""
        return self._named(vectors(self._observed(state)))

    def get_avail_actions(self, state: SwarmState) -> dict[str, jax.Array]:
        """Legal actions of a state by agent, ``bool[A]``; all of them where there is no mask."""
        legal = action_mask(self._observed(state))
        if legal is not None:
            return self._named(legal)
        return {
            name: jnp.ones(space.n if isinstance(space, Discrete) else space.shape, bool)
            for name, space in self.action_spaces.items()
        }

    def _observed(self, state: SwarmState) -> PyTree:
        return self._env.observe(state.world, state.params, state.step_count)

    def _named(self, rows: Any) -> dict[str, jax.Array]:
        return {name: rows[index] for index, name in enumerate(self.agents)}

    def _joined(self, actions: dict[str, Any]) -> jax.Array:
        if not isinstance(actions, dict) or set(actions) != set(self.agents):
            raise ValueError(f"actions: expected a dict of {self.agents}, got {actions!r}")
        return jnp.stack([jnp.asarray(actions[name]) for name in self.agents])

    def _rest(self, timestep: TimeStep) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        last = jnp.asarray(timestep.last())
        dones = self._named(last | (timestep.discount == 0.0))
        return self._named(timestep.reward), {**dones, "__all__": last}, dict(timestep.extras or {})


def to_gymnax(env: SwarmEnvironment) -> GymnaxStyle:
    """Turn an environment into one with gymnax's functions, for its training loops.

    ``reset(key, params) -> (obs, state)`` and ``step(key, state, action, params) -> (obs, state,
    reward, done, info)``, which begins a new episode where one ends. Several agents are an axis of
    observations, actions and rewards; a single one has none.

    Args:
        env: of this package, or your own.

    Raises:
        ValueError: if ``env`` is no environment of this kind.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> env = envs.to_gymnax(envs.Pendulum())
        >>> key = jax.random.PRNGKey(0)  # legacy keys too
        >>> obs, state = env.reset(key, env.default_params)
        >>> action = env.action_space().sample(key)
        >>> obs, state, reward, done, info = env.step(key, state, action, env.default_params)
        >>> obs.shape, reward.shape, bool(done)
        ((3,), (), False)
    """
    return GymnaxStyle(env)


def to_jaxmarl(env: SwarmEnvironment) -> JaxMARLStyle:
    """Turn an environment into one with JaxMARL's functions: dictionaries by the agents' names.

    Programs grow with the number of agents, as all of that convention do.

    Args:
        env: of this package, or your own.

    Raises:
        ValueError: if ``env`` is no environment of this kind.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> env = envs.to_jaxmarl(envs.SimpleSpread(num_agents=3))
        >>> obs, state = env.reset(jax.random.key(0))
        >>> actions = {a: env.action_space(a).sample(jax.random.key(1)) for a in env.agents}
        >>> obs, state, rewards, dones, info = env.step(jax.random.key(2), state, actions)
        >>> sorted(dones)
        ['__all__', 'agent_0', 'agent_1', 'agent_2']
    """
    return JaxMARLStyle(env)
