"""Levels of grid mazes as pytrees: tiles, start and goal; checks, stacking, ``.npz`` files.

A level is data, not code: environments take it as part of their physics, so that one compiled
program runs a batch of different levels. The outermost ring of every level is wall.

Shapes: a grid ``[H, W]`` that includes the ring of walls; a batch of ``B`` levels leads with ``B``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks

Array = jax.Array | np.ndarray

FLOOR, WALL, MOSS, LAVA = 0, 1, 2, 3
TILE_NAMES = ("floor", "wall", "moss", "lava")
"""Names of the tiles; a tile's code is its position."""
NUM_TILES = len(TILE_NAMES)
DIRECTIONS = np.array([[0, 1], [1, 0], [0, -1], [-1, 0]], np.int32)
"""Right, down, left, up as (row, column); the next one is a turn to the right."""
SMALLEST = 4
"""Smallest side of a level: two cells inside the ring of walls."""


class Level(NamedTuple):
    """A level, or a batch of them with a leading axis on every field.

    Attributes:
        tiles: ``uint8[H, W]``, codes of :data:`TILE_NAMES`: floor, wall, moss, lava.
        start: ``int32[2]``, row and column of the agents' first cell, floor or moss.
        direction: ``int32[]``, index into :data:`DIRECTIONS` of the agents' first direction.
        goal: ``int32[2]``, row and column of the goal, floor or moss, another cell than the start.
    """

    tiles: Array
    start: Array
    direction: Array
    goal: Array


def empty_level(size: int) -> Level:
    """Build a level without inner walls, from its upper left to its lower right corner.

    Args:
        size: side of the grid, including the ring of walls; at least 4.

    Raises:
        ValueError: for a smaller side.

    Example:
        >>> from jaxswarm.envs import maze
        >>> print(maze.levels.text(maze.empty_level(5)))
        #####
        #>..#
        #...#
        #..G#
        #####
    """
    size = checks.whole("size", size, SMALLEST)
    tiles = np.full((size, size), WALL, np.uint8)
    tiles[1:-1, 1:-1] = FLOOR
    last = size - 2
    return Level(
        tiles, np.array([1, 1], np.int32), np.array(0, np.int32), np.array([last, last], np.int32)
    )


def check(level: Level | list[Level], name: str = "level", *, at_least: int = 1) -> Level:
    """Check a level, a batch of them or a sequence of single ones; return a :class:`Level`.

    Values are checked where they are known; traced ones are only checked for shape and dtype.

    Args:
        level: one level, a batch ``[B, ...]``, or a list of single levels, which is stacked.
        name: the argument, for the messages.
        at_least: smallest number of levels; 2 where levels are interpolated, for example. Above 1
            a batch or a list is expected.

    Returns:
        The level or batch: ``uint8`` tiles, ``int32`` positions and directions.

    Raises:
        ValueError: if shapes do not fit together, levels differ in size, there are too few levels,
            a tile code is unknown, the ring is not all wall, or the start or the goal lies outside,
            on wall or lava, or both are the same cell.
    """
    at_least = checks.whole("at_least", at_least, 1)
    if isinstance(level, list):
        given = stack(level, name)
    else:
        given: Level = checks.instance(name, level, Level, "maze.empty_level(15)")
    shape = np.shape(given.tiles)
    if len(shape) not in (2, 3):
        raise ValueError(f"{name}.tiles: expected shape [H, W] or [B, H, W], got {shape}")
    batch = shape[:-2]
    count = batch[0] if batch else 1
    if count < at_least:
        raise ValueError(f"{name}: expected at least {at_least} levels, got {count}")
    tiles = checks.wholes(f"{name}.tiles", given.tiles, 0, NUM_TILES - 1)
    height, width = tiles.shape[-2:]
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"{name}.tiles: expected sides of at least {SMALLEST}, got {height} x {width}"
        )
    start = checks.wholes(f"{name}.start", given.start, shape=(*batch, 2))
    goal = checks.wholes(f"{name}.goal", given.goal, shape=(*batch, 2))
    direction = checks.wholes(f"{name}.direction", given.direction, 0, 3, shape=batch)
    found = Level(tiles.astype(np.uint8), start, direction, goal)
    if not any(checks.is_traced(leaf) for leaf in found):
        _check_cells(found, name)
    return found


def _check_cells(level: Level, name: str) -> None:
    """Refuse levels whose ring is not wall, or whose start or goal cannot be entered."""
    tiles, start, goal = (np.asarray(x) for x in (level.tiles, level.start, level.goal))
    height, width = tiles.shape[-2:]
    tiles, start, goal = tiles.reshape(-1, height, width), start.reshape(-1, 2), goal.reshape(-1, 2)
    ring = np.ones((height, width), bool)
    ring[1:-1, 1:-1] = False
    open_ring = np.any(tiles[:, ring] != WALL, axis=1)
    if open_ring.any():
        raise ValueError(
            f"{name}.tiles: expected walls all around, got an open border in level "
            f"{int(np.argmax(open_ring))}"
        )
    for what, cell in (("start", start), ("goal", goal)):
        outside = np.any((cell < 0) | (cell >= np.array([height, width])), axis=1)
        inside = np.where(outside[:, None], 0, cell)
        tile = np.where(outside, WALL, tiles[np.arange(len(tiles)), inside[:, 0], inside[:, 1]])
        bad = outside | (tile == WALL) | (tile == LAVA)
        if bad.any():
            index = int(np.argmax(bad))
            kind = "a cell outside" if outside[index] else TILE_NAMES[int(tile[index])]
            raise ValueError(
                f"{name}.{what}: expected a cell of floor or moss, got {kind} at "
                f"{cell[index].tolist()} in level {index}"
            )
    same = (start == goal).all(axis=1)
    if same.any():
        index = int(np.argmax(same))
        raise ValueError(
            f"{name}.goal: expected another cell than the start, got {goal[index].tolist()} for "
            f"both in level {index}"
        )


def stack(levels: Sequence[Level], name: str = "levels") -> Level:
    """Stack single levels of one size into a batch ``[B, ...]``.

    Raises:
        ValueError: without levels, or if their sizes differ.
    """
    if not isinstance(levels, (list, tuple)) or not levels:
        raise ValueError(f"{name}: expected at least one level, got {checks.shown(levels)}")
    for index, level in enumerate(levels):
        checks.instance(f"{name}[{index}]", level, Level, "maze.empty_level(15)")
        shape, first = np.shape(level.tiles), np.shape(levels[0].tiles)
        if shape != first:
            raise ValueError(
                f"{name}[{index}]: expected the size {first} of the first, got {shape}"
            )
    traced = any(checks.is_traced(leaf) for leaf in jax.tree.leaves(levels))
    join = jnp.stack if traced else np.stack
    return Level(*(join([x[field] for x in levels]) for field in range(len(Level._fields))))


def join(levels: Sequence[Level]) -> Level:
    """Concatenate batches of levels of one size into one batch.

    Raises:
        ValueError: without batches, if one is a single level, or if their sizes differ.
    """
    if not isinstance(levels, (list, tuple)) or not levels:
        raise ValueError(f"levels: expected at least one batch, got {checks.shown(levels)}")
    for index, level in enumerate(levels):
        checks.instance(f"levels[{index}]", level, Level, "maze.families.rooms(0, 8, 15)")
        shape, first = np.shape(level.tiles), np.shape(levels[0].tiles)
        if len(shape) != 3 or shape[1:] != first[1:]:
            raise ValueError(
                f"levels[{index}]: expected a batch [B, {', '.join(map(str, first[1:]))}], got "
                f"tiles {shape}"
            )
    fields = range(len(Level._fields))
    return Level(*(np.concatenate([np.asarray(x[field]) for x in levels]) for field in fields))


def text(level: Level) -> str:
    """Write a single level as text: ``#`` wall, ``.`` floor, ``"`` moss, ``~`` lava, ``G`` goal.

    The start is an arrow in its direction.

    Raises:
        ValueError: for a batch, or traced levels.
    """
    checks.concrete("level", level)
    level = check(level)
    if np.ndim(level.tiles) != 2:
        raise ValueError(f"level: expected a single level, got tiles {np.shape(level.tiles)}")
    rows = np.array(list('.#"~'))[np.asarray(level.tiles)]
    rows[tuple(np.asarray(level.goal))] = "G"
    rows[tuple(np.asarray(level.start))] = ">v<^"[int(level.direction)]
    return "\n".join("".join(row) for row in rows)


def from_text(rows: str) -> Level:
    r"""Read a single level from text as :func:`text` writes it, one row per line.

    Raises:
        ValueError: for unknown characters, rows of different length, not one start and one goal,
            or an invalid level.

    Example:
        >>> from jaxswarm.envs import maze
        >>> level = maze.levels.from_text("#####\n#>.G#\n#...#\n#####")
        >>> int(maze.distance(level))
        2
    """
    if not isinstance(rows, str):
        raise ValueError(f"rows: expected text, got {checks.shown(rows)}")
    lines = rows.strip().split("\n")
    if len({len(line) for line in lines}) != 1:
        raise ValueError(f"rows: expected rows of one length, got {[len(x) for x in lines]}")
    symbols = np.array([list(line) for line in lines])
    known = '.#"~G>v<^'
    if unknown := sorted(set(symbols.ravel()) - set(known)):
        raise ValueError(f"rows: expected characters of {known!r}, got {unknown}")
    goals, starts = np.argwhere(symbols == "G"), np.argwhere(np.isin(symbols, list(">v<^")))
    if len(goals) != 1 or len(starts) != 1:
        raise ValueError(
            f"rows: expected one start and one goal, got {len(starts)} and {len(goals)}"
        )
    codes = dict(zip(known, (FLOOR, WALL, MOSS, LAVA, *[FLOOR] * 5), strict=True))
    tiles = np.array([[codes[x] for x in row] for row in symbols.tolist()], np.uint8)
    direction = ">v<^".index(str(symbols[tuple(starts[0])]))
    return check(Level(tiles, starts[0], np.array(direction, np.int32), goals[0]), "rows")


def save_levels(path: str | Path, levels: Level) -> None:
    """Write a batch of levels to an ``.npz`` file with one array per field, without pickles.

    Raises:
        ValueError: if ``path`` does not end in ``.npz``, or the levels are not a valid batch.
    """
    path = _npz(path)
    checks.concrete("levels", levels)
    levels = check(levels, "levels")
    if np.ndim(levels.tiles) != 3:
        raise ValueError(f"levels: expected a batch [B, H, W], got {np.shape(levels.tiles)}")
    with path.open("wb") as file:
        arrays: dict[str, Any] = {k: np.asarray(v) for k, v in levels._asdict().items()}
        np.savez_compressed(file, **arrays)


def load_levels(path: str | Path) -> Level:
    """Read a batch of levels from an ``.npz`` file; nothing is unpickled.

    Either the fields of :class:`Level`, as :func:`save_levels` writes them, or masks ``bool[B, H,
    W]`` named ``walls``, ``lava``, ``moss``, ``start`` and ``goal`` (the last two with one cell
    each), without the ring of walls or with it; then agents start to the right.

    Raises:
        ValueError: if ``path`` does not end in ``.npz``, arrays are missing, or a level is invalid.
    """
    path = _npz(path)
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    if set(Level._fields) <= set(arrays):
        return check(Level(*(arrays[name] for name in Level._fields)), "levels")
    if not {"walls", "start", "goal"} <= set(arrays):
        raise ValueError(
            f"path: expected arrays {list(Level._fields)}, or walls, start, goal and optionally "
            f"lava and moss, got {sorted(arrays)}"
        )
    return _from_masks(arrays)


def _from_masks(arrays: dict[str, np.ndarray]) -> Level:
    walls = np.asarray(arrays["walls"]).astype(bool)
    if walls.ndim != 3:
        raise ValueError(f"walls: expected masks [B, H, W], got shape {walls.shape}")
    masks = {}
    for name in ("walls", "lava", "moss", "start", "goal"):
        mask = np.asarray(arrays.get(name, np.zeros_like(walls))).astype(bool)
        if mask.shape != walls.shape:
            raise ValueError(f"{name}: expected shape {walls.shape}, got {mask.shape}")
        masks[name] = mask
    ring = np.ones(walls.shape[1:], bool)
    ring[1:-1, 1:-1] = False
    if not walls[:, ring].all():
        around = ((0, 0), (1, 1), (1, 1))
        masks = {k: np.pad(v, around, constant_values=k == "walls") for k, v in masks.items()}
    tiles = np.zeros_like(masks["walls"], np.uint8)
    for name, code in (("moss", MOSS), ("lava", LAVA), ("walls", WALL)):
        tiles[masks[name]] = code
    cells = []
    for name in ("start", "goal"):
        flat = masks[name].reshape(len(tiles), -1)
        if (flat.sum(axis=1) != 1).any():
            raise ValueError(f"{name}: expected one cell per level, got {flat.sum(axis=1)}")
        at = flat.argmax(axis=1)
        width = tiles.shape[-1]
        cells.append(np.stack([at // width, at % width], axis=1).astype(np.int32))
    return check(Level(tiles, cells[0], np.zeros(len(tiles), np.int32), cells[1]), "levels")


def _npz(path: str | Path) -> Path:
    """The path of an ``.npz`` file."""
    if not isinstance(path, (str, Path)) or Path(path).suffix != ".npz":
        raise ValueError(f"path: expected a file name ending in .npz, got {checks.shown(path)}")
    return Path(path)
