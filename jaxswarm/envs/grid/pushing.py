"""Pushing on a grid: chains of single-cell bodies, walls, and one rigid body of many cells.

In one pass all pushing bodies push in the same direction. A body moves if it is pushed with at
least its mass, by its own force and by the surplus force of the bodies directly behind it; bodies
in front of a moving body move too; walls never do. Of all solutions, the one in which most bodies
move is taken.

That is a small integer program, but on a grid it has a closed form. Bodies of one cell stand in
chains along the direction. Of a chain, the longest tail that can push its own weight moves, and it
also delivers the most force at its front, since every shorter tail has less behind it. A rigid body
of many cells adds up the forces of the chains behind it, carries the bodies that it encloses, and
must push every chain in front. Two scans along the lines solve this exactly for any number of
single-cell bodies and one rigid body.

References:
    K. Ruan et al., Benchmarking LLMs' swarm intelligence, 2025 (the rules of pushing).
"""

import jax
import jax.numpy as jnp
import numpy as np

DIRECTIONS = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]], np.int32)
"""Up, down, left, right as (row, column)."""

FREE, STATIC, LOOSE, BODY = 0, 1, 2, 3


def push(
    net: jax.Array,
    loose: jax.Array,
    static: jax.Array,
    direction: jax.Array | int,
    body: jax.Array | None = None,
    mass: int = 0,
) -> tuple[jax.Array, jax.Array]:
    """Find which bodies move in one pass of pushing in one direction.

    Args:
        net: ``int32[H, W]``, force minus mass of the single-cell bodies.
        loose: ``bool[H, W]``, cells of single-cell bodies.
        static: ``bool[H, W]``, cells that never move. Cells beyond the grid are free.
        direction: index into :data:`DIRECTIONS`; may be traced.
        body: ``bool[H, W]``, the cells of one rigid body, if there is any.
        mass: of that body.

    Returns:
        ``(moves, shifts)``: ``bool[H, W]``, the single-cell bodies that move by one cell, and
        ``bool[]``, whether the rigid body does.
    """
    kind = jnp.where(static, STATIC, jnp.where(loose, LOOSE, FREE))
    if body is not None:
        kind = jnp.where(body, BODY, kind)
    (height, width), direction = kind.shape, jnp.asarray(direction)
    side = max(height, width)
    square = ((0, side - height), (0, side - width))  # the added cells are free
    kind = _turn(jnp.pad(kind, square), direction)
    net = _turn(jnp.pad(jnp.where(loose, net, 0), square), direction)
    top, least = _from_front(kind, net)
    starts = (kind == LOOSE) & (least >= 0)
    back, goes, force = _from_rear(kind, net, starts)
    free, touching = top == FREE, top == BODY
    if body is None:
        moves = _turn_back(goes & free, direction)
        return moves[:height, :width], jnp.zeros((), bool)

    ahead = jnp.concatenate([jnp.zeros_like(kind[:1]), kind[:-1]])
    behind = jnp.concatenate([kind[1:], jnp.zeros_like(kind[:1])])
    is_loose = kind == LOOSE
    enclosed = is_loose & touching & (back == BODY)
    delivers = is_loose & (ahead == BODY) & ~enclosed
    bears = is_loose & (behind == BODY) & ~touching
    given = jnp.sum(jnp.where(delivers, force, 0)) + jnp.sum(jnp.where(enclosed, net, 0))
    needed = jnp.sum(jnp.where(bears, jnp.maximum(0, -least), 0))
    stuck = jnp.any(bears & (top == STATIC)) | jnp.any((kind == BODY) & (ahead == STATIC))
    shifts = jnp.any(kind == BODY) & ~stuck & (given - mass >= needed)
    pushed = is_loose & (back == BODY)  # chains that the body pushes or carries
    moves = (goes & free) | (shifts & (pushed | (goes & touching)))
    return _turn_back(moves & is_loose, direction)[:height, :width], shifts


def _from_front(kind: jax.Array, net: jax.Array) -> tuple[jax.Array, jax.Array]:
    """For chains, from the front: what the front touches, and the least running force."""

    def row(carry: tuple[jax.Array, ...], cell: tuple[jax.Array, jax.Array]) -> tuple:
        kind_ahead, top_ahead, least_ahead = carry
        kind, net = cell
        follows = kind_ahead == LOOSE
        top = jnp.where(follows, top_ahead, kind_ahead)
        least = net + jnp.where(follows, jnp.minimum(0, least_ahead), 0)
        return (kind, top, least), (top, least)

    none = jnp.zeros(kind.shape[1], jnp.int32)
    return jax.lax.scan(row, (none, none, none), (kind, net))[1]


def _from_rear(
    kind: jax.Array, net: jax.Array, starts: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """For chains, from the rear: what is behind, membership in a moving tail, and its force."""

    def row(carry: tuple[jax.Array, ...], cell: tuple[jax.Array, ...]) -> tuple:
        kind_behind, back_behind, goes_behind, force_behind = carry
        kind, net, starts = cell
        follows = kind_behind == LOOSE
        back = jnp.where(follows, back_behind, kind_behind)
        goes = (kind == LOOSE) & (starts | (follows & goes_behind))
        force = jnp.where(goes, net + jnp.where(follows, force_behind, 0), 0)
        return (kind, back, goes, force), (back, goes, force)

    none = jnp.zeros(kind.shape[1], jnp.int32)
    start = (none, none, none.astype(bool), none)
    return jax.lax.scan(row, start, (kind, net, starts), reverse=True)[1]


def _turn(grid: jax.Array, direction: jax.Array) -> jax.Array:
    """Rotate a square grid so that the direction is along the first axis, front first."""
    grid = jnp.where(direction >= 2, grid.T, grid)
    return jnp.where(direction % 2 == 1, grid[::-1], grid)


def _turn_back(grid: jax.Array, direction: jax.Array) -> jax.Array:
    grid = jnp.where(direction % 2 == 1, grid[::-1], grid)
    return jnp.where(direction >= 2, grid.T, grid)
