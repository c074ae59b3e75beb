"""Adapter for JaxMARL environments: arrays in place of dictionaries keyed by agent.

JaxMARL is not a dependency; install it (``pip install jaxmarl``) and pass one of its environments.
The dictionaries are stacked once in the order of ``env.agents``, so that programs downstream do not
grow with ``N``; the environment's own program still does.

References:
    A. Rutherford et al., JaxMARL: multi-agent RL environments and algorithms in JAX, 2023.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm.envs.adapters.observation import NO_TIME_LIMIT, AdaptedObservation
from jaxswarm.envs.environment import (
    Outcome,
    SwarmEnvironment,
    continuous_actions,
    discrete_actions,
)


class JaxmarlWorld(NamedTuple):
    """The original's state.

    Attributes:
        state: JaxMARL's own.
        view: the last observations, ``[N, ...]``.
        done: ``bool[N]``, agents that have terminated.
    """

    state: Any
    view: jax.Array
    done: jax.Array


class FromJaxmarl(SwarmEnvironment):
    """A JaxMARL environment as a swarm environment; build it with :func:`from_jaxmarl`."""

    def __init__(self, env: Any, time_limit: int):
        self._env = env
        self._names = tuple(env.agents)
        super().__init__(len(self._names), time_limit)

    @cached_property
    def action_spec(self) -> specs.Array:
        """Action spec of all agents, from the original's space of one agent."""
        space = self._env.action_space(self._names[0])
        if hasattr(space, "n"):
            return discrete_actions(self.num_agents, int(space.n))
        return continuous_actions(
            self.num_agents,
            int(space.shape[0]),
            float(jnp.min(jnp.asarray(space.low))),
            float(jnp.max(jnp.asarray(space.high))),
        )

    def start(self, key: jax.Array, params: Any) -> JaxmarlWorld:
        """Reset the original environment."""
        del params
        views, state = self._env.reset(key)
        return JaxmarlWorld(state, self._stacked(views), jnp.zeros(self.num_agents, bool))

    def advance(
        self, key: jax.Array, world: JaxmarlWorld, action: jax.Array, params: Any
    ) -> Outcome:
        """The original's ``step_env``, which unlike its ``step`` does not reset."""
        del params
        actions = {name: action[index] for index, name in enumerate(self._names)}
        views, state, rewards, dones, _ = self._env.step_env(key, world.state, actions)
        done = self._stacked(dones).astype(bool)
        at_limit = self._at_limit(state)
        terminated = jnp.asarray(dones["__all__"], bool) & ~at_limit
        done = world.done | (done & ~at_limit)
        reward = self._stacked(rewards).astype(jnp.float32)
        return Outcome(JaxmarlWorld(state, self._stacked(views), done), reward, terminated, {})

    def observe(self, world: JaxmarlWorld, params: Any, step_count: jax.Array) -> Any:
        """Stacked observations of all agents."""
        del params, step_count
        return AdaptedObservation(world.view, ~world.done)

    def agent_mask(self, world: JaxmarlWorld) -> jax.Array:
        """Agents that are not done."""
        return ~world.done

    def _stacked(self, by_name: dict[str, Any]) -> jax.Array:
        return jnp.stack([jnp.asarray(by_name[name]) for name in self._names])

    def _at_limit(self, state: Any) -> jax.Array:
        step = getattr(state, "step", None)
        if step is None:
            return jnp.zeros((), bool)
        return jnp.all(jnp.asarray(step) >= self.time_limit)


def from_jaxmarl(env: Any, *, time_limit: int | None = None) -> SwarmEnvironment:
    """Turn a JaxMARL environment into a :class:`jaxswarm.envs.SwarmEnvironment`.

    The end at the time limit is a truncation (discount 1); an agent that is done before is masked
    out from then on.

    Args:
        env: an environment of ``jaxmarl.make``.
        time_limit: read from ``env.max_steps`` if omitted.

    Raises:
        ValueError: if agents differ in their observation or action spaces (pad them first), or the
            time limit is unknown.
    """
    for name in ("agents", "reset", "step_env", "action_space", "observation_space"):
        if not hasattr(env, name):
            raise ValueError(
                f"env: expected a JaxMARL environment, got {type(env).__name__} without {name!r}"
            )
    for kind in ("observation", "action"):
        spaces = {agent: getattr(env, f"{kind}_space")(agent) for agent in env.agents}
        kinds = {agent: _kind(space) for agent, space in spaces.items()}
        first = kinds[env.agents[0]]
        for agent, other in kinds.items():
            if other != first:
                raise ValueError(
                    f"env: expected one {kind} space for all agents, got {first} for "
                    f"{env.agents[0]!r} and {other} for {agent!r}"
                )
    limit = getattr(env, "max_steps", None) if time_limit is None else time_limit
    if limit is None:
        raise ValueError(NO_TIME_LIMIT)
    return FromJaxmarl(env, int(limit))


def _kind(space: Any) -> tuple[str, Any]:
    if hasattr(space, "n"):
        return ("discrete", int(space.n))
    return (type(space).__name__, tuple(space.shape))
