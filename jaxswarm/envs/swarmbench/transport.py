"""SwarmBench transport: push a box out of the only gap and leave the map."""

import warnings
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.swarmbench.base import (
    MARGIN,
    Body,
    SwarmBench,
    SwarmBenchWorld,
    Update,
    walled,
)
from jaxswarm.envs.swarmbench.codes import BOX_MASS

# One box, in the lower right corner with the gap below it; the other seven are its mirror images.
BOX_SHAPE = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0], [0, 1, 1, 1, 1]], bool)
GAP = 4
NUM_BOXES = 8


class TransportTask(NamedTuple):
    """``box int32[]``, index of the layout; ``shift int32[2]``, displacement of the box."""

    box: jax.Array
    shift: jax.Array


class Transport(SwarmBench):
    """Transport: an agent that leaves the map in round ``t`` of ``T`` earns ``(T − t) / T``.

    A box of mass 5 blocks a gap of four cells in a corner. It is as wide as the gap and hooked: it
    must be pushed one cell sideways first, then out. An agent pushes with 2 and weighs 1. The
    episode ends when all agents have left.

    Args:
        *args: as :class:`SwarmBench`.
        **kwargs: likewise.

    Warns:
        UserWarning: below 5 agents, which cannot move the box.
    """

    smallest = 7

    def check(self, num_agents: int) -> None:
        """Also warn of too few agents to push the box."""
        super().check(num_agents)
        if num_agents < BOX_MASS:
            warnings.warn(
                f"num_agents: expected at least {BOX_MASS}, fewer cannot push a box of mass "
                f"{BOX_MASS}, got {num_agents}",
                stacklevel=4,
            )

    @property
    def layouts(self) -> tuple[np.ndarray, np.ndarray]:
        """The eight boxes and the walls around them, ``bool[8, H, W]`` each."""
        layouts = [self._layout(*which) for which in np.ndindex(2, 2, 2)]
        boxes, walls = zip(*layouts, strict=True)
        return np.stack(boxes), np.stack(walls)

    def _layout(self, across: int, up: int, left: int) -> tuple[np.ndarray, np.ndarray]:
        height, width = self.shape
        shape = (width, height) if across else (height, width)
        box, wall = np.zeros(shape, bool), walled(shape) > 0
        box[-BOX_SHAPE.shape[0] :, -BOX_SHAPE.shape[1] :] = BOX_SHAPE
        wall[-1, -GAP:] = False
        turned = (grid.T if across else grid for grid in (box, wall))
        box, wall = (grid[:: -1 if up else 1, :: -1 if left else 1] for grid in turned)
        return box, wall

    def _num_free(self) -> int:
        boxes, walls = self.layouts
        return int((~boxes & ~walls)[:, 1:-1, 1:-1].sum(axis=(1, 2)).min())

    def _lay(self, key: jax.Array) -> Any:
        boxes, walls = (jnp.asarray(grids) for grids in self.layouts)
        box = jax.random.randint(key, (), 0, NUM_BOXES)
        terrain = walls[box].astype(jnp.int32)
        interior = jnp.zeros(self.shape, bool).at[1:-1, 1:-1].set(True)
        task = TransportTask(box, jnp.zeros(2, jnp.int32))
        return terrain, interior & ~boxes[box] & ~walls[box], jnp.ones(self.num_agents, bool), task

    def _body(self, world: SwarmBenchWorld) -> Body:
        boxes = jnp.asarray(np.pad(self.layouts[0], ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))))
        cells = jnp.roll(boxes[world.task.box], world.task.shift, axis=(0, 1))
        on_map = jnp.any(cells[MARGIN:-MARGIN, MARGIN:-MARGIN])  # otherwise it has left
        return Body(cells & on_map, BOX_MASS)

    def _carried(
        self, world: SwarmBenchWorld, prey: jax.Array | None, shift: jax.Array | None
    ) -> SwarmBenchWorld:
        assert shift is not None
        return world._replace(task=world.task._replace(shift=world.task.shift + shift))

    def _update(
        self, key: jax.Array, before: SwarmBenchWorld, world: SwarmBenchWorld, action: jax.Array
    ) -> Update:
        del key, action
        out = ~self._inside(world.position)
        worth = (self.time_limit - before.round) / self.time_limit
        reward = jnp.where(out & before.present, worth, 0.0)
        world = world._replace(score=world.score + jnp.sum(reward))
        return Update(world, reward, jnp.all(out))

    def _potential(self, world: SwarmBenchWorld) -> jax.Array:
        """Half a point for every cell that the box is away from its first place."""
        moved = jnp.sum(jnp.abs(world.task.shift))
        return jnp.full(self.num_agents, 0.5 * moved.astype(jnp.float32))
