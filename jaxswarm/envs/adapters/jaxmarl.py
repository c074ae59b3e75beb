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

from jaxswarm.envs.adapters.copies import require
from jaxswarm.envs.adapters.observation import AdaptedObservation, MaskedObservation
from jaxswarm.envs.adapters.time_limit import (
    choose_limit,
    clocks_by_stepping,
    is_over,
    own_limit,
)
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
        steps: ``int32[]``, steps since the reset.
    """

    state: Any
    view: jax.Array
    done: jax.Array
    steps: jax.Array


class FromJaxmarl(SwarmEnvironment):
    """A JaxMARL environment as a swarm environment; build it with :func:`from_jaxmarl`."""

    def __init__(self, env: Any, time_limit: int, *, from_environment: bool):
        self._env = env
        self._names = tuple(env.agents)
        self._masks = _has_masks(env)
        spec: Any = self.action_spec
        action = jnp.clip(jnp.zeros(spec.shape, spec.dtype), spec.minimum, spec.maximum)
        self._clocks = clocks_by_stepping(
            lambda key: env.reset(key)[1],
            lambda key, state: env.step_env(key, state, self._by_name(action))[1],
            time_limit,
            from_environment=from_environment,
        )
        super().__init__(len(self._names), time_limit)

    @cached_property
    def action_spec(self) -> specs.Array:
        """Action spec of all agents, from the original's space of one agent."""
        space = self._env.action_space(self._names[0])
        if hasattr(space, "n"):
            return discrete_actions(len(self._names), int(space.n))
        return continuous_actions(
            len(self._names),
            int(space.shape[0]),
            float(jnp.min(jnp.asarray(space.low))),
            float(jnp.max(jnp.asarray(space.high))),
        )

    def start(self, key: jax.Array, params: Any) -> JaxmarlWorld:
        """Reset the original environment."""
        del params
        views, state = self._env.reset(key)
        done = jnp.zeros(self.num_agents, bool)
        return JaxmarlWorld(state, self._stacked(views), done, jnp.int32(0))

    def advance(
        self, key: jax.Array, world: JaxmarlWorld, action: jax.Array, params: Any
    ) -> Outcome:
        """The original's ``step_env``, which unlike its ``step`` does not reset."""
        del params
        actions = self._by_name(action)
        views, state, rewards, dones, _ = self._env.step_env(key, world.state, actions)
        done, steps = self._stacked(dones).astype(bool), world.steps + 1
        at_limit = is_over(state, self._clocks, steps, self.time_limit)
        terminated = jnp.asarray(dones["__all__"], bool) & ~at_limit
        done = world.done | (done & ~at_limit)
        reward = self._stacked(rewards).astype(jnp.float32)
        after = JaxmarlWorld(state, self._stacked(views), done, steps)
        return Outcome(after, reward, terminated, {})

    def observe(self, world: JaxmarlWorld, params: Any, step_count: jax.Array) -> Any:
        """Stacked observations of all agents, with the legal actions if the original has them."""
        del params, step_count
        if not self._masks:
            return AdaptedObservation(world.view, ~world.done)
        legal = self._stacked(self._env.get_avail_actions(world.state)) > 0
        return MaskedObservation(world.view, legal, ~world.done)

    def agent_mask(self, world: JaxmarlWorld) -> jax.Array:
        """Agents that are not done."""
        return ~world.done

    def _stacked(self, by_name: dict[str, Any]) -> jax.Array:
        return jnp.stack([jnp.asarray(by_name[name]) for name in self._names])

    def _by_name(self, action: jax.Array) -> dict[str, jax.Array]:
        return {name: action[index] for index, name in enumerate(self._names)}


def from_jaxmarl(env: Any, *, time_limit: int | None = None) -> SwarmEnvironment:
    """Turn a JaxMARL environment into a :class:`jaxswarm.envs.SwarmEnvironment`.

    The end at the time limit is a truncation (discount 1); an agent that is done before is masked
    out from then on. If the original has ``get_avail_actions``, observations have an
    ``action_mask``, which networks of :mod:`jaxswarm.rl` heed. The limit counts steps since the
    reset; a clock of the original's state, whatever its name, is found by stepping once here and
    counts as well.

    Args:
        env: an environment of ``jaxmarl.make``.
        time_limit: in steps; read from ``env.max_steps`` or an attribute of a similar name if
            omitted.

    Raises:
        ValueError: if agents differ in their observation or action spaces (pad them first), or the
            time limit is unknown, beyond the environment's own or not in steps.
    """
    needed = ("agents", "reset", "step_env", "action_space", "observation_space")
    require(env, needed, "JaxMARL")
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
    limit = choose_limit(time_limit, own_limit(env))
    return FromJaxmarl(env, limit, from_environment=time_limit is None)


def _has_masks(env: Any) -> bool:
    """Whether a JaxMARL environment says which of its discrete actions are legal."""
    avail = getattr(env, "get_avail_actions", None)
    if avail is None or not hasattr(env.action_space(env.agents[0]), "n"):
        return False
    try:
        jax.eval_shape(lambda key: avail(env.reset(key)[1]), jax.random.key(0))
    except NotImplementedError:  # of the base class
        return False
    return True


def _kind(space: Any) -> tuple[str, Any]:
    if hasattr(space, "n"):
        return ("discrete", int(space.n))
    return (type(space).__name__, tuple(space.shape))
