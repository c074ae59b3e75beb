"""JaxMARL's environments with arrays in place of dictionaries keyed by agent.

JaxMARL is not a dependency; install it beside (``pip install jaxmarl``) and hand over one of its
environments. The dictionaries are stacked in the order of ``env.agents``, once, so that nothing
downstream grows with ``N``; the environment inside still does.

References:
    A. Rutherford et al., JaxMARL: multi-agent RL environments and algorithms in JAX, 2023.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm.envs.adapters.observation import AdaptedObservation
from jaxswarm.envs.environment import (
    Outcome,
    SwarmEnvironment,
    continuous_actions,
    discrete_actions,
)


class JaxmarlWorld(NamedTuple):
    """JaxMARL's own state, what it last showed ``[N, ...]``, and who is done ``bool[N]``."""

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
        """One space for all agents."""
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
        """The original's reset."""
        del params
        seen, state = self._env.reset(key)
        return JaxmarlWorld(state, self._stacked(seen), jnp.zeros(self.num_agents, bool))

    def advance(
        self, key: jax.Array, world: JaxmarlWorld, action: jax.Array, params: Any
    ) -> Outcome:
        """The original's ``step_env``, which does not reset by itself as its ``step`` does."""
        del params
        actions = {name: action[index] for index, name in enumerate(self._names)}
        seen, state, rewards, dones, _ = self._env.step_env(key, world.state, actions)
        done = self._stacked(dones).astype(bool)
        clock = self._clock(state)
        over = jnp.asarray(dones["__all__"], bool) & ~clock
        gone = world.done | (done & ~clock)
        reward = self._stacked(rewards).astype(jnp.float32)
        return Outcome(JaxmarlWorld(state, self._stacked(seen), gone), reward, over, {})

    def observe(self, world: JaxmarlWorld, params: Any, step_count: jax.Array) -> Any:
        """The stacked observation."""
        del params, step_count
        return AdaptedObservation(world.view, ~world.done)

    def agent_mask(self, world: JaxmarlWorld) -> jax.Array:
        """Agents that are not done."""
        return ~world.done

    def _stacked(self, by_name: dict[str, Any]) -> jax.Array:
        return jnp.stack([jnp.asarray(by_name[name]) for name in self._names])

    def _clock(self, state: Any) -> jax.Array:
        step = getattr(state, "step", None)
        return (
            jnp.zeros((), bool) if step is None else jnp.all(jnp.asarray(step) >= self.time_limit)
        )


def from_jaxmarl(env: Any, *, time_limit: int | None = None) -> SwarmEnvironment:
    """A JaxMARL environment as :class:`jaxswarm.envs.SwarmEnvironment`.

    All agents done at the time limit is a truncation (discount 1); an agent done before is masked
    out from then on.

    Args:
        env: what ``jaxmarl.make`` returns.
        time_limit: read from ``env.max_steps`` if omitted.

    Raises:
        ValueError: if agents differ in their observation or action spaces (pad them first), or the
            time limit is unknown.
    """
    for name in ("agents", "reset", "step_env", "action_space", "observation_space"):
        if not hasattr(env, name):
            raise ValueError(f"env: expected a JaxMARL environment, got one without {name!r}")
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
        raise ValueError("time_limit: the environment does not say its own; expected one")
    return FromJaxmarl(env, int(limit))


def _kind(space: Any) -> tuple[str, Any]:
    if hasattr(space, "n"):
        return ("discrete", int(space.n))
    return (type(space).__name__, tuple(space.shape))
