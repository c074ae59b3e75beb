"""Neighbour sums by all pairs: a matrix product if linear, else a blocked double loop.

Shapes: ``N`` agents, ``B`` agents of a block of rows.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.space._common import OPERATIONS, neutral, squared_reach, usable
from jaxswarm.space.domain import Space
from jaxswarm.types import PyTree

_BLOCK_PAIRS = 2**22


def weighted_sum(
    space: Space,
    positions: jax.Array,
    features: PyTree,
    weight: Callable[[jax.Array], jax.Array] | None,
    reach: jax.Array,
    active: jax.Array | None,
) -> tuple[PyTree, jax.Array, jax.Array]:
    """Sum of weighted features of the neighbours; see :meth:`jaxswarm.space.Search.sum`."""
    safe, features, taking, flagged = usable(positions, features, active)
    n = len(safe)
    leaves, treedef = jax.tree.flatten(features)
    columns = [jnp.asarray(leaf).reshape(n, -1) for leaf in leaves]
    table = jnp.where(taking[:, None], jnp.concatenate(columns, axis=1), 0.0)

    def rows(block: tuple[jax.Array, jax.Array, jax.Array, jax.Array]) -> jax.Array:
        at, number, sees, radius = block
        squared = _squared(space, at, safe)
        near = (squared <= squared_reach(radius)[:, None]) & taking[None, :]
        near = near & (number[:, None] != jnp.arange(n, dtype=jnp.int32)[None, :])
        value = near.astype(table.dtype)
        if weight is not None:
            value = jnp.where(near, weight(jnp.where(near, squared, 1.0)), 0.0)
        return jnp.where(sees[:, None], value @ table, 0.0)

    number = jnp.arange(n, dtype=jnp.int32)
    summed = _blocked(rows, (safe, number, taking, jnp.broadcast_to(reach, (n,))))
    split, start = [], 0
    for leaf, column in zip(leaves, columns, strict=True):
        part = summed[:, start : start + column.shape[1]]
        split.append(part.reshape(jnp.shape(leaf)))
        start += column.shape[1]
    return jax.tree.unflatten(treedef, split), jnp.int32(0), flagged


def reduce(
    space: Space,
    positions: jax.Array,
    fn: Callable[[PyTree, PyTree, jax.Array], PyTree],
    features: PyTree,
    op: str,
    reach: jax.Array,
    active: jax.Array | None,
) -> tuple[PyTree, jax.Array, jax.Array]:
    """Reduction of a function of each pair; see :meth:`jaxswarm.space.Search.reduce`."""
    safe, features, taking, flagged = usable(positions, features, active)
    n = len(safe)
    numbers = jnp.arange(n, dtype=jnp.int32)
    across = OPERATIONS[op][2]

    def row(at: Any, own: Any, number: Any, sees: Any, radius: Any) -> Any:
        def pair(other_at: Any, other: Any, other_number: Any, taking: Any) -> Any:
            offset = space.displacement(at, other_at)
            near = sees & taking & (other_number != number)
            near = near & (jnp.sum(jnp.square(offset)) <= squared_reach(radius))
            # Far pairs get a harmless offset, so that their gradient is finite too.
            value = jax.tree.map(jnp.asarray, fn(own, other, jnp.where(near, offset, 1.0)))
            return jax.tree.map(lambda x: jnp.where(near, x, neutral(op, x.dtype)), value)

        values = jax.vmap(pair)(safe, features, numbers, taking)
        return jax.tree.map(lambda x: across(x, axis=0), values)

    block = (safe, features, numbers, taking, jnp.broadcast_to(reach, (n,)))
    out = _blocked(lambda rows: jax.vmap(row)(*rows), block)
    return out, jnp.int32(0), flagged


def neighbors(
    space: Space, positions: jax.Array, slots: int, reach: jax.Array, active: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Lists of neighbours; see :meth:`jaxswarm.space.Search.neighbors`."""
    safe, _, taking, flagged = usable(positions, None, active)
    n = len(safe)
    numbers = jnp.arange(n, dtype=jnp.int32)

    def rows(block: Any) -> Any:
        at, number, sees, radius = block
        near = _squared(space, at, safe) <= squared_reach(radius)[:, None]
        near = near & (number[:, None] != numbers[None, :]) & taking[None, :] & sees[:, None]
        slot = jnp.where(near, jnp.cumsum(near, axis=1) - 1, slots)
        lists = jnp.zeros((len(at), slots), jnp.int32)
        row = jnp.arange(len(at))[:, None]
        lists = lists.at[row, slot].set(jnp.broadcast_to(numbers[None, :], near.shape), mode="drop")
        return lists, jnp.sum(near, axis=1, dtype=jnp.int32)

    lists, count = _blocked(rows, (safe, numbers, taking, jnp.broadcast_to(reach, (n,))))
    mask = jnp.arange(slots)[None, :] < count[:, None]
    return lists, mask, jnp.sum(count > slots, dtype=jnp.int32), flagged


def _squared(space: Space, one: jax.Array, two: jax.Array) -> jax.Array:
    parts = [
        jnp.square(space.shorten(two[None, :, i] - one[:, None, i], i))
        for i in range(space.dimensions)
    ]
    return sum(parts[1:], parts[0])


def _blocked(rows: Callable[[Any], Any], block: Any) -> Any:
    """Apply ``rows`` to all of ``block`` in pieces, so that pair arrays fit the cache."""
    n = len(jax.tree.leaves(block)[0])
    pieces = math.ceil(n * n / _BLOCK_PAIRS)
    if pieces <= 1:
        return rows(block)
    size = math.ceil(n / pieces)
    pad = size * pieces - n

    def cut(x: jax.Array) -> jax.Array:
        padded = jnp.concatenate([x, x[-1:].repeat(pad, axis=0)]) if pad else x
        return padded.reshape(pieces, size, *x.shape[1:])

    out = jax.lax.map(rows, jax.tree.map(cut, block))
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:])[:n], out)
