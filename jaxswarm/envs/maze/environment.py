"""CaveEscape: find the goal of a grid maze with walls, lava and moss from a small view ahead.

Agents turn and step forward, see the ``k × k`` cells in front of them (through walls) and get a
reward when they reach the goal, larger the earlier. Lava ends an agent's episode without reward;
moss is floor that looks different, which levels may use to hint at the way. Agents do not interact.

The level is part of the physics: ``reset(key, MazeParams(level))``. One program runs a batch of
levels, ``Vmapped(env, B).reset(key, MazeParams(levels), per_env=True)``.

Shapes: ``N`` agents, a grid ``[H, W]`` including its ring of walls, views of ``k × k`` cells.

References:
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024 (the task); M. Chevalier-Boisvert et al., Minigrid & Miniworld: modular
    & customizable reinforcement learning environments for goal-oriented tasks, 2023 (the view and
    the reward). The reward's time cost is Minigrid's 0.9.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, SwarmState, discrete_actions
from jaxswarm.envs.maze import viewer
from jaxswarm.envs.maze.levels import (
    DIRECTIONS,
    LAVA,
    NUM_TILES,
    SMALLEST,
    WALL,
    Level,
    check,
    empty_level,
)
from jaxswarm.types import Key

ACTIONS = ("left", "right", "forward")
"""Turn left, turn right, step forward."""
SEEN = ("floor", "wall", "moss", "lava", "goal")
"""Channels of a view."""


class MazeParams(NamedTuple):
    """Physics, traced.

    Attributes:
        level: a single :class:`jaxswarm.envs.maze.Level` of the environment's size.
        time_cost: share of the reward that is lost by reaching the goal in the last step.
    """

    level: Level
    time_cost: Any = 0.9


class MazeWorld(NamedTuple):
    """State of the agents.

    Attributes:
        position: ``int32[N, 2]``, row and column.
        direction: ``int32[N]``, index into :data:`jaxswarm.envs.maze.DIRECTIONS`.
        arrived: ``bool[N]``, reached the goal.
        burned: ``bool[N]``, entered lava.
        time: ``int32[]``, steps so far.
    """

    position: jax.Array
    direction: jax.Array
    arrived: jax.Array
    burned: jax.Array
    time: jax.Array


class MazeObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        view: ``float32[N, k, k, 5]``, the cells ahead one-hot over :data:`SEEN`; the agent stands
            in the middle of the last row and faces the first.
        direction: ``float32[N, 4]``, its direction one-hot.
        agent_mask: ``bool[N]``, false from arrival or lava on.
    """

    view: jax.Array
    direction: jax.Array
    agent_mask: jax.Array


class CaveEscape(SwarmEnvironment):
    """Maze with actions ``int32[N]``: turn left, turn right, forward; reward on reaching the goal.

    Reaching the goal in step ``t`` is worth ``1 − time_cost · t / time_limit``. All agents begin at
    the level's start. Views see through walls, as in the paper's predecessors.

    Args:
        num_agents: independent agents in the same level.
        size: side of the levels including the ring of walls: 15 as in the paper, 45 for its test
            out of scale.
        view: ``k``, odd.
        time_limit: steps of an episode; 250 for size 15 and in proportion to the area if omitted,
            so 2,250 for size 45.

    Raises:
        ValueError: for a size below 4, or an even or non-positive view.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import maze
        >>> env = maze.CaveEscape(size=9)
        >>> level = maze.empty_level(9)
        >>> state, timestep = jax.jit(env.reset)(jax.random.key(0), maze.MazeParams(level))
        >>> state, timestep = jax.jit(env.step)(state, jax.numpy.array([2]))
        >>> timestep.observation.view.shape
        (1, 5, 5, 5)
    """

    def __init__(
        self,
        num_agents: int = 1,
        size: int = 15,
        view: int = 5,
        time_limit: int | None = None,
    ):
        self.size = checks.whole("size", size, SMALLEST)
        self.view = checks.whole("view", view, 1)
        if self.view % 2 == 0:
            raise ValueError(f"view: expected an odd number of cells, got {self.view}")
        ahead = np.arange(self.view)[::-1]
        aside = np.arange(self.view) - self.view // 2
        right = np.roll(DIRECTIONS, -1, axis=0)
        self._offsets = (
            ahead[None, :, None, None] * DIRECTIONS[:, None, None, :]
            + aside[None, None, :, None] * right[:, None, None, :]
        ).astype(np.int32)
        limit = max(1, round(250 * (self.size / 15) ** 2)) if time_limit is None else time_limit
        super().__init__(num_agents, limit)

    @property
    def params(self) -> MazeParams:
        """A level without inner walls, and Minigrid's time cost."""
        return MazeParams(empty_level(self.size))

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]`` below 3."""
        return discrete_actions(self.num_agents, len(ACTIONS))

    def reset(self, key: Key, params: MazeParams | None = None) -> tuple[SwarmState, Any]:
        """Start an episode in a level, the empty one by default.

        Args:
            key: a random key.
            params: the physics with a single level of this environment's size.

        Raises:
            ValueError: for an invalid level, see :func:`jaxswarm.envs.maze.levels.check`, or one of
                another size; or as :meth:`jaxswarm.envs.SwarmEnvironment.reset`.
        """
        if isinstance(params, MazeParams):
            level = check(params.level, "params.level")
            if np.shape(level.tiles) != (self.size, self.size):
                raise ValueError(
                    f"params.level.tiles: expected shape {(self.size, self.size)}, got "
                    f"{np.shape(level.tiles)}"
                )
            params = params._replace(level=level)
        return super().reset(key, params)

    def start(self, key: jax.Array, params: MazeParams) -> MazeWorld:
        """All agents at the level's start."""
        del key
        n, level = self.num_agents, params.level
        none = jnp.zeros(n, bool)
        return MazeWorld(
            jnp.broadcast_to(jnp.asarray(level.start, jnp.int32), (n, 2)),
            jnp.broadcast_to(jnp.asarray(level.direction, jnp.int32), (n,)),
            none,
            none,
            jnp.int32(0),
        )

    def agent_mask(self, world: MazeWorld) -> jax.Array:
        """Agents that have neither arrived nor entered lava, ``bool[N]``."""
        return ~(world.arrived | world.burned)

    def advance(
        self, key: jax.Array, world: MazeWorld, action: jax.Array, params: MazeParams
    ) -> Outcome:
        """Turn, or step forward unless a wall blocks the way."""
        del key
        acting, level = self.agent_mask(world), params.level
        turn = jnp.where(action == 0, -1, jnp.where(action == 1, 1, 0))
        direction = jnp.where(acting, (world.direction + turn) % 4, world.direction)
        there = world.position + jnp.asarray(DIRECTIONS)[direction]
        tile = self._tiles(level, there)
        moves = acting & (action == 2) & (tile != WALL)
        position = jnp.where(moves[:, None], there, world.position)
        arrives = moves & jnp.all(position == jnp.asarray(level.goal)[None, :], axis=1)
        burns = moves & (tile == LAVA) & ~arrives
        time = world.time + 1
        value = 1.0 - params.time_cost * time / self.time_limit
        reward = jnp.where(arrives, value, 0.0).astype(jnp.float32)
        world = MazeWorld(position, direction, world.arrived | arrives, world.burned | burns, time)
        metrics = {
            "arrived": jnp.sum(world.arrived).astype(jnp.int32),
            "burned": jnp.sum(world.burned).astype(jnp.int32),
        }
        return Outcome(world, reward, ~jnp.any(self.agent_mask(world)), metrics)

    def draw(self, world: MazeWorld, params: MazeParams, ax: Any) -> None:
        """Draw the level and the agents; see :mod:`jaxswarm.envs.maze.viewer`."""
        viewer.draw(world, params.level, ax)

    def observe(
        self, world: MazeWorld, params: MazeParams, step_count: jax.Array
    ) -> MazeObservation:
        """The cells ahead of each agent, turned so that it faces the first row."""
        del step_count
        level = params.level
        cells = world.position[:, None, None, :] + jnp.asarray(self._offsets)[world.direction]
        goal = jnp.asarray(level.goal)[None, None, None, :]
        seen = jnp.where(jnp.all(cells == goal, axis=-1), NUM_TILES, self._tiles(level, cells))
        return MazeObservation(
            view=jax.nn.one_hot(seen, len(SEEN), dtype=jnp.float32),
            direction=jax.nn.one_hot(world.direction, 4, dtype=jnp.float32),
            agent_mask=self.agent_mask(world),
        )

    def _tiles(self, level: Level, cells: jax.Array) -> jax.Array:
        """Tiles at ``cells [..., 2]``; beyond the grid is wall, as its outermost ring is."""
        cells = jnp.clip(cells, 0, self.size - 1)
        index = cells[..., 0] * self.size + cells[..., 1]
        return jnp.asarray(level.tiles).reshape(-1)[index].astype(jnp.int32)
