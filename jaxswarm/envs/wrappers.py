"""Wrappers for automatic reset at the end of an episode, and for batches of environments.

jumanji's wrappers reset through ``reset(key)`` alone, which would use the default physics; these
keep the state's own physics.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jumanji.types import TimeStep
from jumanji.wrappers import Wrapper

from jaxswarm import agents, checks
from jaxswarm.envs.environment import SwarmEnvironment, SwarmState
from jaxswarm.types import Key, PyTree


class AutoReset(Wrapper):
    """Automatic reset: the last step of an episode returns the next episode's first observation.

    The last step keeps its reward, its discount (1 if truncated) and ``step_type`` LAST; its
    ``observation`` is the new episode's first. The true last observation, which bootstrapping
    needs, is in ``extras["next_obs"]`` of every step (jumanji's name).

    No reset is computed in a step in which no episode ends, of a batch in one in which none of any
    environment does: around :class:`Vmapped`, inside it and under ``jax.vmap`` alike.

    Attributes:
        keeps_global: also keep the true last ``global_state``, as ``extras["next_global"]``.
    """

    _env: Any

    def __init__(self, env: "SwarmEnvironment | Vmapped", *, keeps_global: bool = False):
        checks.instance("env", env, (SwarmEnvironment, Vmapped), "envs.SimpleSpread(3)")
        self.keeps_global = keeps_global
        self._many = isinstance(env, Vmapped)
        super().__init__(env)

    def reset(self, key: Key, params: PyTree = None, **options: Any) -> tuple[Any, TimeStep]:
        """Reset the environment, with ``next_obs`` in the extras."""
        state, timestep = self._env.reset(key, params, **options)
        return state, self._with_next(state, timestep)

    def step(self, state: SwarmState, action: jax.Array) -> tuple[SwarmState, TimeStep]:
        """One step, and a new episode if it was the last."""
        state, timestep = self._env.step(state, action)
        timestep = self._with_next(state, timestep)
        last: Any = timestep.last()
        current = (state, timestep.observation)

        def restarted() -> tuple[SwarmState, Any]:
            if self._many:
                return agents.where(last, self._env.restart(state), current)
            return jax.tree.map(partial(jnp.where, last), _restart(self._env, state), current)

        state, observation = jax.lax.cond(_anywhere(last), restarted, lambda: current)
        return state, replace(timestep, observation=observation)

    def _with_next(self, state: SwarmState, timestep: TimeStep) -> TimeStep:
        extras = {**timestep.extras, "next_obs": timestep.observation}
        if self.keeps_global:
            extras["next_global"] = self._env.global_state(state)
        return replace(timestep, extras=extras)


class Vmapped(Wrapper):
    """A batch of ``num_envs`` environments as one, with a leading axis on every leaf.

    Attributes:
        num_envs: number of environments.

    Raises:
        ValueError: if ``num_envs < 1``.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> env = envs.AutoReset(envs.Vmapped(envs.SimpleSpread(num_agents=3), 8))
        >>> state, timestep = env.reset(jax.random.key(0))
        >>> timestep.observation.position.shape
        (8, 3, 2)
    """

    _env: Any

    def __init__(self, env: SwarmEnvironment | AutoReset, num_envs: int):
        checks.instance("env", env, (SwarmEnvironment, AutoReset), "envs.SimpleSpread(3)")
        self.num_envs = checks.whole("num_envs", num_envs, 1)
        super().__init__(env)

    def reset(
        self, key: Key, params: PyTree = None, *, per_env: bool = False
    ) -> tuple[SwarmState, TimeStep]:
        """Reset all environments.

        Args:
            key: one key; environment ``e`` starts from ``fold_in(key, e)``.
            params: the physics, shared by all; or with a leading axis, see ``per_env``.
            per_env: each environment has its own physics, leaves ``[num_envs, ...]``.

        Raises:
            ValueError: if ``per_env`` and a leaf lacks that leading axis.
        """
        checks.key(key)
        keys = jax.vmap(lambda index: jax.random.fold_in(key, index))(jnp.arange(self.num_envs))
        if not per_env:
            return jax.vmap(lambda k: self._env.reset(k, params))(keys)
        for path, leaf in jax.tree.leaves_with_path(params):
            if jnp.shape(leaf)[:1] != (self.num_envs,):
                raise ValueError(
                    f"params{jax.tree_util.keystr(path)}: expected leading axis {self.num_envs}, "
                    f"got shape {jnp.shape(leaf)}"
                )
        return jax.vmap(self._env.reset)(keys, params)

    def step(self, state: SwarmState, action: jax.Array) -> tuple[SwarmState, TimeStep]:
        """Step all environments; ``action`` is ``[num_envs, N, ...]``."""
        if not isinstance(action, jax.Array):
            action = jnp.asarray(checks.as_array("action", action, "actions [num_envs, N, ...]"))
        if jnp.shape(action)[:1] != (self.num_envs,):
            raise ValueError(
                f"action: expected leading axis {self.num_envs}, got shape {jnp.shape(action)}"
            )
        return jax.vmap(self._env.step)(state, action)

    def restart(self, state: SwarmState) -> tuple[SwarmState, Any]:
        """Start new episodes from the states' own keys and physics: ``(states, observations)``."""
        return jax.vmap(partial(_restart, self._env))(state)

    def global_state(self, state: SwarmState) -> jax.Array:
        """Inputs of a centralised critic, ``float32[num_envs, D]``."""
        return jax.vmap(self._env.global_state)(state)


def _restart(env: Any, state: SwarmState) -> tuple[SwarmState, Any]:
    """A new episode from the state's own key and physics: ``(state, observation)``."""
    fresh, first = env.reset(state.key, state.params)
    return fresh, first.observation


@jax.custom_batching.custom_vmap
def _anywhere(flag: jax.Array) -> jax.Array:
    """Whether a flag is true, ``bool[]``; under ``vmap``, whether it is true of any member.

    So a ``lax.cond`` of it remains one under ``vmap``, where a predicate of each member's own
    makes XLA compute both branches.
    """
    return jnp.any(flag)


@_anywhere.def_vmap
def _(size: int, is_batched: list[bool], flag: jax.Array) -> tuple[jax.Array, bool]:
    del size, is_batched
    return _anywhere(flag), False
