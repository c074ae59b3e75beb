"""Random levels (domain randomisation), random edits (ACCEL) and moss and lava hints, in ``jit``.

All functions make or change a single level and are mapped over batches by ``jax.vmap``.

References:
    J. Parker-Holder et al., Evolving curricula with regret-based environment design, 2022 (edits);
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024 (60 random blocks, five edits; moss near the way and lava off it).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.envs.maze.levels import FLOOR, LAVA, MOSS, NUM_TILES, SMALLEST, WALL, Level, check
from jaxswarm.envs.maze.paths import distances, enterable, shortest_path_cells
from jaxswarm.types import Key


def random_level(
    key: Key, size: int, *, num_blocks: int | None = None, tiles: Sequence[int] = (WALL, MOSS, LAVA)
) -> Level:
    """Draw a level of random blocks on an empty grid: domain randomisation (DR).

    The number of blocks is uniform in ``[0, num_blocks]``; each falls on a uniformly drawn inner
    cell, maybe on an earlier one. Start and goal are two random cells, cleared. The level may be
    unsolvable.

    Args:
        key: a random key.
        size: side of the grid including the ring of walls, static.
        num_blocks: largest number of blocks; 60 for size 15 and in proportion to the inner area if
            omitted.
        tiles: codes of the blocks, each equally likely; ``(WALL,)`` for plain mazes.

    Raises:
        ValueError: for a size below 4, a negative number of blocks, or unknown tiles.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import maze
        >>> keys = jax.random.split(jax.random.key(0), 8)
        >>> levels = jax.vmap(lambda k: maze.random_level(k, 15))(keys)
        >>> levels.tiles.shape, levels.goal.shape
        ((8, 15, 15), (8, 2))
    """
    checks.key(key)
    size = checks.whole("size", size, SMALLEST)
    inner = size - 2
    if num_blocks is None:
        num_blocks = round(60 * inner**2 / 169)
    num_blocks = checks.whole("num_blocks", num_blocks)
    codes = _codes(tiles)
    count_key, cell_key, tile_key, turn_key = jax.random.split(key, 4)
    count = jax.random.randint(count_key, (), 0, num_blocks + 1)
    # Start and goal are distinct: the second is drawn from the other cells.
    cells = jax.random.randint(cell_key, (num_blocks + 2,), 0, inner**2)
    start = cells[0]
    goal = (start + 1 + cells[1] % (inner**2 - 1)) % inner**2
    kinds = jnp.asarray(codes)[jax.random.randint(tile_key, (num_blocks,), 0, len(codes))]
    # Cells of unused blocks lie beyond the grid and are dropped; of blocks on one cell, one stays.
    at = jnp.where(jnp.arange(num_blocks) < count, cells[2:], inner**2)
    flat = jnp.full(inner**2, FLOOR, jnp.uint8).at[at].set(kinds, mode="drop")
    flat = flat.at[jnp.stack([start, goal])].set(FLOOR)
    grid = jnp.pad(flat.reshape(inner, inner), 1, constant_values=WALL)
    turn = jax.random.randint(turn_key, (), 0, 4)
    return Level(grid, _cell(start, inner), turn, _cell(goal, inner))


def mutate(
    key: Key,
    level: Level,
    num_edits: int = 5,
    *,
    tiles: Sequence[int] = (FLOOR, WALL, MOSS, LAVA),
    move_probability: float = 0.2,
) -> Level:
    """Edit a level at random: the mutation of ACCEL.

    An edit either sets an inner cell, other than start and goal, to another tile; or, with
    ``move_probability``, moves the start or the goal to a random free cell. Start and goal stay
    valid; the level may become unsolvable.

    Args:
        key: a random key.
        level: a single valid level, inner area of at least three cells.
        num_edits: number of edits, static.
        tiles: codes that cells are set to; ``(FLOOR, WALL)`` for plain mazes. At least two.
        move_probability: of an edit moving the start or the goal, half each.

    Raises:
        ValueError: for an invalid level, a batch, a negative number of edits or a bad probability.
    """
    checks.key(key)
    level = _single(level)
    num_edits = checks.whole("num_edits", num_edits)
    checks.probability("move_probability", move_probability)
    codes = jnp.asarray(_codes(tiles, at_least=2))
    height, width = level.tiles.shape
    rows, columns = jnp.arange(height), jnp.arange(width)

    def edit(level: Level, key: jax.Array) -> tuple[Level, None]:
        kind_key, cell_key, tile_key = jax.random.split(key, 3)
        start, goal = jnp.asarray(level.start), jnp.asarray(level.goal)
        kept = _at(rows, columns, start) | _at(rows, columns, goal)
        inside = ((rows > 0) & (rows < height - 1))[:, None]
        inside = inside & ((columns > 0) & (columns < width - 1))[None, :]
        draw = jax.random.uniform(kind_key)
        moves = draw < move_probability
        candidates = inside & ~kept & (enterable(level) | ~moves)
        score = jnp.where(candidates, flat(jax.random.uniform, cell_key, candidates.shape), -1.0)
        best = jnp.argmax(score)
        cell = jnp.stack([best // width, best % width]).astype(jnp.int32)
        found = jnp.any(candidates)
        before = jnp.asarray(level.tiles)[cell[0], cell[1]]
        others = codes != before
        tile = codes[jax.random.categorical(tile_key, jnp.where(others, 0.0, -jnp.inf))]
        tile = jnp.where(found & ~moves, tile, before).astype(jnp.uint8)
        moves_start = found & moves & (draw < 0.5 * move_probability)
        moves_goal = found & moves & ~moves_start
        return Level(
            jnp.asarray(level.tiles).at[cell[0], cell[1]].set(tile),
            jnp.where(moves_start, cell, start),
            level.direction,
            jnp.where(moves_goal, cell, goal),
        ), None

    return jax.lax.scan(edit, jax.tree.map(jnp.asarray, level), jax.random.split(key, num_edits))[0]


def add_hints(
    key: Key,
    level: Level,
    *,
    shares: tuple[float, float] = (0.1, 0.25),
    power: float = 2.0,
) -> Level:
    """Turn floor into moss near the shortest path and into lava away from it.

    Floor cells are ranked by their distance to the nearest cell on a shortest path, walls ignored.
    Moss falls on cells drawn without replacement with probabilities in proportion to
    ``rank ** -power`` from the nearest; lava likewise from the farthest, never on a shortest path,
    so a solvable level stays solvable at the same distance. Each covers a share of the floor that
    is drawn uniformly.

    Args:
        key: a random key.
        level: a single level.
        shares: smallest and largest share of the floor that moss and lava each cover.
        power: exponent of the ranks, at least 0; 0 places both at random.

    Raises:
        ValueError: for an invalid level or a batch, shares that are not increasing probabilities,
            or a negative power.
    """
    checks.key(key)
    level = _single(level)
    if not isinstance(shares, (tuple, list)) or len(shares) != 2:
        raise ValueError(f"shares: expected (low, high), got {checks.shown(shares)}")
    low, high = shares
    checks.probability("shares[0]", low)
    checks.probability("shares[1]", high)
    if low > high:
        raise ValueError(f"shares: expected increasing probabilities, got {shares}")
    checks.real("power", power, 0.0)
    moss_key, lava_key, tie_key = jax.random.split(key, 3)
    tiles = jnp.asarray(level.tiles)
    height, width = tiles.shape
    rows, columns = jnp.arange(height), jnp.arange(width)
    path = shortest_path_cells(level)
    floor = tiles == FLOOR
    ends = _at(rows, columns, jnp.asarray(level.start)) | _at(
        rows, columns, jnp.asarray(level.goal)
    )
    away = _distance_to(path, height + width)
    away = away + 0.5 * flat(jax.random.uniform, tie_key, away.shape)
    area = jnp.sum(floor)

    def draw(key: jax.Array, order: jax.Array, allowed: jax.Array) -> jax.Array:
        """Mask of the cells drawn among the allowed ones, the first in the order most likely."""
        share_key, cell_key = jax.random.split(key)
        count = jax.random.uniform(share_key, (), minval=low, maxval=high) * area
        order = jnp.where(allowed, order, jnp.inf).reshape(-1)
        rank = jnp.argsort(jnp.argsort(order)) + 1
        gumbel = flat(jax.random.gumbel, cell_key, order.shape)
        score = jnp.where(allowed.reshape(-1), gumbel - power * jnp.log(rank), -jnp.inf)
        place = jnp.argsort(jnp.argsort(-score))
        return (place < jnp.round(count)).reshape(allowed.shape) & allowed

    lava = draw(lava_key, -away, floor & ~ends & ~path)
    moss = draw(moss_key, away, floor & ~ends & ~lava)
    tiles = jnp.where(lava, LAVA, jnp.where(moss, MOSS, tiles)).astype(jnp.uint8)
    return Level(tiles, level.start, level.direction, level.goal)


def place_ends(key: Key, tiles: jax.Array, *, at_least: int = 1) -> Level:
    """Draw start, goal and direction of a grid of tiles, connected if any two cells are.

    The start is a random cell of those in the largest connected part of the floor; the goal a
    random cell at a distance of at least ``at_least``, or the farthest one if none is.

    Args:
        key: a random key.
        tiles: ``uint8[H, W]`` with at least two connected cells of floor or moss.
        at_least: smallest distance from start to goal.

    Raises:
        ValueError: if ``tiles`` are not ``[H, W]`` codes.
    """
    checks.key(key)
    tiles = jnp.asarray(checks.wholes("tiles", tiles, 0, NUM_TILES - 1, shape=(None, None)))
    at_least = checks.whole("at_least", at_least, 1)
    start_key, goal_key, turn_key = jax.random.split(key, 3)
    height, width = tiles.shape
    free = (tiles == FLOOR) | (tiles == MOSS)
    labels = _components(free)
    sizes = jnp.bincount(jnp.where(free, labels, 0).reshape(-1), length=height * width + 1)
    largest = jnp.argmax(sizes.at[0].set(0))
    part = free & (labels == largest)

    def pick(key: jax.Array, mask: jax.Array) -> jax.Array:
        best = jnp.argmax(jnp.where(mask, flat(jax.random.uniform, key, mask.shape), -1.0))
        return jnp.stack([best // width, best % width]).astype(jnp.int32)

    start = pick(start_key, part)
    turn = jax.random.randint(turn_key, (), 0, 4)
    reach = distances(Level(tiles, start, turn, start))
    far_enough = reach >= jnp.minimum(at_least, jnp.max(reach))
    return Level(tiles.astype(jnp.uint8), start, turn, pick(goal_key, far_enough & (reach > 0)))


def _components(free: jax.Array) -> jax.Array:
    """Labels of the connected parts of the free cells, ``int32[H, W]``, 0 elsewhere."""
    labels = jnp.where(free, jnp.arange(1, free.size + 1, dtype=jnp.int32).reshape(free.shape), 0)

    def spread(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        labels, _ = carry
        near = jnp.pad(labels, 1)
        around = jnp.maximum(
            jnp.maximum(near[:-2, 1:-1], near[2:, 1:-1]),
            jnp.maximum(near[1:-1, :-2], near[1:-1, 2:]),
        )
        wider = jnp.where(free, jnp.maximum(labels, around), 0)
        return wider, jnp.any(wider != labels)

    return jax.lax.while_loop(lambda carry: carry[1], spread, (labels, jnp.any(free)))[0]


def _distance_to(mask: jax.Array, far: int) -> jax.Array:
    """Manhattan distance from every cell to the nearest one of a mask; ``far`` if it is empty."""
    rows, columns = jnp.arange(mask.shape[0]), jnp.arange(mask.shape[1])
    across = jnp.abs(columns[:, None] - columns[None, :])  # along rows, then along columns
    near = jnp.min(jnp.where(mask[:, None, :], across[None, :, :], far), axis=2)
    down = jnp.abs(rows[:, None] - rows[None, :])
    near = jnp.min(down[:, :, None] + near[None, :, :], axis=1)
    return jnp.minimum(near, far).astype(jnp.float32)


def _single(level: Level) -> Level:
    level = check(level)
    if jnp.ndim(level.tiles) != 2:
        raise ValueError(
            f"level: expected a single level, got tiles {jnp.shape(level.tiles)}; use jax.vmap"
        )
    return level


def _codes(tiles: Sequence[int], at_least: int = 1) -> np.ndarray:
    codes = checks.wholes("tiles", tiles, 0, NUM_TILES - 1, shape=(None,))
    if checks.is_traced(codes) or len(codes) < at_least or len(set(codes.tolist())) != len(codes):
        raise ValueError(
            f"tiles: expected at least {at_least} distinct tile codes, got {checks.shown(tiles)}"
        )
    return codes.astype(np.uint8)


def _cell(index: jax.Array, inner: int) -> jax.Array:
    """Row and column in the grid of an index into the inner cells."""
    return jnp.stack([index // inner + 1, index % inner + 1]).astype(jnp.int32)


def _at(rows: jax.Array, columns: jax.Array, cell: jax.Array) -> jax.Array:
    """Mask of one cell, ``bool[H, W]``."""
    return (rows == cell[0])[:, None] & (columns == cell[1])[None, :]
