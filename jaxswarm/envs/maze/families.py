"""Families of levels, generated on the host from a seed: mazes, caves, rooms, paths, blocks.

Every family is a function ``family(seed, count, size) -> Level`` of ``count`` levels that are
solvable, with moss near the shortest path and lava away from it unless ``hints=False``, see
:func:`jaxswarm.envs.maze.add_hints`. The paper's levels come from wave function collapse with
templates of its own, which are not published as plain arrays: these are other families.

References:
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024 (levels by wave function collapse); M. Gumin, WaveFunctionCollapse,
    2016; J. Stilley, mazelib, 2024 (mazes by :func:`from_mazelib`).
"""

import importlib
import random
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.maze._wave_function_collapse import SIDE, TEMPLATES, Patterns, collapse
from jaxswarm.envs.maze.generators import add_hints, place_ends
from jaxswarm.envs.maze.levels import FLOOR, SMALLEST, WALL, Level, check

MAZELIB = (
    "AldousBroder",
    "BacktrackingGenerator",
    "BinaryTree",
    "Division",
    "Ellers",
    "GrowingTree",
    "HuntAndKill",
    "Kruskal",
    "Prims",
    "Sidewinder",
    "Wilsons",
)
"""Names of mazelib's algorithms that :func:`from_mazelib` takes."""


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


def from_mazelib(
    seed: int, count: int, size: int, *, algorithm: str = "Prims", hints: bool = True
) -> Level:
    """Generate mazes by an algorithm of the library mazelib, which must be installed.

    Args:
        seed: of all random numbers.
        count: number of levels.
        size: side of the grid including the ring of walls, odd and at least 7.
        algorithm: one of :data:`MAZELIB`.
        hints: whether floor is turned into moss and lava.

    Raises:
        ValueError: for no levels, an even size or one below 7, or an unknown algorithm.
        ImportError: without mazelib.
    """
    size, algorithm = _odd(size, 7), checks.choice("algorithm", algorithm, MAZELIB)
    try:
        module = importlib.import_module(f"mazelib.generate.{algorithm}")
    except ImportError as error:
        raise ImportError(
            "mazelib: expected the library to be installed, try pip install mazelib; "
            "families.backtracker needs none"
        ) from error
    half = (size - 1) // 2
    generator = getattr(module, algorithm)(half, half)

    def draw(rng: np.random.Generator) -> np.ndarray:
        # mazelib draws from the global generators of Python and numpy: seeded, then restored.
        before, numpy_before = random.getstate(), np.random.get_state()  # noqa: NPY002
        try:
            random.seed(int(rng.integers(2**31)))
            np.random.seed(int(rng.integers(2**31)))  # noqa: NPY002
            walls = np.asarray(generator.generate()) != 0
        finally:
            random.setstate(before)
            np.random.set_state(numpy_before)  # noqa: NPY002
        return np.where(walls, WALL, FLOOR).astype(np.uint8)

    return _family(seed, count, size, hints, draw)


def blocks(seed: int, count: int, size: int, *, hints: bool = True) -> Level:
    """Generate levels of single walls scattered over an open floor, a fifth to a third of it.

    Args:
        seed: of all random numbers.
        count: number of levels.
        size: side of the grid including the ring of walls.
        hints: whether floor is turned into moss and lava.

    Raises:
        ValueError: for no levels or a size below 6.
    """
    size = checks.whole("size", size, SMALLEST + 2)

    def draw(rng: np.random.Generator) -> np.ndarray:
        while True:
            share = rng.uniform(0.2, 0.33)
            walls = rng.random((size - 2, size - 2)) < share
            if _connected(walls):
                return _ringed(walls)

    return _family(seed, count, size, hints, draw)


def caves(seed: int, count: int, size: int, *, hints: bool = True) -> Level:
    """Generate caves by wave function collapse; arguments as :func:`wave_function_collapse`."""
    return wave_function_collapse(seed, count, size, template="caves", hints=hints)


def rooms(seed: int, count: int, size: int, *, hints: bool = True) -> Level:
    """Generate rooms with doors by wave function collapse.

    Arguments and errors as :func:`wave_function_collapse`.
    """
    return wave_function_collapse(seed, count, size, template="rooms", hints=hints)


def paths(seed: int, count: int, size: int, *, hints: bool = True) -> Level:
    """Generate winding corridors with loops by wave function collapse.

    Arguments and errors as :func:`wave_function_collapse`.
    """
    return wave_function_collapse(seed, count, size, template="paths", hints=hints)


def obstacles(seed: int, count: int, size: int, *, hints: bool = True) -> Level:
    """Generate open floor with scattered obstacles by wave function collapse.

    Arguments and errors as :func:`wave_function_collapse`.
    """
    return wave_function_collapse(seed, count, size, template="obstacles", hints=hints)


def wave_function_collapse(
    seed: int,
    count: int,
    size: int,
    *,
    template: str | Sequence[str] = "caves",
    hints: bool = True,
) -> Level:
    """Generate levels of which every 3 × 3 window occurs in a template, turned or reflected.

    Grids whose floor is in small pieces (no two cells half a side apart) are drawn anew.

    Args:
        seed: of all random numbers.
        count: number of levels.
        size: side of the grid including the ring of walls, at least 6.
        template: a name of ``TEMPLATES`` (caves, rooms, paths, obstacles), or a drawing of your
            own: rows of equal length, ``#`` for wall and ``.`` for floor, at least 3 × 3.
        hints: whether floor is turned into moss and lava.

    Raises:
        ValueError: for no levels, a size below 6, an unknown or ragged template, one without floor,
            or one whose patterns do not fit together.

    Example:
        >>> from jaxswarm.envs import maze
        >>> drawing = (".....", ".##..", ".##..", ".....", ".....")
        >>> maze.families.wave_function_collapse(0, 2, 9, template=drawing).tiles.shape
        (2, 9, 9)
    """
    size = checks.whole("size", size, SMALLEST + 2)
    patterns = _patterns(tuple(_template(template)))

    def draw(rng: np.random.Generator) -> np.ndarray:
        for _ in range(200):
            walls = collapse(rng, patterns, (size - 2, size - 2))
            if _connected(walls):
                return _ringed(walls)
        raise ValueError("template: expected connected floor, got small pieces in 200 grids")

    return _family(seed, count, size, hints, draw)


FAMILIES: dict[str, Callable[..., Level]] = {
    "backtracker": backtracker,
    "blocks": blocks,
    "caves": caves,
    "rooms": rooms,
    "paths": paths,
    "obstacles": obstacles,
}
"""Name -> function of the families that need no optional library."""


@lru_cache(maxsize=8)
def _patterns(template: tuple[str, ...]) -> Patterns:
    return Patterns(template)


def _template(template: str | Sequence[str]) -> Sequence[str]:
    if isinstance(template, str):
        return TEMPLATES[checks.choice("template", template, TEMPLATES)]
    fits = isinstance(template, (list, tuple)) and len(template) >= SIDE
    fits = fits and all(isinstance(row, str) and set(row) <= {"#", "."} for row in template)
    fits = fits and len({len(row) for row in template}) == 1 and len(template[0]) >= SIDE
    if not fits or not any("." in row for row in template):
        raise ValueError(
            f"template: expected a name of {sorted(TEMPLATES)}, or at least {SIDE} rows of '#' and "
            f"'.' of one length with some floor, got {checks.shown(template)}"
        )
    return template


def _carve(rng: np.random.Generator, size: int) -> np.ndarray:
    """Tiles of a perfect maze: corridors on odd rows and columns, cut depth first."""
    tiles = np.full((size, size), WALL, np.uint8)
    row, column = (1 + 2 * rng.integers(0, (size - 1) // 2, 2)).tolist()
    tiles[row, column] = FLOOR
    stack = [(row, column)]
    while stack:
        row, column = stack[-1]
        ways = [
            (dr, dc)
            for dr, dc in ((-2, 0), (2, 0), (0, -2), (0, 2))
            if 0 < row + dr < size - 1
            and 0 < column + dc < size - 1
            and tiles[row + dr, column + dc] == WALL
        ]
        if not ways:
            stack.pop()
            continue
        dr, dc = ways[rng.integers(len(ways))]
        tiles[row + dr // 2, column + dc // 2] = FLOOR
        tiles[row + dr, column + dc] = FLOOR
        stack.append((row + dr, column + dc))
    return tiles


def _connected(walls: np.ndarray) -> bool:
    """Whether some connected part of the floor spans at least half the grid, one way or another."""
    from scipy import ndimage

    parts: np.ndarray = ndimage.label(~walls)[0]  # pyright: ignore
    boxes = ndimage.find_objects(parts)
    half = min(walls.shape) // 2
    return any(max(box[0].stop - box[0].start, box[1].stop - box[1].start) > half for box in boxes)


def _ringed(walls: np.ndarray) -> np.ndarray:
    """Tiles of inner walls with a ring of walls around them."""
    return np.pad(np.where(walls, WALL, FLOOR), 1, constant_values=WALL).astype(np.uint8)


def _family(
    seed: int, count: int, size: int, hints: bool, draw: Callable[[np.random.Generator], np.ndarray]
) -> Level:
    """Levels from a function that draws tiles: start and goal placed, hints added, checked."""
    seed, count = checks.whole("seed", seed), checks.whole("count", count, 1)
    hints = checks.flag("hints", hints)
    rng = np.random.default_rng(seed)
    tiles = np.stack([draw(rng) for _ in range(count)])
    # Families of one seed draw their starts and goals apart: the tiles are part of the key.
    key = jax.random.fold_in(jax.random.key(seed), zlib.crc32(tiles.tobytes()))
    keys = jax.random.split(key, count)
    levels = _finishing()(keys, jax.device_put(tiles), size // 2, hints)
    return check(Level(*map(np.asarray, levels)), "levels", at_least=count)


@lru_cache(maxsize=1)
def _finishing() -> Callable[[jax.Array, jax.Array, int, bool], Level]:
    """:func:`_finish` as a program that runs once for each size: it is compiled quickly."""
    on_cpu = jax.default_backend() == "cpu"
    options = {"xla_backend_optimization_level": 0} if on_cpu else None
    return jax.jit(_finish, static_argnums=(2, 3), compiler_options=options)


def _finish(keys: jax.Array, tiles: jax.Array, at_least: int, hints: bool) -> Level:
    def one(key: jax.Array, tiles: jax.Array) -> Level:
        place_key, hint_key = jax.random.split(key)
        level = place_ends(place_key, tiles, at_least=at_least)
        return add_hints(hint_key, level) if hints else level

    return jax.vmap(one)(keys, tiles)


def _odd(size: int, smallest: int = 5) -> int:
    size = checks.whole("size", size, smallest)
    if size % 2 == 0:
        raise ValueError(f"size: expected an odd number, got {size}")
    return size
