"""SwarmBench foraging in arenas given as levels, so that a curriculum over levels can drive it.

A level of :mod:`jaxswarm.envs.maze` is an arena: walls and lava are walls, the start is the nest,
the goal is the food. The arena is part of the physics, hence traced and vmapped.

Shapes: ``N`` agents, a map ``[H, W]``; batches of levels lead with ``B``.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.environment import SwarmState
from jaxswarm.envs.maze.levels import FLOOR, SMALLEST, Level, check, empty_level
from jaxswarm.envs.maze.levels import WALL as LEVEL_WALL
from jaxswarm.envs.maze.paths import enterable
from jaxswarm.envs.swarmbench.codes import EMPTY, FOOD, NEST, WALL
from jaxswarm.envs.swarmbench.foraging import Foraging, paths_to_food_and_nest
from jaxswarm.envs.swarmbench.types import SwarmBenchParams
from jaxswarm.types import Key, PyTree


class ArenaParams(NamedTuple):
    """Physics, traced: the arena, and the fields of :class:`SwarmBenchParams`.

    Attributes:
        level: a single level of the map's size.
        sight: as :class:`SwarmBenchParams`.
        communication: likewise.
        shaping: likewise.
        discount: likewise.
    """

    level: Level
    sight: int | jax.Array = 1_000
    communication: float | jax.Array = 1.0
    shaping: float | jax.Array = 0.0
    discount: float | jax.Array = 1.0


class ForagingArena(Foraging):
    """Foraging in a given arena: a point for every piece of food brought from goal to start.

    Nest and food are obstacles of one cell each. Agents begin on random free cells from which both
    can be reached, or anywhere on the floor if there are fewer such cells than agents.

    Args:
        *args: as :class:`SwarmBench`.
        **kwargs: likewise.

    Raises:
        ValueError: also for a map that is not square.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import maze, swarmbench
        >>> env = swarmbench.ForagingArena(num_agents=3, size=9)
        >>> level = maze.mutate(jax.random.key(1), maze.empty_level(9), num_edits=20)
        >>> state, timestep = env.reset(jax.random.key(0), env.params._replace(level=level))
        >>> timestep.reward.shape
        (3,)
    """

    @property
    def params(self) -> ArenaParams:  # pyright: ignore[reportIncompatibleMethodOverride]
        """An arena without inner walls, and the defaults of :class:`SwarmBenchParams`."""
        return ArenaParams(empty_level(self.shape[0]))

    def reset(self, key: Key, params: ArenaParams | None = None) -> tuple[SwarmState, Any]:
        """Start an episode in an arena, the empty one by default.

        Args:
            key: a random key.
            params: the physics with a single level of the map's size.

        Raises:
            ValueError: for an invalid level, one of another size, or one with too little floor for
                the agents; or as :meth:`jaxswarm.envs.SwarmEnvironment.reset`.
        """
        if isinstance(params, ArenaParams):
            level = check(params.level, "params.level")
            if np.shape(level.tiles) != self.shape:
                raise ValueError(
                    f"params.level.tiles: expected shape {self.shape}, got {np.shape(level.tiles)}"
                )
            if not checks.is_traced(level.tiles):
                free = int(np.sum(enterable(level))) - 2
                if free < self.num_agents:
                    raise ValueError(
                        f"params.level: expected free cells for {self.num_agents} agents, got "
                        f"{free}"
                    )
            params = params._replace(level=level)
        return super().reset(key, params)

    def _num_free(self) -> int:
        return (self.shape[0] - 2) ** 2 - 2

    def _lay_given(
        self, key: jax.Array, params: SwarmBenchParams | ArenaParams
    ) -> tuple[jax.Array, jax.Array, jax.Array, PyTree]:
        del key
        assert isinstance(params, ArenaParams)
        terrain = terrain_of(params.level)
        task = paths_to_food_and_nest(terrain)
        free = terrain == EMPTY
        near = free & (task.to_nest < terrain.size) & (task.to_food < terrain.size)
        start = jnp.where(jnp.sum(near) >= self.num_agents, near, free)
        return terrain, start, jnp.zeros(self.num_agents, bool), task


def terrain_of(level: Level) -> jax.Array:
    """Turn a level into a SwarmBench map, ``int32[H, W]``: start to nest, goal to food.

    Args:
        level: a single level; walls and lava become walls, floor and moss are empty.

    Raises:
        ValueError: for an invalid level or a batch; use ``jax.vmap``.
    """
    level = check(level)
    if jnp.ndim(level.tiles) != 2:
        raise ValueError(
            f"level: expected a single level, got tiles {jnp.shape(level.tiles)}; use jax.vmap"
        )
    terrain = jnp.where(enterable(level), EMPTY, WALL).astype(jnp.int32)
    start, goal = jnp.asarray(level.start), jnp.asarray(level.goal)
    return terrain.at[start[0], start[1]].set(NEST).at[goal[0], goal[1]].set(FOOD)


def levels_from_foraging(size: int) -> Level:
    """The eight maps of SwarmBench's foraging as a batch of levels: nest to start, food to goal.

    Of the blocks of 2 × 2 cells of nest and food one cell each becomes start and goal, the others
    floor.

    Args:
        size: side of the map, at least 7.

    Raises:
        ValueError: for a smaller side.

    Example:
        >>> from jaxswarm.envs import swarmbench
        >>> swarmbench.levels_from_foraging(10).tiles.shape
        (8, 10, 10)
    """
    size = checks.whole("size", size, max(Foraging.smallest, SMALLEST))
    maps = Foraging(num_agents=1, size=size).maps

    def first(code: int) -> np.ndarray:
        at = (maps == code).reshape(len(maps), -1).argmax(axis=1)
        return np.stack([at // size, at % size], axis=1).astype(np.int32)

    tiles = np.where(maps == WALL, LEVEL_WALL, FLOOR).astype(np.uint8)
    level = Level(tiles, first(NEST), np.zeros(len(maps), np.int32), first(FOOD))
    return check(level, "levels")
