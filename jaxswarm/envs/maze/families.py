"""Families of levels, generated on the host from a seed: mazes, rooms, blocks.

Every family is a function ``family(seed, count, size) -> Level`` of ``count`` levels that are
solvable, with moss and lava by :func:`jaxswarm.envs.maze.add_hints`.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.maze.generators import add_hints, place_ends
from jaxswarm.envs.maze.levels import FLOOR, SMALLEST, WALL, Level, check


def backtracker(seed: int, count: int, size: int, *, hints: bool = True) -> Level:
    """Generate perfect mazes by recursive backtracking: corridors one cell wide, no loops.

    Args:
        seed: of all random numbers.
        count: number of levels.
        size: side of the grid including the ring of walls, odd.
        hints: whether floor is turned into moss and lava.

    Raises:
        ValueError: for no levels, or an even size or one below 5.

    Example:
        >>> from jaxswarm.envs import maze
        >>> maze.families.backtracker(0, 8, 15).tiles.shape
        (8, 15, 15)
    """
    size = _odd(size)
    return _family(seed, count, size, hints, lambda rng: _carve(rng, size))


def blocks(seed: int, count: int, size: int, *, hints: bool = True) -> Level:
    """Generate levels of single walls scattered over an open floor, a fifth to a third of it.

    Raises:
        ValueError: for no levels or a size below 4.
    """
    size = checks.whole("size", size, SMALLEST)

    def draw(rng: np.random.Generator) -> np.ndarray:
        tiles = np.full((size, size), WALL, np.uint8)
        share = rng.uniform(0.2, 0.33)
        inner = rng.random((size - 2, size - 2)) < share
        tiles[1:-1, 1:-1] = np.where(inner, WALL, FLOOR)
        return tiles

    return _family(seed, count, size, hints, draw)


def _carve(rng: np.random.Generator, size: int) -> np.ndarray:
    tiles = np.full((size, size), WALL, np.uint8)
    stack = [tuple(1 + 2 * rng.integers(0, (size - 1) // 2, 2))]
    tiles[stack[0]] = FLOOR
    while stack:
        row, column = stack[-1]
        ways = [(-2, 0), (2, 0), (0, -2), (0, 2)]
        open_ways = [
            (dr, dc)
            for dr, dc in ways
            if 0 < row + dr < size - 1
            and 0 < column + dc < size - 1
            and tiles[row + dr, column + dc] == WALL
        ]
        if not open_ways:
            stack.pop()
            continue
        dr, dc = open_ways[rng.integers(len(open_ways))]
        tiles[row + dr // 2, column + dc // 2] = FLOOR
        tiles[row + dr, column + dc] = FLOOR
        stack.append((row + dr, column + dc))
    return tiles


def _family(
    seed: int, count: int, size: int, hints: bool, draw: Callable[[np.random.Generator], np.ndarray]
) -> Level:
    """Levels from a function that draws tiles: start and goal placed, hints added, checked."""
    seed, count = checks.whole("seed", seed), checks.whole("count", count, 1)
    hints = checks.flag("hints", hints)
    rng = np.random.default_rng(seed)
    tiles = np.stack([draw(rng) for _ in range(count)])
    keys = jax.random.split(jax.random.key(seed), count)
    levels = _finish(keys, jnp.asarray(tiles), size, hints)
    return check(Level(*map(np.asarray, levels)), "levels", at_least=count)


@partial(jax.jit, static_argnums=(2, 3))
def _finish(keys: jax.Array, tiles: jax.Array, size: int, hints: bool) -> Level:
    def one(key: jax.Array, tiles: jax.Array) -> Level:
        place_key, hint_key = jax.random.split(key)
        level = place_ends(place_key, tiles, at_least=size // 2)
        return add_hints(hint_key, level) if hints else level

    return jax.vmap(one)(keys, tiles)


def _odd(size: int) -> int:
    size = checks.whole("size", size, 5)
    if size % 2 == 0:
        raise ValueError(f"size: expected an odd number, got {size}")
    return size
