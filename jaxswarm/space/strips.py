"""Sorted strips: agents sorted into cells whose rows are contiguous, so neighbours are windows.

Cells are stored row by row. Whoever is within the radius lies in three rows (in the plane), and in
each row in a contiguous window of the sorted agents, two windows where a periodic box wraps.
Columns are a quarter of the radius wide, so a window is 2.25 radii long instead of 3. Slot ``k`` of
all windows is looked at together: gathers from consecutive memory, nothing of size ``[N, K]``.

Shapes: ``N`` agents, ``S`` strips per agent (``3^(d-1)``), ``C`` cells.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.space.domain import Space
from jaxswarm.space.pairs import usable

OPERATIONS: dict[str, tuple[float, Callable[..., Any], Callable[..., Any]]] = {
    "sum": (0.0, jnp.add, jnp.sum),
    "min": (jnp.inf, jnp.minimum, jnp.min),
    "max": (-jnp.inf, jnp.maximum, jnp.max),
}

_FINE = 4
_SLACK = 1.0 + 1e-4  # cells a hair wider than the radius: a rounded cell index is still enough


class Plan(NamedTuple):
    """Static sizes: cells per axis, columns a window reaches to each side, slots per strip."""

    space: Space
    cells: tuple[int, ...]
    reach: int
    capacity: int | None


class Sorted(NamedTuple):
    """Agents sorted by cell, and the windows ``[S, N]`` in which each looks."""

    order: jax.Array
    columns: list[jax.Array]
    sees: jax.Array
    start: list[jax.Array]
    first: list[jax.Array]
    jump: list[jax.Array]
    length: list[jax.Array]
    nonfinite: jax.Array


def fits(space: Space, radius: float) -> bool:
    """Whether there are enough cells that a periodic box does not look at one twice."""
    return space.boundary != "periodic" or all(s >= 3.01 * radius for s in space.sides)


def plan(space: Space, radius: float, num_agents: int, capacity: int | None) -> Plan:
    """Cells for a radius; at most about two per agent, as empty ones cost time too."""
    most = max(3, math.floor((2.0 * num_agents) ** (1.0 / space.dimensions)))
    rows = [min(max(1, math.floor(s / (radius * _SLACK))), most) for s in space.sides[:-1]]
    width = space.sides[-1] / (radius * _SLACK)
    left = max(1, (4 * num_agents + 64) // math.prod(rows))
    fine = next((f for f in (_FINE, 2) if math.floor(width * f) <= left), 1)
    columns = min(max(1, math.floor(width * fine)), max(3, left) if fine == 1 else left)
    return Plan(space, (*rows, columns), fine, capacity)


def arrange(plan: Plan, positions: jax.Array, active: jax.Array | None) -> Sorted:
    """Sort agents by cell and find everyone's windows."""
    space, cells = plan.space, plan.cells
    safe, taking, nonfinite = usable(positions, active)
    total = math.prod(cells)
    at = safe if space.boundary != "periodic" else space.wrap(safe)
    index = [
        jnp.clip(at[:, i] * (cells[i] / space.sides[i]), 0, cells[i] - 1).astype(jnp.int32)
        for i in range(len(cells))
    ]
    cell = index[0]
    for i in range(1, len(cells)):
        cell = cell * cells[i] + index[i]
    cell = jnp.where(taking, cell, total)
    order = _argsort(cell, total + 1)
    counts = jnp.zeros(total + 2, jnp.int32).at[cell + 1].add(1)
    starts = jnp.cumsum(counts)
    index = [i[order] for i in index]
    sees = taking[order]
    windows = [_window(plan, index, sees, starts, s) for s in _strips(plan)]
    start, first, jump, length = (list(part) for part in zip(*windows, strict=True))
    columns = [safe[:, i][order] for i in range(len(cells))]
    return Sorted(order, columns, sees, start, first, jump, length, nonfinite)


def _strips(plan: Plan) -> list[tuple[int, ...]]:
    return list(itertools.product((-1, 0, 1), repeat=len(plan.cells) - 1))


def _window(
    plan: Plan, index: list[jax.Array], sees: jax.Array, starts: jax.Array, shift: tuple[int, ...]
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Where a strip starts, length of its first part, where the second starts, whole length."""
    periodic = plan.space.boundary == "periodic"
    row, inside = jnp.zeros_like(index[0]), sees
    for i, step in enumerate(shift):
        moved = index[i] + step
        if periodic:
            moved = moved % plan.cells[i]
        else:
            inside = inside & (moved >= 0) & (moved < plan.cells[i])
        row = row * plan.cells[i] + moved
    last = plan.cells[-1]
    left, right = index[-1] - plan.reach, index[-1] + plan.reach
    base = jnp.where(inside, row * last, 0)
    start = starts[base + jnp.maximum(left, 0)]
    first = starts[base + jnp.minimum(right, last - 1) + 1] - start
    if not periodic:
        first = jnp.where(inside, first, 0)
        return start, first, start, first
    low = jnp.where(left < 0, last + left, 0)
    high = jnp.where(left < 0, last, jnp.maximum(right - last + 1, 0))
    second = starts[base + low]
    rest = starts[base + high] - second
    first, rest = jnp.where(inside, first, 0), jnp.where(inside, rest, 0)
    return start, first, second - first, first + rest


def _argsort(cell: jax.Array, cells: int) -> jax.Array:
    """Stable; agent and cell in one word where they fit, which sorts several times faster."""
    n = len(cell)
    if n * cells >= 2**32:
        return jnp.argsort(cell)
    packed = cell.astype(jnp.uint32) * jnp.uint32(n) + jnp.arange(n, dtype=jnp.uint32)
    return (jnp.sort(packed) % jnp.uint32(n)).astype(jnp.int32)


def _loop(plan: Plan, windows: Sorted, body: Callable[[Any, Any], Any], carry: Any) -> Any:
    """``body(carry, slot)`` for every slot; with a capacity, a scan that skips empty slots."""
    longest = jnp.max(jnp.stack([jnp.max(x) for x in windows.length]))
    if plan.capacity is None:
        return jax.lax.fori_loop(0, longest, lambda k, c: body(c, k), carry)

    def slot(carry: Any, k: jax.Array) -> tuple[Any, None]:
        return jax.lax.cond(k < longest, lambda c: body(c, k), lambda c: c, carry), None

    return jax.lax.scan(slot, carry, jnp.arange(plan.capacity, dtype=jnp.int32))[0]


def _candidate(
    plan: Plan, windows: Sorted, s: int, k: jax.Array, squared_reach: jax.Array
) -> tuple[jax.Array, jax.Array, list[jax.Array]]:
    """Slot ``k`` of strip ``s``: who, whether it counts, and the displacement's components."""
    n = len(windows.order)
    j = jnp.where(k < windows.first[s], windows.start[s], windows.jump[s]) + k
    j = jnp.clip(j, 0, n - 1)
    offset = [plan.space.shorten(x[j] - x, i) for i, x in enumerate(windows.columns)]
    squared = sum(jnp.square(x) for x in offset)
    near = (k < windows.length[s]) & (squared <= squared_reach)
    return j, near & (j != jnp.arange(n, dtype=jnp.int32)), offset


def _overflow(plan: Plan, windows: Sorted) -> jax.Array:
    if plan.capacity is None:
        return jnp.int32(0)
    longest = jnp.max(jnp.stack(windows.length), axis=0)
    return jnp.sum(longest > plan.capacity, dtype=jnp.int32)


def reduce(
    plan: Plan,
    positions: jax.Array,
    fn: Callable[[Any, Any, jax.Array], Any],
    features: Any,
    op: str,
    reach: jax.Array,
    active: jax.Array | None,
) -> tuple[Any, jax.Array, jax.Array]:
    """See :meth:`jaxswarm.space.Search.reduce`."""
    windows = arrange(plan, positions, active)
    order, n = windows.order, len(windows.order)
    empty, combine, _ = OPERATIONS[op]
    squared_reach = jnp.square(jnp.broadcast_to(reach, (n,)))[order]
    # One array per number of a feature: gathers of scalars are ten times faster than of rows.
    leaves, treedef = jax.tree.flatten(features)
    shapes = [jnp.shape(leaf)[1:] for leaf in leaves]
    parts = [[column[order] for column in jnp.asarray(leaf).reshape(n, -1).T] for leaf in leaves]

    def assemble(pieces: list[list[jax.Array]]) -> Any:
        stacked = [
            jnp.stack(columns).reshape(*shape, n)
            for columns, shape in zip(pieces, shapes, strict=True)
        ]
        return jax.tree.unflatten(treedef, stacked)

    own = assemble(parts)
    paired = jax.vmap(fn, in_axes=-1, out_axes=-1)

    def body(carry: Any, k: jax.Array) -> Any:
        for s in range(len(windows.start)):
            j, near, offset = _candidate(plan, windows, s, k, squared_reach)
            other = assemble([[column[j] for column in columns] for columns in parts])
            value = paired(own, other, jnp.stack([jnp.where(near, x, 1.0) for x in offset]))
            carry = jax.tree.map(
                lambda c, x, near=near: combine(
                    c, jnp.where(jnp.broadcast_to(near, x.shape), x, jnp.asarray(empty, x.dtype))
                ),
                carry,
                value,
            )
        return carry

    blank = jax.eval_shape(paired, own, own, jnp.stack(windows.columns))
    start = jax.tree.map(lambda x: jnp.full(x.shape, empty, x.dtype), blank)
    out = _loop(plan, windows, body, start)
    back = (
        jnp.zeros_like(order).at[order].set(jnp.arange(n, dtype=order.dtype), unique_indices=True)
    )
    out = jax.tree.map(lambda x: jnp.moveaxis(x[..., back], -1, 0), out)
    return out, _overflow(plan, windows), windows.nonfinite


def neighbours(
    plan: Plan, positions: jax.Array, slots: int, reach: jax.Array, active: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """See :meth:`jaxswarm.space.Search.neighbours`."""
    windows = arrange(plan, positions, active)
    order, n = windows.order, len(windows.order)
    squared_reach = jnp.square(jnp.broadcast_to(reach, (n,)))[order]
    row = jnp.arange(n)

    def body(carry: Any, k: jax.Array) -> Any:
        lists, count = carry
        for s in range(len(windows.start)):
            j, near, _ = _candidate(plan, windows, s, k, squared_reach)
            slot = jnp.where(near, count, slots)
            lists = lists.at[row, slot].set(order[j], mode="drop")
            count = count + near
        return lists, count

    carry = jnp.zeros((n, slots), order.dtype), jnp.zeros(n, jnp.int32)
    lists, count = _loop(plan, windows, body, carry)
    lists = jnp.zeros_like(lists).at[order].set(lists)
    count = jnp.zeros_like(count).at[order].set(count)
    mask = jnp.arange(slots)[None, :] < count[:, None]
    full = jnp.sum(count > slots, dtype=jnp.int32)
    return lists, mask, jnp.maximum(full, _overflow(plan, windows)), windows.nonfinite
