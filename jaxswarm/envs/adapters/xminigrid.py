"""Adapter for XLand-MiniGrid environments, one copy per agent, with levels of our own in them.

xminigrid is not a dependency; install it (``pip install xminigrid``) and pass one of its
environments. Tested with its release 0.9.3.

References:
    A. Nikulin et al., XLand-MiniGrid: scalable meta-reinforcement learning environments in JAX,
    2024.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs.adapters.copies import (
    CopiesWorld,
    CopyStep,
    IndependentCopies,
    require,
    require_one_array,
)
from jaxswarm.envs.adapters.time_limit import choose_limit, own_limit
from jaxswarm.envs.environment import SwarmEnvironment, discrete_actions
from jaxswarm.envs.maze.levels import Level, check, empty_level
from jaxswarm.types import PyTree

_FLOOR, _WALL, _GOAL = 1, 2, 6
_RED, _GREEN, _GREY, _BLACK = 1, 2, 6, 7
_TILES = np.array(
    [[_FLOOR, _BLACK], [_WALL, _GREY], [_FLOOR, _GREEN], [_WALL, _RED], [_GOAL, _GREEN]], np.uint8
)
"""xminigrid's tile and colour of our floor, wall, moss, lava and goal."""


class XMiniGridParams(NamedTuple):
    """Physics of an xminigrid environment that starts in a given level.

    Attributes:
        level: a single :class:`jaxswarm.envs.maze.Level`, traced or vmapped.
    """

    level: Level


class FromXMiniGrid(IndependentCopies):
    """An xminigrid environment as a swarm environment; build it with :func:`from_xminigrid`."""

    def __init__(
        self, env: Any, params: Any, num_agents: int, time_limit: int, *, with_levels: bool
    ):
        self._env, self._original, self._with_levels = env, params, with_levels
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> PyTree:
        """A level without inner walls, or the original's parameters."""
        if not self._with_levels:
            return self._original
        return XMiniGridParams(empty_level(self._original.height))

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]`` of xminigrid: forward, right, left, pick up, put down, toggle."""
        return discrete_actions(self.num_agents, int(self._env.num_actions(self._original)))

    def start(self, key: jax.Array, params: PyTree) -> CopiesWorld:
        """Reset every copy; a given level is checked."""
        if self._with_levels:
            level = check(params.level, "params.level")
            side = self._original.height
            if jnp.shape(level.tiles) != (side, side):
                raise ValueError(
                    f"params.level.tiles: expected shape {(side, side)}, got "
                    f"{jnp.shape(level.tiles)}"
                )
            params = params._replace(level=level)
        return super().start(key, params)

    def begin(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Reset one copy, into the level if one is given."""
        timestep = self._env.reset(self._of(params), key)
        if self._with_levels:
            timestep = self._placed(timestep, params.level)
        return timestep, timestep.observation

    def move(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> CopyStep:
        """The original's step; a discount of 0 is a termination, its step limit is none."""
        del key
        after = self._env.step(self._of(params), state, action)
        return CopyStep(after, after.observation, after.reward, after.discount == 0.0, {})

    def _of(self, params: PyTree) -> Any:
        """The original's parameters with this environment's time limit."""
        original = self._original if self._with_levels else params
        return original.replace(max_steps=self.time_limit)

    def _placed(self, timestep: Any, level: Level) -> Any:
        """The first time step in a level: its tiles, the agent at its start, its goal."""
        goal = jnp.asarray(level.goal)
        grid = jnp.asarray(_TILES)[jnp.asarray(level.tiles).astype(jnp.int32)]
        grid = grid.at[goal[0], goal[1]].set(jnp.asarray(_TILES[-1]))
        # Its directions start upward, ours to the right; both turn to the right.
        agent = timestep.state.agent.replace(
            position=jnp.asarray(level.start).astype(timestep.state.agent.position.dtype),
            direction=((jnp.asarray(level.direction) + 1) % 4).astype(
                timestep.state.agent.direction.dtype
            ),
        )
        state = timestep.state.replace(grid=grid, agent=agent)
        from xminigrid.core.observation import (  # pyright: ignore[reportMissingImports]
            transparent_field_of_view,
        )

        side = self._original.view_size
        view = transparent_field_of_view(grid, agent, side, side)
        return timestep.replace(state=state, observation=view)


def from_xminigrid(
    env: Any,
    env_params: Any = None,
    *,
    num_agents: int = 1,
    time_limit: int | None = None,
    with_levels: bool = False,
) -> SwarmEnvironment:
    """Turn an xminigrid environment into a :class:`jaxswarm.envs.SwarmEnvironment`, one per agent.

    The copies are independent; actions are ``int32[N]`` below 6, observations ``uint8[N, k, k, 2]``
    (tile and colour). Reaching the goal terminates, the time limit truncates (discount 1); a copy
    that has terminated is masked out until all have.

    With ``with_levels`` the physics are ``XMiniGridParams(level)`` with a level of
    :mod:`jaxswarm.envs.maze`, so that curricula over levels run in xminigrid too: moss becomes
    green floor, and lava, which xminigrid lacks, a red wall. The task is to reach the goal; use an
    environment whose task that is, such as ``MiniGrid-Empty-…``. Otherwise the physics are the
    original's parameters, whose arrays, such as XLand's ruleset, may be traced.

    Args:
        env: the environment that ``xminigrid.make`` returns, without wrappers.
        env_params: its parameters, which ``xminigrid.make`` also returns; ``env.default_params()``
            if omitted.
        num_agents: ``N``.
        time_limit: steps; the original's ``max_steps`` if omitted.
        with_levels: whether levels are given.

    Raises:
        ValueError: if ``env`` is not an xminigrid environment or is wrapped, its observations are
            not one array, or levels are wanted and its grid is not square or smaller than 4.
    """
    require(env, ("default_params", "num_actions", "reset", "step"), "xminigrid")
    if "_env" in getattr(env, "__dict__", {}):
        raise ValueError(
            f"env: expected an xminigrid environment without wrappers, got {type(env).__name__}"
        )
    with_levels = checks.flag("with_levels", with_levels)
    params = env.default_params() if env_params is None else env_params
    require(params, ("height", "width", "view_size", "max_steps"), "xminigrid")
    if with_levels and params.height != params.width:
        raise ValueError(
            f"env_params: expected a square grid, got {params.height} x {params.width}"
        )
    limit = choose_limit(time_limit, own_limit(params), extends=True)
    with jax.numpy_rank_promotion("allow"):
        timestep = jax.eval_shape(
            lambda key: env.reset(params.replace(max_steps=limit), key), jax.random.key(0)
        )
    require_one_array(timestep.observation)
    return FromXMiniGrid(env, params, num_agents, limit, with_levels=with_levels)
