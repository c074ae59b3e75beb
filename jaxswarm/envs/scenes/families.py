"""Procedural scenes of four families, drawn inside of ``jit`` and ``vmap``.

Every family has a border of walls, walls or furniture of its own, and objects that stand where a
figure can reach their interaction poses. Shapes depend on the size and the number of objects alone.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import grid
from jaxswarm.envs.scenes._scene import KINDS, SEAT, Scene
from jaxswarm.envs.scenes.distance import signed_distance
from jaxswarm.envs.scenes.navigation import CLEARANCE
from jaxswarm.types import Key

CELL = 0.2
"""Side of a cell of drawn scenes, in metres."""

AWAY = 2
"""Cells from an object to its interaction pose."""

_STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))  # row, column: along y, x, -y, -x


def _border(size: int) -> jax.Array:
    return jnp.zeros((size, size), bool).at[1:-1, 1:-1].set(True) ^ True


def _block(size: int, top: jax.Array, left: jax.Array, rows: jax.Array, columns: jax.Array):
    at = jnp.arange(size)
    row = (at >= top) & (at < top + rows)
    column = (at >= left) & (at < left + columns)
    return row[:, None] & column[None, :]


def _whole(uniform: jax.Array, low: int | jax.Array, high: int | jax.Array) -> jax.Array:
    """Whole numbers in ``[low, high)`` of uniform ones; ``low`` if the interval is empty."""
    span = jnp.maximum(high - low, 1)
    return low + jnp.floor(uniform * span).astype(jnp.int32)


def _rooms(key: Key, size: int) -> jax.Array:
    """Four rooms: a wall along each axis, each with two doors of five cells."""
    uniform = jax.random.uniform(key, (6,))
    row, column = _whole(uniform[:2], size // 3, size - size // 3)
    at = jnp.arange(size)

    def doors(first: jax.Array, second: jax.Array, crossing: jax.Array) -> jax.Array:
        before = _whole(first, 1, crossing - 5)
        after = _whole(second, crossing + 1, size - 6)
        return ((at >= before) & (at < before + 5)) | ((at >= after) & (at < after + 5))

    vertical = (at == column)[None, :] & ~doors(uniform[2], uniform[3], row)[:, None]
    horizontal = (at == row)[:, None] & ~doors(uniform[4], uniform[5], column)[None, :]
    return vertical | horizontal


def _clutter(key: Key, size: int) -> jax.Array:
    """One hall with nine pieces of furniture of two to six cells each way."""
    uniform = jax.random.uniform(key, (9, 4))
    corners, sides = _whole(uniform[:, :2], 3, size - 6), _whole(uniform[:, 2:], 2, 7)
    blocks = jax.vmap(lambda c, s: _block(size, c[0], c[1], s[0], s[1]))(corners, sides)
    return blocks.any(axis=0)


def _columns(key: Key, size: int) -> jax.Array:
    """A jittered lattice of square columns, two or three cells wide."""
    count = max(size // 8, 1)
    uniform = jax.random.uniform(key, (count * count, 3))
    base = 4 + 8 * jnp.arange(count)
    jitter, width = _whole(uniform[:, :2], -1, 2), _whole(uniform[:, 2], 2, 4)
    top = jnp.repeat(base, count) + jitter[:, 0]
    left = jnp.tile(base, count) + jitter[:, 1]
    blocks = jax.vmap(lambda t, c, w: _block(size, t, c, w, w))(top, left, width)
    return blocks.any(axis=0)


def _corridors(key: Key, size: int) -> jax.Array:
    """Three walls that leave a passage of seven cells, at the left or the right end in turn."""
    at = jnp.arange(size)
    uniform = jax.random.uniform(key, (4,))
    rows = size * jnp.arange(1, 4) // 4 + _whole(uniform[:3], -1, 2)
    ends = jnp.array([False, True, False]) == (uniform[3] < 0.5)
    open_cells = jnp.where(ends[:, None], (at < 8)[None, :], (at >= size - 8)[None, :])
    walls = (at[None, :] == rows[:, None])[:, :, None] & ~open_cells[:, None, :]
    return walls.any(axis=0)


FAMILIES: dict[str, Callable[[Key, int], jax.Array]] = {
    "rooms": _rooms,
    "clutter": _clutter,
    "columns": _columns,
    "corridors": _corridors,
}
"""Families by name: ``walls(key, size) -> bool[size, size]``, without the border."""


def draw(key: Key, family: str = "rooms", *, size: int = 36, num_objects: int = 6) -> Scene:
    """Draw a scene of a family; ``jit`` and ``vmap`` it over keys.

    Kinds of objects alternate: seat, item, surface. An object takes one cell; its interaction pose
    is two cells away, at least ``scenes.CLEARANCE`` from obstacles. Poses can be reached from the
    scene's most open cell when the object is put down; a later object may rarely close the way, so
    that :func:`is_reachable` decides before motion is generated.

    Args:
        key: random key.
        family: one of :data:`FAMILIES`.
        size: cells along each side, static, at least 24; a cell is 0.2 m wide.
        num_objects: ``O``, static, at least 1.

    Raises:
        ValueError: for an unknown family or sizes out of range.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import scenes
        >>> made = scenes.draw(jax.random.key(0), "clutter")
        >>> made.occupied.shape, [scenes.KINDS[kind] for kind in made.kind[:3]]
        ((36, 36), ['seat', 'item', 'surface'])
    """
    checks.key(key)
    checks.choice("family", family, FAMILIES)
    size = checks.whole("size", size, 24)
    num_objects = checks.whole("num_objects", num_objects, 1)
    wall_key, object_key = jax.random.split(key)
    return furnish(object_key, FAMILIES[family](wall_key, size), num_objects=num_objects)


def furnish(key: Key, walls: jax.Array, *, num_objects: int = 6) -> Scene:
    """Add a border and objects to walls, as :func:`draw` does; ``jit`` and ``vmap`` it.

    Args:
        key: random key.
        walls: ``bool[n, n]``, of one of :data:`FAMILIES` or of your own, n >= 24.
        num_objects: ``O``, static, at least 1.

    Raises:
        ValueError: for walls that are not square flags, or sizes out of range.
    """
    checks.key(key)
    occupied = jnp.asarray(checks.mask("walls", walls, (None, None)))
    size = occupied.shape[0]
    if occupied.shape[1] != size or size < 24:
        raise ValueError(f"walls: expected [n, n] with n >= 24, got {occupied.shape}")
    num_objects = checks.whole("num_objects", num_objects, 1)
    occupied = occupied | _border(size)
    kinds = jnp.arange(num_objects) % len(KINDS)

    def put(carry: tuple[jax.Array, jax.Array], inputs: tuple[jax.Array, jax.Array]):
        occupied, reserved = carry
        uniform, kind = inputs
        distance = signed_distance(occupied)
        walkable = distance * CELL >= CLEARANCE
        start = distance == distance.max()
        reachable = walkable & (grid.distances(walkable, start) < size * size)
        # A pose beside the object: one cell of air on its other sides, once the object is there.
        good = reachable & (distance >= AWAY - 0.5)
        ways = (
            jnp.stack([jnp.roll(good, (-AWAY * r, -AWAY * c), (0, 1)) for r, c in _STEPS])
            & (~occupied & ~reserved & (distance >= 1.5))[None]
        )
        score = uniform + ways
        best = jnp.argmax(score.ravel())
        way, row, column = jnp.unravel_index(best, ways.shape)
        step = jnp.array(_STEPS)[way]
        pose_cell = jnp.stack([row, column]) + AWAY * step
        toward = jnp.arctan2(-step[0].astype(jnp.float32), -step[1].astype(jnp.float32))
        heading = jnp.where(kind == SEAT, toward + jnp.pi, toward)
        heading = jnp.mod(heading + jnp.pi, 2 * jnp.pi) - jnp.pi
        occupied = occupied.at[row, column].set(True)
        at = jnp.arange(size)
        near = (jnp.abs(at - pose_cell[0]) <= 3)[:, None] & (jnp.abs(at - pose_cell[1]) <= 3)[None]
        center = (jnp.stack([column, row]) + 0.5) * CELL
        pose = jnp.append((pose_cell[::-1] + 0.5) * CELL, heading)
        return (occupied, reserved | near), (center, pose)

    uniform = jax.random.uniform(key, (num_objects, len(_STEPS), size, size))
    carry = occupied, jnp.zeros_like(occupied)
    (occupied, _), (position, pose) = jax.lax.scan(put, carry, (uniform, kinds))
    return Scene(
        occupied,
        signed_distance(occupied, CELL),
        kinds.astype(jnp.int32),
        position.astype(jnp.float32),
        pose.astype(jnp.float32),
        jnp.asarray(CELL, jnp.float32),
    )
