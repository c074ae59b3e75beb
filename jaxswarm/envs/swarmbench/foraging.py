"""SwarmBench foraging: carry food through a maze to the nest, one piece at a time."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.grid import distances
from jaxswarm.envs.swarmbench.base import SwarmBench, SwarmBenchWorld, Update, walled
from jaxswarm.envs.swarmbench.codes import FOOD, NEST, WALL

ORTHOGONAL = np.array([[0, 1], [0, -1], [1, 0], [-1, 0]], np.int32)


class ForagingTask(NamedTuple):
    """``to_food``, ``to_nest``: ``int32[H, W]``, path lengths to a cell beside food or nest."""

    to_food: jax.Array
    to_nest: jax.Array


class Foraging(SwarmBench):
    """Foraging: a point for every piece of food brought to the nest.

    Agents pick up food beside it and drop it beside the nest. Both are blocks of 2 × 2 in opposite
    corners, separated by walls every four rows or columns with gaps of a third at alternating ends.
    Only square maps: the reference confuses width and height. With ``shaping`` a point is spread
    over the way to the food and back to the nest.

    Args:
        *args: as :class:`SwarmBench`.
        **kwargs: likewise.

    Raises:
        ValueError: also for a map that is not square.
    """

    smallest = 7

    def check(self, num_agents: int) -> None:
        """Also refuse a map that is not square."""
        if self.shape[0] != self.shape[1]:
            raise ValueError(f"size: expected a square map for foraging, got {self.shape}")
        super().check(num_agents)

    def _num_free(self) -> int:
        return int(min((terrain == 0).sum() for terrain in self.maps))

    @property
    def maps(self) -> np.ndarray:
        """All maps, ``[8, H, W]``: food up or down, left or right, walls in rows or columns."""
        return np.stack([self._map(low, right, rows) for low, right, rows in np.ndindex(2, 2, 2)])

    def _map(self, low: int, right: int, rows: int) -> np.ndarray:
        side = self.shape[0]
        far = side - 3
        food, nest = [far if low else 1, far if right else 1], [1 if low else far, 0]
        nest[1] = 1 if right else far
        walls = list(range(4, side - 4, 4))
        if len(walls) % 2:
            food[rows] = nest[rows] = 1  # the last gap is on that side
        terrain = walled(self.shape)
        for number, line in enumerate(walls):
            along = slice(None, -side // 3 + 1) if number % 2 == 0 else slice(side // 3, None)
            terrain[(line, along) if rows else (along, line)] = WALL
        terrain[nest[0] : nest[0] + 2, nest[1] : nest[1] + 2] = NEST
        terrain[food[0] : food[0] + 2, food[1] : food[1] + 2] = FOOD
        return terrain

    def _lay(self, key: jax.Array) -> Any:
        with jax.ensure_compile_time_eval():  # the same eight maps in every episode
            maps = jnp.asarray(self.maps)
            tasks = jax.vmap(paths_to_food_and_nest)(maps)
        which = jax.random.randint(key, (), 0, len(maps))
        terrain = maps[which]
        task = jax.tree.map(lambda x: x[which], tasks)
        return terrain, terrain == 0, jnp.zeros(self.num_agents, bool), task

    def _status(self, world: SwarmBenchWorld) -> jax.Array:
        return world.marked

    def _update(
        self, key: jax.Array, before: SwarmBenchWorld, world: SwarmBenchWorld, action: jax.Array
    ) -> Update:
        del key, before, action
        row, column = world.position[:, 0], world.position[:, 1]
        at_food = beside(world.terrain == FOOD)[row, column]
        at_nest = beside(world.terrain == NEST)[row, column]
        carrying = world.marked | at_food
        brought = (carrying & at_nest).astype(jnp.float32)
        world = world._replace(marked=carrying & ~at_nest, score=world.score + jnp.sum(brought))
        return Update(world, brought, jnp.zeros((), bool))

    def _potential(self, world: SwarmBenchWorld) -> jax.Array:
        """Minus the way that is left to the next point, as a share of the way there and back."""
        task, far = world.task, world.terrain.size
        back = jnp.min(jnp.where(task.to_food == 0, task.to_nest, far))
        row, column = world.position[:, 0], world.position[:, 1]
        to_food, to_nest = task.to_food[row, column], task.to_nest[row, column]
        left = jnp.where(world.marked, to_nest, to_food + back)
        return -left / jnp.maximum(2.0 * back, 1.0)


def paths_to_food_and_nest(terrain: jax.Array) -> ForagingTask:
    """Compute path lengths to a cell beside food or nest on a map ``int32[H, W]``."""
    free = terrain == 0
    return ForagingTask(*(distances(free, free & beside(terrain == x)) for x in (FOOD, NEST)))


def beside(where: jax.Array) -> jax.Array:
    """Cells with a neighbour (above, below, left or right) in ``where``, ``bool[H, W]``."""
    padded = jnp.pad(where, 1)
    return padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
