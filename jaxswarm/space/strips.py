"""Neighbour sums by a sorted cell list whose rows are contiguous windows of agents.

Cells are stored row by row. Agents next to each other in a row form blocks; all agents within the
radius of a block lie in three rows (in the plane), and in each row in a contiguous window of the
sorted agents, or two where the box wraps. Slot ``k`` of all blocks is processed together: one
gather per block, one row of arithmetic per agent in it, nothing of size ``[N, K]``. Columns are a
quarter of the radius wide, so that windows are short.

An open space has no cells of its own: the grid repeats periodically, and agents many boxes apart
share a cell but are too far apart to interact, so a swarm may drift arbitrarily far.

Shapes: ``N`` agents, ``L`` agents of a block, ``B`` blocks.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.space._common import OPERATIONS, forward_only, neutral, squared_reach, usable
from jaxswarm.space.domain import Space
from jaxswarm.types import PyTree

LANES = 16
"""Agents per block: fewer test fewer candidates out of range, more share a gather."""
UNROLL = 4
"""Candidates per iteration of the loop, so that sums stay in registers."""

_FINE = 4
_SLACK = 1.0 + 1e-4  # cells a hair wider than the radius: a rounded cell index is still enough


class Plan(NamedTuple):
    """Static sizes of the cell list.

    Attributes:
        space: the domain.
        cells: number of cells per axis.
        width: width of a cell per axis.
        reach: columns that a window extends to each side.
        capacity: slots per block, or ``None`` for no limit.
    """

    space: Space
    cells: tuple[int, ...]
    width: tuple[float, ...]
    reach: int
    capacity: int | None


class Sorted(NamedTuple):
    """Agents sorted by cell and cut into blocks, with the candidate windows of each block.

    Attributes:
        order: ``[N]``, agents in the order of their cells.
        columns: list of ``[N]``, sorted coordinates.
        mine: ``[L, B]``, rank of a block's agents in ``order``.
        sees: ``bool[L, B]``, false for padding and for agents that do not take part.
        back: ``[N]``, index of agent ``i`` in a raveled ``[L, B]``.
        begins: list of ``[B]``, the slot at which a block's next window begins.
        shift: list of ``[B]``, added to a slot of that window to get a rank.
        total: ``[B]``, slots of all windows.
    """

    order: jax.Array
    columns: list[jax.Array]
    mine: jax.Array
    sees: jax.Array
    back: jax.Array
    begins: list[jax.Array]
    shift: list[jax.Array]
    total: jax.Array


def fits(space: Space, radius: float) -> bool:
    """Whether a periodic box has enough cells that no window contains a cell twice."""
    return space.boundary != "periodic" or all(s >= 3.01 * radius for s in space.sides)


def plan(space: Space, radius: float, num_agents: int, capacity: int | None) -> Plan:
    """Choose the cells for a radius; at most about four per agent, as empty ones cost time too."""
    most = max(3, math.floor((2.0 * num_agents) ** (1.0 / space.dimensions)))
    least = 3 if space.boundary == "open" else 1
    rows = [
        min(max(least, math.floor(s / (radius * _SLACK))), max(least, most))
        for s in space.sides[:-1]
    ]
    width = space.sides[-1] / (radius * _SLACK)
    left = max(3, (4 * num_agents + 64) // math.prod(rows))
    fine = next((f for f in (_FINE, 2) if math.floor(width * f) <= left), 1)
    columns = min(max(1, math.floor(width * fine)), left)
    cells = (*rows, columns)
    if space.boundary == "open":
        wide = [max(s / c, radius * _SLACK) for s, c in zip(space.sides, rows, strict=False)]
        wide.append(max(space.sides[-1] / columns, radius * _SLACK / fine))
    else:
        wide = [s / c for s, c in zip(space.sides, cells, strict=True)]
    return Plan(space, cells, tuple(wide), fine, capacity)


def arrange(plan: Plan, positions: jax.Array, taking: jax.Array) -> Sorted:
    """Sort agents by cell, cut rows into blocks and find every block's windows.

    ``positions [N, d]`` are finite; agents not ``taking`` part come last and have no neighbours.
    """
    n, cells = len(positions), plan.cells
    total = math.prod(cells)
    cell = jnp.where(taking, _cell(plan, positions), total)
    order = _argsort(cell, total + 1)
    counts = jnp.zeros(total + 2, jnp.int32).at[cell + 1].add(1)
    starts = jnp.cumsum(counts)

    rows, wide = total // cells[-1], cells[-1]
    bounds = starts[jnp.arange(rows + 1) * wide]  # ranks at which rows begin
    blocks = (bounds[1:] - bounds[:-1] + LANES - 1) // LANES
    ends = jnp.cumsum(blocks)
    most = n // LANES + min(rows, n)
    number = jnp.arange(most, dtype=jnp.int32)
    row = jnp.minimum(jnp.searchsorted(ends, number, side="right").astype(jnp.int32), rows - 1)
    head = bounds[row] + (number - (ends - blocks)[row]) * LANES
    tail = jnp.where(number < ends[-1], jnp.minimum(head + LANES, bounds[row + 1]), head)
    mine = head[None, :] + jnp.arange(LANES, dtype=jnp.int32)[:, None]
    sees = mine < tail[None, :]
    mine = jnp.minimum(mine, n - 1)

    sorted_cell = cell[order]
    here = jnp.minimum(sorted_cell // wide, rows - 1)
    within = jnp.arange(n, dtype=jnp.int32) - bounds[here]
    flat = (within % LANES) * most + (ends - blocks)[here] + within // LANES
    back = jnp.zeros(n, jnp.int32).at[order].set(flat, unique_indices=True)
    back = jnp.where(taking, back, 0)

    column = sorted_cell % wide
    left = column[jnp.minimum(head, n - 1)] - plan.reach
    right = column[jnp.maximum(tail - 1, 0)] + plan.reach
    windows = _windows(plan, row, left, right, tail > head, starts)
    begins, shift, reached = [], [], jnp.zeros_like(head)
    for start, length in windows:
        begins.append(reached)
        shift.append(start - reached)
        reached = reached + length
    columns = [positions[:, i][order] for i in range(len(cells))]
    return Sorted(order, columns, mine, sees, back, begins, shift, reached)


def _cell(plan: Plan, positions: jax.Array) -> jax.Array:
    space = plan.space
    at = space.wrap(positions) if space.boundary == "periodic" else positions
    cell = jnp.int32(0)
    for i, cells in enumerate(plan.cells):
        index = jnp.floor(at[:, i] / plan.width[i])
        if space.boundary == "open":
            index = index - cells * jnp.floor(index / cells)
        cell = cell * cells + jnp.clip(index, 0, cells - 1).astype(jnp.int32)
    return cell


def _windows(
    plan: Plan,
    row: jax.Array,
    left: jax.Array,
    right: jax.Array,
    real: jax.Array,
    starts: jax.Array,
) -> list[tuple[jax.Array, jax.Array]]:
    """Start and length of all contiguous windows, ``[B]`` each; a block's windows are disjoint."""
    wraps = plan.space.boundary != "reflecting"
    index, rest = [], row
    for cells in reversed(plan.cells[:-1]):
        index.insert(0, rest % cells)
        rest = rest // cells
    wide, pieces = plan.cells[-1], []
    whole = right - left + 1 >= wide
    low, high = jnp.where(whole, 0, left), jnp.where(whole, wide - 1, right)
    for shift in itertools.product((-1, 0, 1), repeat=len(index)):
        there, inside = jnp.zeros_like(row), real
        for i, step in enumerate(shift):
            moved = index[i] + step
            if wraps:
                moved = moved % plan.cells[i]
            else:
                inside = inside & (moved >= 0) & (moved < plan.cells[i])
            there = there * plan.cells[i] + moved
        base = jnp.where(inside, there * wide, 0)

        def piece(first: Any, after: Any, base: Any = base, inside: Any = inside) -> Any:
            start = starts[base + first]
            return start, jnp.where(inside, starts[base + after] - start, 0)

        pieces.append(piece(jnp.maximum(low, 0), jnp.minimum(high, wide - 1) + 1))
        if wraps:
            over = jnp.where(low < 0, wide + low, 0)
            until = jnp.where(low < 0, wide, jnp.maximum(high - wide + 1, 0))
            pieces.append(piece(over, until))
    return pieces


def _argsort(cell: jax.Array, cells: int) -> jax.Array:
    """Stable radix argsort; digit and rank share one word, as single words sort fastest."""
    n = len(cell)
    bits = max(1, (n - 1).bit_length())
    digit = 32 - bits
    rank = jnp.arange(n, dtype=jnp.uint32)
    rest, order = cell.astype(jnp.uint32), None
    for shift in range(0, max(1, (cells - 1).bit_length()), digit):
        part = (rest if order is None else rest[order]) >> shift
        word = jnp.sort(((part & jnp.uint32(2**digit - 1)) << bits) | rank)
        by = (word & jnp.uint32(2**bits - 1)).astype(jnp.int32)
        order = by if order is None else order[by]
    assert order is not None
    return order


def _loop(
    plan: Plan, windows: Sorted, look: Callable[[Any, jax.Array, jax.Array], Any], carry: Any
) -> Any:
    """Fold ``look(carry, rank, filled)`` over all slots; with a capacity, by a bounded scan."""
    longest = jnp.max(windows.total)

    def turn(carry: Any, first: jax.Array) -> Any:
        for k in (first + i for i in range(UNROLL)):
            shift = windows.shift[0]
            for begin, after in zip(windows.begins[1:], windows.shift[1:], strict=True):
                shift = jnp.where(k >= begin, after, shift)
            filled = k < windows.total
            if plan.capacity is not None:
                filled = filled & (k < plan.capacity)
            carry = look(carry, jnp.where(filled, shift + k, 0), filled)
        return carry

    if plan.capacity is None:
        steps = -(-longest // UNROLL)
        return forward_only(jax.lax.fori_loop(0, steps, lambda k, c: turn(c, UNROLL * k), carry))

    @jax.checkpoint
    def slots(carry: Any, k: jax.Array) -> tuple[Any, None]:
        return jax.lax.cond(k < longest, lambda c: turn(c, k), lambda c: c, carry), None

    return jax.lax.scan(slots, carry, jnp.arange(0, plan.capacity, UNROLL, dtype=jnp.int32))[0]


def _near(
    plan: Plan,
    windows: Sorted,
    own: list[jax.Array],
    limit: jax.Array,
    rank: jax.Array,
    filled: jax.Array,
) -> tuple[jax.Array, list[jax.Array]]:
    """Which of ``[L, B]`` have the candidate within reach, and the displacement's components."""
    offset = [
        plan.space.shorten(x[rank][None, :] - at, i)
        for i, (x, at) in enumerate(zip(windows.columns, own, strict=True))
    ]
    squared = sum(jnp.square(x) for x in offset)
    near = filled[None, :] & windows.sees & (squared <= limit)
    return near & (rank[None, :] != windows.mine), offset


def _overflow(plan: Plan, windows: Sorted) -> jax.Array:
    if plan.capacity is None:
        return jnp.int32(0)
    full = (windows.total > plan.capacity)[None, :] & windows.sees
    return jnp.sum(full, dtype=jnp.int32)


def reduce(
    plan: Plan,
    positions: jax.Array,
    fn: Callable[[PyTree, PyTree, jax.Array], PyTree],
    features: PyTree,
    op: str,
    reach: jax.Array,
    active: jax.Array | None,
) -> tuple[PyTree, jax.Array, jax.Array]:
    """Reduction of a function of each pair; see :meth:`jaxswarm.space.Search.reduce`."""
    safe, features, taking, flagged = usable(positions, features, active)
    windows = arrange(plan, safe, taking)
    order, mine, n = windows.order, windows.mine, len(windows.order)
    combine = OPERATIONS[op][1]
    limit = squared_reach(jnp.broadcast_to(reach, (n,)))[order][mine]
    at = [x[mine] for x in windows.columns]
    # One array per number of a feature: gathers of scalars are ten times faster than of rows.
    leaves, treedef = jax.tree.flatten(features)
    shapes = [jnp.shape(leaf)[1:] for leaf in leaves]
    parts = [[column[order] for column in jnp.asarray(leaf).reshape(n, -1).T] for leaf in leaves]

    def assemble(pick: Callable[[jax.Array], jax.Array], axes: tuple[int, ...]) -> Any:
        stacked = [
            jnp.stack([pick(column) for column in columns]).reshape(*shape, *axes)
            for columns, shape in zip(parts, shapes, strict=True)
        ]
        return jax.tree.unflatten(treedef, stacked)

    own = assemble(lambda column: column[mine], mine.shape)
    paired = jax.vmap(jax.vmap(fn, -1, -1), (-2, None, -2), -2)

    def look(carry: Any, rank: jax.Array, filled: jax.Array) -> Any:
        near, offset = _near(plan, windows, at, limit, rank, filled)
        other = assemble(lambda column: column[rank], rank.shape)
        # Far pairs get a harmless offset, so that their gradient is finite too.
        value = paired(own, other, jnp.stack([jnp.where(near, x, 1.0) for x in offset]))
        return jax.tree.map(
            lambda c, x: combine(
                c, jnp.where(jnp.broadcast_to(near, x.shape), x, neutral(op, x.dtype))
            ),
            carry,
            value,
        )

    blank = jax.eval_shape(
        paired, own, assemble(lambda column: column[mine[0]], mine.shape[1:]), jnp.stack(at)
    )
    start = jax.tree.map(lambda x: jnp.full(x.shape, neutral(op, x.dtype), x.dtype), blank)
    out = _loop(plan, windows, look, start)

    def restore(x: jax.Array) -> jax.Array:
        rows = x.reshape(*x.shape[:-2], -1)[..., windows.back]
        rows = jnp.where(jnp.broadcast_to(taking, rows.shape), rows, neutral(op, x.dtype))
        return jnp.moveaxis(rows, -1, 0)

    return jax.tree.map(restore, out), _overflow(plan, windows), flagged


def neighbors(
    plan: Plan, positions: jax.Array, slots: int, reach: jax.Array, active: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Lists of neighbours; see :meth:`jaxswarm.space.Search.neighbors`."""
    safe, _, taking, flagged = usable(positions, None, active)
    windows = arrange(plan, safe, taking)
    order, mine, n = windows.order, windows.mine, len(windows.order)
    limit = squared_reach(jnp.broadcast_to(reach, (n,)))[order][mine]
    at = [x[mine] for x in windows.columns]
    row = jnp.arange(mine.size, dtype=jnp.int32).reshape(mine.shape)

    def look(carry: Any, rank: jax.Array, filled: jax.Array) -> Any:
        lists, count = carry
        near, _ = _near(plan, windows, at, limit, rank, filled)
        slot = jnp.where(near, count, slots)
        agent = jnp.broadcast_to(order[rank][None, :], mine.shape)
        return lists.at[row, slot].set(agent, mode="drop"), count + near

    carry = jnp.zeros((mine.size, slots), order.dtype), jnp.zeros(mine.shape, jnp.int32)
    lists, count = _loop(plan, windows, look, carry)
    count = jnp.where(taking, count.reshape(-1)[windows.back], 0)
    lists = jnp.where(taking[:, None], lists[windows.back], 0)
    mask = jnp.arange(slots)[None, :] < count[:, None]
    full = jnp.sum(count > slots, dtype=jnp.int32)
    return lists, mask, jnp.maximum(full, _overflow(plan, windows)), flagged
