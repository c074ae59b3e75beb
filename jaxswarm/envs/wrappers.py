"""Many episodes at once: reset where they end, and run environments side by side.

jumanji's wrappers reset through ``reset(key)`` alone, which would fall back to the default physics;
these hand the state's own physics on.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jumanji.types import TimeStep
from jumanji.wrappers import Wrapper

from jaxswarm import agents
from jaxswarm.envs.environment import SwarmEnvironment, SwarmState


class AutoReset(Wrapper):
    """After an episode's last step comes the first observation of the next one.

    The last step keeps its reward, its discount (1 if truncated) and ``step_type`` LAST; its
    ``observation`` is the new episode's first. The true last observation, which bootstrapping
    needs, is in ``extras["next_obs"]`` of every step (jumanji's name).

    Around :class:`Vmapped` environments nothing is begun anew in steps in which no episode ends,
    which saves most of a step's cost where beginning is dear; inside, every step begins anew and
    may throw it away. The outcomes are the same.

    Attributes:
        keeps_global: also keep the true last ``global_state``, as ``extras["next_global"]``.
    """

    _env: Any

    def __init__(self, env: Any, *, keeps_global: bool = False):
        self.keeps_global = keeps_global
        self._many = isinstance(env, Vmapped)
        super().__init__(env)

    def reset(self, key: jax.Array, params: Any = None, **options: Any) -> tuple[Any, TimeStep]:
        """As the environment's, with ``next_obs`` in the extras."""
        state, timestep = self._env.reset(key, params, **options)
        return state, self._with_next(state, timestep)

    def step(self, state: SwarmState, action: jax.Array) -> tuple[SwarmState, TimeStep]:
        """One step, and a new episode if it was the last."""
        state, timestep = self._env.step(state, action)
        timestep = self._with_next(state, timestep)
        last: Any = timestep.last()
        now = (state, timestep.observation)

        def again() -> tuple[SwarmState, Any]:
            if self._many:
                return agents.where(last, self._env.restart(state), now)
            fresh, first = self._env.reset(state.key, state.params)
            return fresh, first.observation

        state, observation = jax.lax.cond(jnp.any(last), again, lambda: now)
        return state, replace(timestep, observation=observation)

    def _with_next(self, state: SwarmState, timestep: TimeStep) -> TimeStep:
        extras = {**timestep.extras, "next_obs": timestep.observation}
        if self.keeps_global:
            extras["next_global"] = self._env.global_state(state)
        return replace(timestep, extras=extras)


class Vmapped(Wrapper):
    """``num_envs`` environments as one, on a leading axis of everything.

    Attributes:
        num_envs: how many.

    Raises:
        ValueError: if ``num_envs < 1``.
    """

    _env: SwarmEnvironment

    def __init__(self, env: Any, num_envs: int):
        if num_envs < 1:
            raise ValueError(f"num_envs: expected at least 1, got {num_envs}")
        self.num_envs = num_envs
        super().__init__(env)

    def reset(
        self, key: jax.Array, params: Any = None, *, per_env: bool = False
    ) -> tuple[SwarmState, TimeStep]:
        """Reset all of them.

        Args:
            key: one key; environment ``e`` starts from ``fold_in(key, e)``.
            params: the physics, shared by all; or with a leading axis, see ``per_env``.
            per_env: each environment has its own physics, leaves ``[num_envs, ...]``.

        Raises:
            ValueError: if ``per_env`` and a leaf has not that leading axis.
        """
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
        """Step all of them; ``action`` is ``[num_envs, N, ...]``."""
        if jnp.shape(action)[:1] != (self.num_envs,):
            raise ValueError(
                f"action: expected leading axis {self.num_envs}, got shape {jnp.shape(action)}"
            )
        return jax.vmap(self._env.step)(state, action)

    def restart(self, state: SwarmState) -> tuple[SwarmState, Any]:
        """New episodes everywhere, from the states' own keys and physics: states, observations."""

        def one(state: SwarmState) -> tuple[SwarmState, Any]:
            fresh, first = self._env.reset(state.key, state.params)
            return fresh, first.observation

        return jax.vmap(one)(state)

    def global_state(self, state: SwarmState) -> jax.Array:
        """``float32[num_envs, D]``, see :meth:`SwarmEnvironment.global_state`."""
        return jax.vmap(self._env.global_state)(state)
