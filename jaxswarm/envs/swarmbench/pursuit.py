"""SwarmBench pursuit: surround a prey that is twice as fast."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.grid import place
from jaxswarm.envs.swarmbench.base import SwarmBench, SwarmBenchWorld, Update, walled
from jaxswarm.envs.swarmbench.codes import EMPTY, WALL

LOOKS = np.array([[0, 1], [0, -1], [1, 0], [-1, 0]], np.int32)  # in the reference's order
PAIRS = np.array([[one, two] for one in LOOKS for two in LOOKS], np.int32)  # [16, 2, 2]
AGENT_FEAR, WALL_FEAR = 10, 9  # tenths
BACK, FORTH = 4, 4  # the window [c − 4, c + 4), which is not symmetric


class PursuitTask(NamedTuple):
    """``prey int32[2]``; ``pushable bool[]``."""

    prey: jax.Array
    pushable: jax.Array


class Pursuit(SwarmBench):
    """Pursuit: a point whenever the prey has an agent or a wall on all four sides.

    Agents start in the upper left, the prey in the lower right. It moves up to two steps per round
    to the cell with the fewest agents and walls (0.9 each) around it, and reappears elsewhere once
    caught. It observes the whole neighbourhood ``[c − 4, c + 4)``, which is not symmetric.

    ``faithful``: in the reference the prey moves only if a cell is better than the one *left* of it
    (a stale loop variable), and every prey but the first is immovable. Without it, the prey
    compares with its own cell, and agents can push every prey. Dangers are compared in exact
    tenths, where the reference's sums of 0.9 may break ties by rounding.

    Args:
        *args: as :class:`SwarmBench`.
        **kwargs: likewise.
    """

    smallest = 6

    @property
    def _quarter(self) -> np.ndarray:
        """Cells where agents may start, ``bool[H, W]``."""
        free = np.zeros(self.shape, bool)
        free[1 : max(self.shape[0] // 2, 5) + 1, 1 : max(self.shape[1] // 2, 5) + 1] = True
        return free & (walled(self.shape) == 0)

    def _num_free(self) -> int:
        return int(self._quarter.sum()) - 1

    def _lay(self, key: jax.Array) -> Any:
        low = jnp.array(self.shape) // 2 + 1
        prey = jax.random.randint(key, (2,), low, jnp.array(self.shape) - 1, jnp.int32)
        terrain = jnp.asarray(walled(self.shape))
        free = jnp.asarray(self._quarter).at[prey[0], prey[1]].set(False)
        task = PursuitTask(prey, jnp.ones((), bool))
        return terrain, free, jnp.ones(self.num_agents, bool), task

    def _status(self, world: SwarmBenchWorld) -> jax.Array:
        return jnp.full(self.num_agents, world.score)

    def _prey(self, world: SwarmBenchWorld) -> tuple[jax.Array, jax.Array]:
        return world.task.prey, world.task.pushable

    def _carried(
        self, world: SwarmBenchWorld, prey: jax.Array | None, shift: jax.Array | None
    ) -> SwarmBenchWorld:
        assert prey is not None
        return world._replace(task=world.task._replace(prey=prey))

    def _update(
        self, key: jax.Array, before: SwarmBenchWorld, world: SwarmBenchWorld, action: jax.Array
    ) -> Update:
        del before, action
        free = self.cells(world) == EMPTY
        prey = world.task.prey
        around = prey[None, :] + jnp.asarray(LOOKS)
        caught = ~jnp.any(free[around[:, 0], around[:, 1]])
        danger = self._danger(world)
        fled = self._flee(free, danger, prey)
        appears = self._appear(key, free.at[prey[0], prey[1]].set(True), danger)
        pushable = world.task.pushable & ~(caught & self.faithful)
        task = PursuitTask(jnp.where(caught, appears, fled), pushable)
        world = world._replace(task=task, score=world.score + caught)
        reward = jnp.full(self.num_agents, caught.astype(jnp.float32))
        return Update(world, reward, jnp.zeros((), bool))

    def _danger(self, world: SwarmBenchWorld) -> jax.Array:
        """Danger of each cell in tenths, from cumulative sums over the map, ``int32[H, W]``."""
        fear = jnp.where(world.terrain == WALL, WALL_FEAR, 0).astype(jnp.int32)
        fear = place(fear, world.position, AGENT_FEAR, world.present)
        total = jnp.pad(jnp.cumsum(jnp.cumsum(fear, axis=0), axis=1), ((1, 0), (1, 0)))
        (height, width), low, high = self.shape, -BACK, FORTH
        rows, columns = np.arange(height), np.arange(width)
        top, bottom = np.clip(rows + low, 0, height), np.clip(rows + high, 0, height)
        left, right = np.clip(columns + low, 0, width), np.clip(columns + high, 0, width)

        def corner(row: np.ndarray, column: np.ndarray) -> jax.Array:
            return total[row[:, None], column[None, :]]

        return corner(bottom, right) - corner(top, right) - corner(bottom, left) + corner(top, left)

    def _flee(self, free: jax.Array, danger: jax.Array, prey: jax.Array) -> jax.Array:
        """The least dangerous of the 16 paths of two steps; the first of equals."""
        pairs = jnp.asarray(PAIRS)
        padded = jnp.pad(free, 2)  # cells beyond the map are not free

        def is_free(cell: jax.Array) -> jax.Array:
            return padded[cell[:, 0] + 2, cell[:, 1] + 2]

        ends = prey[None, :] + jnp.sum(pairs, axis=1)
        ways = is_free(ends)
        ways &= is_free(prey[None, :] + pairs[:, 0]) & is_free(prey[None, :] + pairs[:, 1])
        inside = jnp.clip(ends, 0, jnp.array(self.shape)[None, :] - 1)
        cost = jnp.where(ways, danger[inside[:, 0], inside[:, 1]], jnp.iinfo(jnp.int32).max)
        stay = danger[prey[0], prey[1] - (1 if self.faithful else 0)]
        best = jnp.argmin(cost)
        return jnp.where(cost[best] < stay, ends[best], prey)

    def _appear(self, key: jax.Array, free: jax.Array, danger: jax.Array) -> jax.Array:
        """The least dangerous of ``H W`` free cells drawn with replacement; the first of equals."""
        count = free.size
        rank = jnp.cumsum(free.ravel())
        draw = jax.random.randint(key, (count,), 1, jnp.maximum(rank[-1], 1) + 1)
        cell = jnp.searchsorted(rank, draw)
        chosen = cell[jnp.argmin(danger.ravel()[cell])]
        width = self.shape[1]
        return jnp.stack([chosen // width, chosen % width]).astype(jnp.int32)

    def _potential(self, world: SwarmBenchWorld) -> jax.Array:
        """Minus each agent's distance from the prey, as a share of the map's height and width."""
        away = jnp.sum(jnp.abs(world.position - world.task.prey[None, :]), axis=1)
        return -away.astype(jnp.float32) / sum(self.shape)
