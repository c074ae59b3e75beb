"""Levels as physics of an environment, and evaluation of a policy on many levels.

Shapes: ``L`` levels, ``N`` agents.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents, checks, envs
from jaxswarm.envs import SwarmEnvironment, SwarmState
from jaxswarm.envs.environment import Outcome, require_environment
from jaxswarm.rl._evaluation import evaluate
from jaxswarm.rl.curriculum._buffer import check_same_levels, num_levels
from jaxswarm.types import Key, Params, PyTree


class LevelPhysics(NamedTuple):
    """Physics of :func:`with_levels`: those of the environment, and the level."""

    physics: PyTree
    level: PyTree


class LevelEnvironment(SwarmEnvironment):
    """An environment whose episodes start on a level; made by :func:`with_levels`."""

    def __init__(
        self,
        env: SwarmEnvironment,
        level: PyTree,
        lay: Callable[[Key, PyTree, PyTree], PyTree],
    ):
        self.env = require_environment(env)
        checks.function("lay", lay)
        self.level, self.lay = jax.tree.map(jnp.asarray, level), lay
        super().__init__(env.num_agents, env.time_limit)

    @property
    def params(self) -> LevelPhysics:
        """The environment's own physics, and the default level."""
        return LevelPhysics(self.env.params, self.level)

    def start(self, key: jax.Array, params: LevelPhysics) -> PyTree:
        """The environment's own start, with the level laid."""
        start_key, lay_key = jax.random.split(key)
        return self.lay(lay_key, self.env.start(start_key, params.physics), params.level)

    def advance(
        self, key: jax.Array, world: PyTree, action: jax.Array, params: LevelPhysics
    ) -> Outcome:
        """One step of the environment."""
        return self.env.advance(key, world, action, params.physics)

    def observe(self, world: PyTree, params: LevelPhysics, step_count: jax.Array) -> PyTree:
        """The environment's observations."""
        return self.env.observe(world, params.physics, step_count)

    def agent_mask(self, world: PyTree) -> jax.Array:
        """Mask of the agents that are still in the world, ``bool[N]``."""
        return self.env.agent_mask(world)

    def global_state(self, state: SwarmState) -> jax.Array:
        """The environment's own, ``float32[D]``."""
        return self.env.global_state(state._replace(params=state.params.physics))

    @cached_property
    def action_spec(self) -> specs.Array:
        """Spec of the environment's actions."""
        return self.env.action_spec

    def draw(self, world: PyTree, params: LevelPhysics, ax: Any) -> None:
        """Draw the environment's world."""
        self.env.draw(world, params.physics, ax)


def with_levels(
    env: SwarmEnvironment, level: PyTree, lay: Callable[[Key, PyTree, PyTree], PyTree]
) -> LevelEnvironment:
    """Give an environment levels: arenas, terrains or topologies on which its episodes start.

    Args:
        env: environment, not wrapped.
        level: the default level, a pytree of arrays.
        lay: ``lay(key, world, level) -> world``, applied to the world at the start of an episode.

    Returns:
        An environment whose physics are :class:`LevelPhysics`, for :func:`level_curriculum`.

    Raises:
        ValueError: for something that is no environment, or ``lay`` that is no function.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> from jaxswarm.rl import curriculum
        >>> level = jnp.zeros((2, 2))  # initial positions of two agents
        >>> env = curriculum.with_levels(envs.SimpleSpread(2), level,
        ...                              lambda key, world, at: world._replace(position=at))
        >>> state, _ = env.reset(jax.random.key(0), curriculum.level_params(env, level + 0.5))
        >>> state.world.position.tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    return LevelEnvironment(env, level, lay)


def level_params(env: SwarmEnvironment, level: PyTree) -> PyTree:
    """Physics of an environment with a level, for ``reset``.

    Args:
        env: its ``params`` are a NamedTuple with a field ``level``, or the level itself.
        level: one level.

    Raises:
        ValueError: for a level that differs from the environment's own in structure or shapes.
    """
    params = env.params
    known = params.level if hasattr(params, "level") else params
    add_axis = lambda tree: jax.tree.map(lambda x: jnp.asarray(x)[None], tree)  # noqa: E731
    check_same_levels(add_axis(known), add_axis(level), "level")
    return params._replace(level=level) if hasattr(params, "level") else level


def evaluate_levels(
    key: Key,
    env: SwarmEnvironment,
    policy: envs.Policy,
    levels: PyTree,
    num_episodes: int = 1,
    *,
    params: Params = (),
) -> jax.Array:
    """Returns of whole episodes on every level, ``float32[L, num_episodes, N]``.

    Args:
        key: consumed; level ``l`` draws from ``fold_in(key, l)``.
        env: environment with levels, see :func:`level_params`.
        policy: from :func:`jaxswarm.rl.policy`, or a scripted one.
        levels: leaves ``[L, …]``.
        num_episodes: on each level, at least 1.
        params: weights of the policy.

    Raises:
        ValueError: without levels, for levels of another size than the environment's, or as
            :func:`jaxswarm.rl.evaluate`.
    """
    checks.key(key)
    count = num_levels(levels)

    def on_level(key: Key, level: PyTree) -> jax.Array:
        return evaluate(
            key, env, policy, num_episodes, params=params, env_params=level_params(env, level)
        )

    return jax.vmap(on_level)(agents.keys(key, count), levels)
