"""Exact linear assignment (Jonker–Volgenant) on the device, batched with ``vmap``.

Shapes: ``D`` rows and as many columns.

References:
    R. Jonker, A. Volgenant, A shortest augmenting path algorithm for dense and sparse linear
    assignment problems, 1987. D. F. Crouse, On implementing 2D rectangular assignment algorithms,
    2016.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.checks import is_traced


class _Search(NamedTuple):
    """Dual prices, the partial matching and the shortest-path tree of row ``root``.

    ``at`` is the row to expand next while ``sink < 0``, after that the column being reassigned.
    """

    row_price: jax.Array  # float[D]
    column_price: jax.Array  # float[D]
    row_of: jax.Array  # int32[D], by column, -1 if free
    column_of: jax.Array  # int32[D], by row, -1 if free
    root: jax.Array  # int32[], the row being matched; D when all are
    at: jax.Array  # int32[]
    sink: jax.Array  # int32[], the free column that was reached, or -1
    reached: jax.Array  # float[], length of the path to the column last closed
    distance: jax.Array  # float[D], of each column from the root
    parent: jax.Array  # int32[D], the row from which a column was reached
    closed_rows: jax.Array  # bool[D]
    closed_columns: jax.Array  # bool[D]


def assign(score: jax.Array, *, maximize: bool = False) -> jax.Array:
    """Solve the linear assignment problem: rows to columns with the least (or greatest) total.

    Shortest augmenting paths, ``O(D³)`` in the worst case and exact up to rounding. Under ``vmap``
    all problems advance together, one column of one path at a time.

    Args:
        score: ``[D, D]``, any real numbers, ties and negative ones too. While tracing, entries that
            are not finite count as 0: the result is a bijection all the same.
        maximize: find the greatest total instead of the least.

    Returns:
        ``int32[D]``: the column of each row, a permutation.

    Raises:
        ValueError: if ``score`` is not square, is empty, or (outside ``jit``) not finite.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm.learning.matching import assign
        >>> assign(jnp.array([[1.0, 2.0], [0.0, 5.0]])).tolist()
        [1, 0]
    """
    if not is_traced(score):
        checks.as_array("score", score, "a square matrix [D, D] of numbers")
    maximize = checks.flag("maximize", maximize)
    shape = jnp.shape(score)
    if len(shape) != 2 or shape[0] != shape[1] or shape[0] == 0:
        raise ValueError(f"score: expected a square matrix [D, D] with D >= 1, got shape {shape}")
    if not is_traced(score) and not np.isfinite(np.asarray(score)).all():
        raise ValueError("score: expected finite numbers, got NaN or infinity")
    cost = jnp.asarray(score)
    cost = cost.astype(jnp.promote_types(cost.dtype, jnp.float32))
    cost = jnp.where(jnp.isfinite(cost), cost, 0.0)
    return _solve(-cost if maximize else cost)


@jax.jit
def _solve(cost: jax.Array) -> jax.Array:
    size = cost.shape[0]
    index = jnp.arange(size, dtype=jnp.int32)
    row_price = jnp.min(cost, axis=1)
    column_price = jnp.min(cost - row_price[:, None], axis=0)
    free = jnp.full(size, -1, jnp.int32)
    zero = jnp.zeros((), jnp.int32)
    start = _Search(
        row_price,
        column_price,
        row_of=free,
        column_of=free,
        root=zero,
        at=zero,
        sink=zero - 1,
        reached=jnp.zeros((), cost.dtype),
        distance=jnp.full(size, jnp.inf, cost.dtype),
        parent=free,
        closed_rows=jnp.zeros(size, bool),
        closed_columns=jnp.zeros(size, bool),
    )

    def expand(s: _Search) -> _Search:
        """Close the nearest open column; if it is free, update the prices."""
        closed_rows = s.closed_rows | (index == s.at)
        through = s.reached + cost[s.at] - s.row_price[s.at] - s.column_price
        shorter = ~s.closed_columns & (through < s.distance)
        distance = jnp.where(shorter, through, s.distance)
        parent = jnp.where(shorter, s.at, s.parent)
        open_distance = jnp.where(s.closed_columns, jnp.inf, distance)
        reached = jnp.min(open_distance)
        # Among equally near columns a free one ends the search at once.
        rank = jnp.where(open_distance <= reached, 1 + (s.row_of < 0), 0)
        rank = jnp.where(s.closed_columns, -1, rank)
        nearest = jnp.argmax(rank).astype(jnp.int32)
        closed_columns = s.closed_columns | (index == nearest)
        found = s.row_of[nearest] < 0
        own = jnp.where(index == s.root, 0.0, distance[s.column_of])
        row_price = s.row_price + jnp.where(closed_rows, reached - own, 0.0)
        column_price = s.column_price - jnp.where(closed_columns, reached - distance, 0.0)
        return s._replace(
            row_price=jnp.where(found, row_price, s.row_price),
            column_price=jnp.where(found, column_price, s.column_price),
            at=jnp.where(found, nearest, s.row_of[nearest]),
            sink=jnp.where(found, nearest, -1),
            reached=reached,
            distance=distance,
            parent=parent,
            closed_rows=closed_rows,
            closed_columns=closed_columns,
        )

    def flip(s: _Search) -> _Search:
        """Assign column ``at`` to its parent row, which frees the next column of the path."""
        row = s.parent[s.at]
        freed = s.column_of[row]
        row_of = jnp.where(index == s.at, row, s.row_of)
        column_of = jnp.where(index == row, s.at, s.column_of)
        last = row == s.root
        root = jnp.where(last, s.root + 1, s.root)
        return s._replace(
            row_of=row_of,
            column_of=column_of,
            root=root,
            at=jnp.where(last, root, freed),
            sink=jnp.where(last, -1, s.sink),
            reached=jnp.where(last, 0.0, s.reached),
            distance=jnp.where(last, jnp.inf, s.distance),
            closed_rows=jnp.where(last, False, s.closed_rows),
            closed_columns=jnp.where(last, False, s.closed_columns),
        )

    def step(s: _Search) -> _Search:
        return jax.lax.cond(s.sink < 0, expand, flip, s)

    return jax.lax.while_loop(lambda s: s.root < size, step, start).column_of
