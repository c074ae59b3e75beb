"""Shortest paths in levels by a fixed number of relaxations, inside ``jit`` and ``vmap``.

Paths lead over floor and moss; walls block and lava ends the episode. Lengths are numbers of cells
entered, without the turns.

Shapes: a grid ``[H, W]``; every function takes a single level and is mapped over batches by
``jax.vmap``.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs.maze.levels import FLOOR, MOSS, Level


def longest_path(height: int, width: int) -> int:
    """Bound on the length of a shortest path in a level of this size, ring of walls included.

    A shortest path has at most three cells in any 2 × 2 block, as four would allow a shortcut.

    Raises:
        ValueError: for sides below 3.
    """
    rows = checks.whole("height", height, 3) - 2
    columns = checks.whole("width", width, 3) - 2
    return 3 * (-(-rows // 2)) * (-(-columns // 2)) - 1


def enterable(level: Level) -> jax.Array:
    """Cells that an agent can enter without the episode ending there in failure, ``bool[H, W]``."""
    tiles = jnp.asarray(level.tiles)
    return (tiles == FLOOR) | (tiles == MOSS)


def distances(level: Level, cell: jax.Array | None = None) -> jax.Array:
    """Compute shortest-path lengths from every cell to the goal, ``int32[H, W]``; −1 if none.

    A relaxation of all cells at once, repeated :func:`longest_path` times: the number of iterations
    is fixed by the size, so the function runs in ``jit`` and ``vmap``.

    Args:
        level: a single level.
        cell: ``int32[2]``, measured to this cell instead of the goal.

    Raises:
        ValueError: for a batch of levels; use ``jax.vmap``.
    """
    checks.instance("level", level, Level, "maze.empty_level(15)")
    if jnp.ndim(level.tiles) != 2:
        raise ValueError(
            f"level: expected a single level, got tiles {jnp.shape(level.tiles)}; use jax.vmap"
        )
    height, width = jnp.shape(level.tiles)
    rounds = longest_path(height, width)
    far = rounds + 1
    free = enterable(level)[1:-1, 1:-1]
    target = jnp.asarray(level.goal if cell is None else cell, jnp.int32)
    rows, columns = jnp.arange(1, height - 1), jnp.arange(1, width - 1)
    at_target = (rows == target[0])[:, None] & (columns == target[1])[None, :]
    smallest = jnp.int16 if far < 2**15 - 1 else jnp.int32
    reach = jnp.where(at_target & free, 0, far).astype(smallest)

    def relax(_: int, reach: jax.Array) -> jax.Array:
        near = jnp.pad(reach, 1, constant_values=far)
        around = jnp.minimum(
            jnp.minimum(near[:-2, 1:-1], near[2:, 1:-1]),
            jnp.minimum(near[1:-1, :-2], near[1:-1, 2:]),
        )
        return jnp.where(free, jnp.minimum(reach, jnp.minimum(around + 1, far)), far)

    reach = jax.lax.fori_loop(0, rounds, relax, reach).astype(jnp.int32)
    return jnp.pad(jnp.where(reach >= far, -1, reach), 1, constant_values=-1)


def distance(level: Level) -> jax.Array:
    """Compute the shortest path's length from start to goal, ``int32[]``; −1 if unsolvable.

    Args:
        level: a single level; map batches by ``jax.vmap``.

    Raises:
        ValueError: for a batch.

    Example:
        >>> from jaxswarm.envs import maze
        >>> int(maze.distance(maze.empty_level(15)))
        24
    """
    found = distances(level)
    start = jnp.asarray(level.start)
    return found[start[0], start[1]]


def solvable(level: Level) -> jax.Array:
    """Whether the goal can be reached from the start, ``bool[]``.

    Raises:
        ValueError: for a batch; use ``jax.vmap``.
    """
    return distance(level) >= 0


def shortest_path_cells(level: Level) -> jax.Array:
    """Cells on any shortest path from start to goal, ``bool[H, W]``; none if unsolvable.

    Raises:
        ValueError: for a batch; use ``jax.vmap``.
    """
    to_goal, to_start = distances(level), distances(level, jnp.asarray(level.start))
    start = jnp.asarray(level.start)
    length = to_goal[start[0], start[1]]
    both = (to_goal >= 0) & (to_start >= 0)
    return both & (to_goal + to_start == length)
