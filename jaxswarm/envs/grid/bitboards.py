"""Breadth-first search on grids packed into bits, 32 cells a word.

Searches of many agents on maps of their own take a word operation for 32 cells, which makes them
dozens of times quicker than relaxing arrays of distances (:func:`jaxswarm.envs.grid.distances`,
their oracle). Cells may be *slow*: they take two steps to enter, such as rock that is mined first.

Shapes: grids ``bool[H, W]``, boards ``uint32[H, ceil(W / 32)]``. Unbatched; map with ``jax.vmap``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.grid.pushing import DIRECTIONS

_BITS = np.uint32(1) << np.arange(32, dtype=np.uint32)


class FirstStep(NamedTuple):
    """The start of a shortest path.

    Attributes:
        direction: ``int32[]``, index into :data:`jaxswarm.envs.grid.DIRECTIONS`.
        length: ``int32[]``, steps of the path; cells that are entered slowly count twice.
        found: ``bool[]``, false where no goal can be reached.
    """

    direction: jax.Array
    length: jax.Array
    found: jax.Array


def pack(cells: jax.Array) -> jax.Array:
    """Pack ``bool[H, W]`` into a board ``uint32[H, ceil(W / 32)]``."""
    height, width = cells.shape
    words = -(-width // 32)
    padded = jnp.pad(cells, ((0, 0), (0, 32 * words - width)))
    grouped = padded.reshape(height, words, 32)
    return jnp.sum(jnp.where(grouped, _BITS[None, None], np.uint32(0)), axis=2, dtype=jnp.uint32)


def unpack(board: jax.Array, width: int) -> jax.Array:
    """The grid ``bool[H, width]`` of a board."""
    grouped = (board[:, :, None] & _BITS[None, None]) != 0
    return grouped.reshape(board.shape[0], -1)[:, :width]


def spread(board: jax.Array) -> jax.Array:
    """Cells of a board together with their four neighbours."""
    zero = jnp.zeros_like(board[:, :1])
    carry_up = jnp.concatenate([zero, board[:, :-1] >> 31], axis=1)
    carry_down = jnp.concatenate([board[:, 1:] << 31, zero], axis=1)
    sideways = board | (board << 1) | (board >> 1) | carry_up | carry_down
    none = jnp.zeros_like(board[:1])
    above = jnp.concatenate([none, board[:-1]])
    below = jnp.concatenate([board[1:], none])
    return sideways | above | below


def reached(free: jax.Array, start: jax.Array, *, next_to: bool = False) -> jax.Array:
    """Cells that can be reached from the start over free cells, ``bool[H, W]``.

    Args:
        free: ``bool[H, W]``.
        start: ``bool[H, W]``; counts as free.
        next_to: add the cells next to them, free or not.
    """
    board = reached_board(pack(free), pack(start))
    if next_to:
        board = spread(board)
    return unpack(board, free.shape[1])


def reached_board(free: jax.Array, start: jax.Array) -> jax.Array:
    """:func:`reached` on boards."""

    def widen(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        board, _ = carry
        wider = board | (spread(board) & free)
        return wider, jnp.any(wider != board)

    return jax.lax.while_loop(lambda carry: carry[1], widen, (start, jnp.any(start != 0)))[0]


def first_step(free: jax.Array, slow: jax.Array, goals: jax.Array, at: jax.Array) -> FirstStep:
    """The first step of a shortest path to the nearest goal.

    The search runs from the goals and stops when it touches the start. Ties go to the first
    direction. At a goal the length is 0.

    Args:
        free: board of cells that take one step to enter; goals count as free.
        slow: board of cells that take two steps; free cells are not slow.
        goals: board.
        at: ``int32[2]``, row and column of the start.
    """
    height, words = free.shape
    slow = slow & ~free & ~goals
    around = at[None, :] + DIRECTIONS
    row, column = around[:, 0], around[:, 1]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < 32 * words)
    row, column = jnp.clip(row, 0, height - 1), jnp.clip(column, 0, 32 * words - 1)

    def at_neighbours(board: jax.Array) -> jax.Array:
        bit = (board[row, column // 32] >> (column % 32).astype(jnp.uint32)) & 1
        return (bit == 1) & inside

    def search(carry: tuple) -> tuple:
        board, pending, length, _ = carry
        wide = spread(board)
        wider = board | (wide & free) | pending
        delayed = wide & slow & ~wider
        # A cell that takes two steps is entered one round after it was touched.
        return wider, delayed, length + 1, jnp.any((wider != board) | (delayed != pending))

    def going(carry: tuple) -> jax.Array:
        return carry[3] & ~jnp.any(at_neighbours(carry[0]))

    here = (goals[at[0], at[1] // 32] >> (at[1] % 32).astype(jnp.uint32)) & 1 == 1
    none = jnp.zeros_like(goals)
    # Entering a slow goal is up to the caller: goals are the border of the search.
    start = (goals, none, jnp.int32(1), jnp.any(goals != 0) & ~here)
    board, _, length, _ = jax.lax.while_loop(going, search, start)
    touches = at_neighbours(board)
    found = jnp.any(touches) | here
    length = jnp.where(here, 0, length)
    return FirstStep(jnp.argmax(touches).astype(jnp.int32), length, found)
