"""Halo exchange: each device receives the rows of other devices' agents that its edges need.

Devices exchange rows by *shifts*: by shift ``d`` device ``i`` gets rows of device ``i + d``. One
``ppermute`` per shift carries just the rows that edges between these two devices need, each row
once however many edges need it (padded to the longest list of that shift).

Shapes: ``N`` agents, ``D`` devices, ``n = N/D`` agents here, ``K`` slots, ``T`` members of a
    sequence, ``S`` rows sent by one shift.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.gossip._operator import Mixing, accumulator, total, weighted
from jaxswarm.gossip.regular_layouts import Circulant, Dense, Mean, mean_of_others, product
from jaxswarm.gossip.sparse_layouts import Bucket, Gather, gather_sum


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Halo:
    """Exchange lists for a gather layout, built on the host.

    Attributes:
        sends: per shift ``int32[..., D, S]``; row ``i`` lists the agents of device ``i`` whose rows
            it sends, numbered within the device.
        sources: per bucket ``int32[..., D R, K]``, position of each slot's row in ``[own rows;
            received rows]``.
        rows: per bucket ``int32[D R]``, the receiver numbered within its device, ``n`` on padding;
            ``None`` if the bucket is all agents in order.
        shifts: the shifts, static.
    """

    sends: tuple[Any, ...]
    sources: tuple[Any, ...]
    rows: tuple[Any, ...]
    shifts: tuple[int, ...] = field(metadata={"static": True})


def receive(whole: Mixing, halo: Halo | None, messages: jax.Array, axis: str, shards: int) -> Any:
    """Compute ``Σ_{j≠i} w_ij m_j`` for the agents of this device.

    Args:
        whole: this device's part of the operator's arrays.
        halo: its part of the lists (gather layouts only).
        messages: ``[n, ...]``, what this device's agents send.
        axis: name of the mapped axis.
        shards: ``D``.
    """
    if isinstance(whole, Circulant):
        return _circulant(whole, messages, axis, shards)
    if isinstance(whole, Gather):
        assert halo is not None
        return _gather(whole, halo, messages, axis, shards)
    if isinstance(whole, Dense):
        flat = messages.reshape(messages.shape[0], -1)
        gathered = jax.lax.all_gather(flat, axis, tiled=True)
        gathered = gathered.astype(accumulator(messages))
        summed = product(whole.off_diagonal.astype(gathered.dtype), gathered)
        return summed.reshape(messages.shape)
    assert isinstance(whole, Mean)

    def over_devices(values: jax.Array) -> jax.Array:
        return jax.lax.psum(total(values), axis)

    return mean_of_others(messages, whole.num_agents, whole.active, over_devices, own_apart=False)


def fetch(messages: jax.Array, shift: int, axis: str, shards: int) -> jax.Array:
    """Receive the ``messages`` of device ``i + shift``."""
    if jnp.issubdtype(messages.dtype, jnp.floating) and messages.dtype.itemsize == 2:
        return _fetch_words(messages, shift, axis, shards)
    return jax.lax.ppermute(messages, axis, [((i + shift) % shards, i) for i in range(shards)])


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def _fetch_words(messages: jax.Array, shift: int, axis: str, shards: int) -> jax.Array:
    """Fetch 16-bit floats as integers: XLA's CPU backend would send them as float32."""
    words = jax.lax.bitcast_convert_type(messages, jnp.uint16)
    return jax.lax.bitcast_convert_type(fetch(words, shift, axis, shards), messages.dtype)


@_fetch_words.defjvp
def _fetch_words_jvp(shift: int, axis: str, shards: int, primals: Any, tangents: Any) -> Any:
    (messages,), (tangent,) = primals, tangents
    moved = fetch(tangent.astype(jnp.float32), shift, axis, shards)
    return _fetch_words(messages, shift, axis, shards), moved.astype(tangent.dtype)


def _circulant(whole: Circulant, messages: jax.Array, axis: str, shards: int) -> jax.Array:
    n = messages.shape[0]
    pieces = [circulant_pieces(hop, n, shards) for hop in whole.offsets]
    got = {0: (messages, messages)}  # shift -> (rows from the first on, rows up to the last)
    for shift in sorted({shift for piece in pieces for shift, _, _ in piece} - {0}):
        ranges = [r[1:] for piece in pieces for r in piece if r[0] == shift]
        head = max((stop for start, stop in ranges if start == 0), default=0)
        tail = min((start for start, stop in ranges if stop == n), default=n)
        if head >= tail:
            whole_block = fetch(messages, shift, axis, shards)
            got[shift] = (whole_block, whole_block)
        else:
            first = fetch(messages[:head], shift, axis, shards) if head else messages[:0]
            last = fetch(messages[tail:], shift, axis, shards) if tail < n else messages[:0]
            got[shift] = (first, last)
    total = jnp.zeros(messages.shape, accumulator(messages))
    for piece, weights in zip(pieces, whole.weights, strict=True):
        parts = []
        for shift, start, stop in piece:
            head, tail = got[shift]
            parts.append(head[:stop] if start == 0 else tail[tail.shape[0] - (n - start) :])
        received = parts[0] if len(parts) == 1 else jnp.concatenate(parts)
        total = total + weighted(weights, received, whole.selects)
    return total


def circulant_pieces(hop: int, n: int, shards: int) -> list[tuple[int, int, int]]:
    """List ``(shift, first row, last row + 1)`` of the blocks that hold all rows at ``hop``."""
    shift, start = divmod(hop % (n * shards), n)
    pieces = [(shift % shards, start, n)]
    if start:
        pieces.append(((shift + 1) % shards, 0, start))
    return pieces


def _gather(whole: Gather, halo: Halo, messages: jax.Array, axis: str, shards: int) -> jax.Array:
    received = [
        fetch(messages[sent[0]], shift, axis, shards)
        for shift, sent in zip(halo.shifts, halo.sends, strict=True)
    ]
    known = jnp.concatenate([messages, *received]) if received else messages
    total = None
    for bucket, sources, receivers in zip(whole.buckets, halo.sources, halo.rows, strict=True):
        part = gather_sum(sources, bucket.weights, known, whole.selects)
        if receivers is None:
            return part
        if total is None:
            total = jnp.zeros(messages.shape, accumulator(messages))
        total = total.at[receivers].set(part, mode="drop")
    return jnp.zeros(messages.shape, accumulator(messages)) if total is None else total


def gather_halo(whole: Gather, shards: int) -> tuple[Gather, Halo]:
    """Split the buckets of an operator by device and list what devices exchange, on the host."""
    n = whole.num_agents // shards
    buckets, rows = [], []
    for bucket in whole.buckets:
        bucket = jax.tree.map(np.asarray, bucket)
        if bucket.rows is not None:
            bucket, local = _split_bucket(bucket, n, shards)
            rows.append(local)
        else:
            rows.append(None)
        buckets.append(bucket)
    members = whole.self_weights.shape[0] if whole.is_sequence else None
    tables = [
        [b.neighbors if members is None else b.neighbors[t] for b in buckets]
        for t in range(members or 1)
    ]
    plans = [_plan(neighbors, n, shards) for neighbors in tables]
    shifts = sorted({shift for lists, _ in plans for shift in lists})
    widths = {s: max(lists[s].shape[1] for lists, _ in plans if s in lists) for s in shifts}
    starts = dict(zip(shifts, n + np.cumsum([0, *widths.values()]), strict=False))
    table = np.zeros(shards, np.int64)
    for shift, start in starts.items():
        table[shift] = start
    sends, sources = [], []
    for lists, slots in plans:
        padded = []
        for shift in shifts:
            out = np.zeros((shards, widths[shift]), np.int32)
            if shift in lists:
                out[:, : lists[shift].shape[1]] = np.roll(lists[shift], shift, axis=0)
            padded.append(out)
        sends.append(padded)
        # shift 0 is the device's own rows, which come first
        sources.append([(table[shift] + rank).astype(np.int32) for shift, rank in slots])
    if members is None:
        joined_sends, joined_sources = tuple(sends[0]), tuple(sources[0])
    else:
        joined_sends = tuple(np.stack(x) for x in zip(*sends, strict=True))
        joined_sources = tuple(np.stack(x) for x in zip(*sources, strict=True))
    padded = any(bucket.rows is not None for bucket in whole.buckets)
    split = replace(whole, buckets=tuple(buckets), selects=whole.selects or padded)
    return split, Halo(joined_sends, joined_sources, tuple(rows), tuple(int(s) for s in shifts))


def _split_bucket(bucket: Any, n: int, shards: int) -> tuple[Bucket, np.ndarray]:
    """Group the agents of a bucket by device, padded to the largest group (weight 0)."""
    device = bucket.rows // n
    counts = np.bincount(device, minlength=shards)
    width = int(counts.max())
    slot = np.arange(len(device)) - np.searchsorted(device, device)
    place = np.full((shards, width), -1)
    place[device, slot] = np.arange(len(device))
    place = place.ravel()
    real = place >= 0
    stand_in = np.repeat(np.arange(shards) * n, width)
    rows = np.where(real, bucket.rows[place], stand_in)
    wide = real[:, None]
    split = Bucket(
        rows.astype(np.int32),
        np.where(wide, bucket.neighbors[place], stand_in[:, None]).astype(np.int32),
        np.where(wide, bucket.weights[place], 0.0).astype(bucket.weights.dtype),
        np.where(wide, bucket.edges[place], 0).astype(np.int32),
    )
    return split, np.where(real, rows % n, n).astype(np.int32)


def _plan(
    tables: list[np.ndarray], n: int, shards: int
) -> tuple[dict[int, np.ndarray], list[tuple[np.ndarray, np.ndarray]]]:
    """Plan the exchange: rows to send by shift, and the place of every slot's row.

    A bucket's ``[D R, K]`` slots belong to device ``0`` (its first ``R`` rows), ``1``, and so on.

    Returns:
        ``({shift: rows [D, S] that each device receives}, per bucket (shift, rank) of each slot)``.
    """
    codes, homes = [], []
    for table in tables:
        home = np.repeat(np.arange(shards), table.shape[0] // shards)[:, None]
        home = np.broadcast_to(home, table.shape)
        homes.append(home)
        codes.append(home.astype(np.int64) * (n * shards) + table)
    remote = [c[t // n != h] for c, t, h in zip(codes, tables, homes, strict=True)]
    needed = np.unique(np.concatenate(remote)) if remote else np.zeros(0, np.int64)
    group = needed // n  # receiving device, sending device
    first = np.searchsorted(group, group)
    rank = np.arange(len(needed)) - first
    home, other = group // shards, group % shards
    shift = (other - home) % shards
    lists: dict[int, np.ndarray] = {}
    for s in np.unique(shift):
        chosen = shift == s
        out = np.zeros((shards, int(rank[chosen].max()) + 1), np.int32)
        out[home[chosen], rank[chosen]] = needed[chosen] % n
        lists[int(s)] = out
    slots = []
    for table, code, home in zip(tables, codes, homes, strict=True):
        where = np.minimum(np.searchsorted(needed, code), max(len(needed) - 1, 0))
        far = (table // n - home) % shards
        slots.append((far, np.where(far == 0, table % n, rank[where] if len(rank) else 0)))
    return lists, slots
