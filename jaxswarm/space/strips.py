"""Neighbour sums by a sorted cell list whose rows are contiguous windows of agents.

Cells are stored row by row. Agents next to each other in a row form blocks; all agents within the
radius of a block lie in three rows (in the plane), and in each row in a contiguous window of the
sorted agents, or two where the box wraps. Blocks are ordered by their number of candidates and cut
into groups, so that a group is done when its own longest window is. It is processed in turns: a
tensor ``[blocks, agents of a block, candidates]`` of pairs that stays in the cache, and sums over
its last axis; nothing is of size ``[N, K]``. Columns are a quarter of the radius wide, so that
windows are short.

An open space has no cells of its own: the grid repeats periodically, and agents many boxes apart
share a cell but are too far apart to interact, so a swarm may drift arbitrarily far.

Shapes: ``N`` agents, ``L`` agents of a block, ``G`` groups of ``B`` blocks, ``M`` candidates.
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

LANES = 8
"""Agents per block: fewer test fewer candidates out of range, more share a gather."""
CANDIDATES = 32
"""Candidates per turn; XLA splits longer sums into several kernels."""
BLOCKS = 128
"""Blocks per group at most: fewer waste fewer turns on short windows and fit the cache."""

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


class Blocks(NamedTuple):
    """Blocks of agents with their candidate windows; without the leading ``G`` within a group.

    Attributes:
        mine: ``[G, B, L]``, rank of a block's agents in the sorted order.
        sees: ``bool[G, B, L]``, false for padding and for agents that do not take part.
        begins: list of ``[G, B]``, the slot at which a block's next window begins.
        shift: list of ``[G, B]``, added to a slot of that window to get a rank.
        total: ``[G, B]``, slots of all windows.
    """

    mine: jax.Array
    sees: jax.Array
    begins: list[jax.Array]
    shift: list[jax.Array]
    total: jax.Array


class Sorted(NamedTuple):
    """Agents sorted by cell and cut into blocks.

    Attributes:
        order: ``[N]``, agents in the order of their cells.
        columns: list of ``[N]``, sorted coordinates.
        blocks: groups of blocks, those with the most candidates first.
        back: ``[N]``, index of agent ``i`` in a raveled ``[G, B, L]``.
    """

    order: jax.Array
    columns: list[jax.Array]
    blocks: Blocks
    back: jax.Array


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
    mine = head[:, None] + jnp.arange(LANES, dtype=jnp.int32)[None, :]
    sees = mine < tail[:, None]
    mine = jnp.minimum(mine, n - 1)

    sorted_cell = cell[order]
    here = jnp.minimum(sorted_cell // wide, rows - 1)
    within = jnp.arange(n, dtype=jnp.int32) - bounds[here]
    block = (ends - blocks)[here] + within // LANES

    column = sorted_cell % wide
    left = column[jnp.minimum(head, n - 1)] - plan.reach
    right = column[jnp.maximum(tail - 1, 0)] + plan.reach
    windows = _windows(plan, row, left, right, tail > head, starts)
    begins, shift, reached = [], [], jnp.zeros_like(head)
    for start, length in windows:
        begins.append(reached)
        shift.append(start - reached)
        reached = reached + length
    by = _argsort(n - reached, n + 1)
    place = jnp.zeros(most, jnp.int32).at[by].set(number, unique_indices=True)
    flat = place[jnp.clip(block, 0, most - 1)] * LANES + within % LANES
    back = jnp.zeros(n, jnp.int32).at[order].set(flat, unique_indices=True)
    back = jnp.where(taking, back, 0)

    size = min(BLOCKS, most)
    groups = -(-most // size)

    def cut(x: jax.Array) -> jax.Array:
        pad = jnp.zeros((groups * size - most, *x.shape[1:]), x.dtype)
        return jnp.concatenate([x[by], pad]).reshape(groups, size, *x.shape[1:])

    columns = [positions[:, i][order] for i in range(len(cells))]
    groups_of = jax.tree.map(cut, Blocks(mine, sees, begins, shift, reached))
    return Sorted(order, columns, groups_of, back)


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


def _fold(plan: Plan, blocks: Blocks, begin: Callable[[Blocks], tuple[Any, Callable]]) -> Any:
    """Fold all slots of each group, leaves ``[G, ...]``; with a capacity, by a bounded scan.

    ``begin(group)`` gives a carry and ``look(carry, rank, filled) -> carry`` of ``[B, M]`` slots.
    """

    def group(blocks: Blocks) -> Any:
        longest, (start, look) = jnp.max(blocks.total), begin(blocks)

        def turn(carry: Any, first: jax.Array) -> Any:
            k = first + jnp.arange(CANDIDATES, dtype=jnp.int32)[None, :]
            shift = blocks.shift[0][:, None]
            for at, after in zip(blocks.begins[1:], blocks.shift[1:], strict=True):
                shift = jnp.where(k >= at[:, None], after[:, None], shift)
            filled = k < blocks.total[:, None]
            if plan.capacity is not None:
                filled = filled & (k < plan.capacity)
            return look(carry, jnp.where(filled, shift + k, 0), filled)

        if plan.capacity is None:
            turns = -(-longest // CANDIDATES)
            return jax.lax.fori_loop(0, turns, lambda t, c: turn(c, CANDIDATES * t), start)

        @jax.checkpoint
        def slots(carry: Any, k: jax.Array) -> tuple[Any, None]:
            return jax.lax.cond(k < longest, lambda c: turn(c, k), lambda c: c, carry), None

        firsts = jnp.arange(0, plan.capacity, CANDIDATES, dtype=jnp.int32)
        return jax.lax.scan(slots, start, firsts)[0]

    out = jax.lax.map(group, blocks)
    return forward_only(out) if plan.capacity is None else out


def _pairs(
    plan: Plan, windows: Sorted, limit: jax.Array, blocks: Blocks
) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, list[jax.Array]]]:
    """Which pairs ``[B, L, M]`` of a group are within reach, and the displacement's components."""
    mine = blocks.mine
    own = [x[mine][:, :, None] for x in windows.columns]
    most = jnp.where(blocks.sees, limit[mine], -1.0)[:, :, None]

    def near(rank: jax.Array, filled: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        offset = [
            _shorten(plan.space, x[rank][:, None, :] - at, i)
            for i, (x, at) in enumerate(zip(windows.columns, own, strict=True))
        ]
        within = sum(jnp.square(x) for x in offset) <= most
        itself = rank[:, None, :] == mine[:, :, None]
        return filled[:, None, :] & within & ~itself, offset

    return near


def _shorten(space: Space, offset: jax.Array, axis: int) -> jax.Array:
    """:meth:`Space.shorten` without its division; different only far beyond any radius."""
    if space.boundary != "periodic":
        return offset
    side = space.sides[axis]
    return offset - side * jnp.round(offset * (1.0 / side))


def _overflow(plan: Plan, windows: Sorted) -> jax.Array:
    if plan.capacity is None:
        return jnp.int32(0)
    full = (windows.blocks.total > plan.capacity)[:, :, None] & windows.blocks.sees
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
    order, n = windows.order, len(windows.order)
    combine, across = OPERATIONS[op][1:]
    limit = squared_reach(jnp.broadcast_to(reach, (n,)))[order]
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

    one = jax.vmap(fn, (None, -1, -1), -1)  # of M candidates, then L agents, then B blocks
    paired = jax.vmap(jax.vmap(one, (-1, None, -2), -2), (-2, -2, -3), -3)

    def begin(blocks: Blocks) -> tuple[Any, Callable]:
        mine, near_pairs = blocks.mine, _pairs(plan, windows, limit, blocks)
        own = assemble(lambda column: column[mine], mine.shape)

        def values(rank: jax.Array, filled: jax.Array) -> Any:
            near, offset = near_pairs(rank, filled)
            other = assemble(lambda column: column[rank], rank.shape)
            # Far pairs get a harmless offset, so that their gradient is finite too.
            value = paired(own, other, jnp.stack([jnp.where(near, x, 1.0) for x in offset]))
            value = jax.tree.map(lambda x: jnp.where(near, x, neutral(op, x.dtype)), value)
            return jax.tree.map(lambda x: across(x, axis=-1).astype(x.dtype), value)

        def look(carry: Any, rank: jax.Array, filled: jax.Array) -> Any:
            return jax.tree.map(combine, carry, values(rank, filled))

        blank = jax.eval_shape(values, mine, blocks.sees)
        start = jax.tree.map(lambda x: jnp.full(x.shape, neutral(op, x.dtype), x.dtype), blank)
        return start, look

    out = _fold(plan, windows.blocks, begin)

    def restore(x: jax.Array) -> jax.Array:
        x = jnp.moveaxis(x, 0, -3)
        rows = x.reshape(*x.shape[:-3], -1)[..., windows.back]
        rows = jnp.where(jnp.broadcast_to(taking, rows.shape), rows, neutral(op, x.dtype))
        return jnp.moveaxis(rows, -1, 0)

    return jax.tree.map(restore, out), _overflow(plan, windows), flagged


def neighbors(
    plan: Plan, positions: jax.Array, slots: int, reach: jax.Array, active: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Lists of neighbours; see :meth:`jaxswarm.space.Search.neighbors`."""
    safe, _, taking, flagged = usable(positions, None, active)
    windows = arrange(plan, safe, taking)
    limit = squared_reach(jnp.broadcast_to(reach, (len(positions),)))[windows.order]

    def begin(blocks: Blocks) -> tuple[Any, Callable]:
        mine, near_pairs = blocks.mine, _pairs(plan, windows, limit, blocks)
        block, lane, _ = jnp.ix_(*map(jnp.arange, (*mine.shape, 1)))

        def look(carry: Any, rank: jax.Array, filled: jax.Array) -> Any:
            lists, count = carry
            near, _ = near_pairs(rank, filled)
            before = count[:, :, None] + jnp.cumsum(near, axis=2, dtype=jnp.int32)
            slot = jnp.where(near, before - 1, slots)
            agent = jnp.broadcast_to(windows.order[rank][:, None, :], near.shape)
            return lists.at[block, lane, slot].set(agent, mode="drop"), before[:, :, -1]

        lists = jnp.zeros((*mine.shape, slots), windows.order.dtype)
        return (lists, jnp.zeros(mine.shape, jnp.int32)), look

    lists, count = _fold(plan, windows.blocks, begin)
    count = jnp.where(taking, count.reshape(-1)[windows.back], 0)
    lists = jnp.where(taking[:, None], lists.reshape(-1, slots)[windows.back], 0)
    mask = jnp.arange(slots)[None, :] < count[:, None]
    full = jnp.sum(count > slots, dtype=jnp.int32)
    return lists, mask, jnp.maximum(full, _overflow(plan, windows)), flagged
