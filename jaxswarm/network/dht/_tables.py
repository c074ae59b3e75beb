"""Routing tables of Kademlia: for every length of common prefix, some peers that share it.

Shapes: ``N`` peers, ``B`` buckets, ``k`` peers in a bucket, ``W`` words.

References:
    P. Maymounkov, D. Mazières, Kademlia: a peer-to-peer information system based on the XOR metric,
    2002.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.network.dht._ids import ROUTED_WORDS, identifiers
from jaxswarm.types import ArrayLike, Key


class RoutingTable(NamedTuple):
    """Routing tables of all peers.

    Attributes:
        ids: ``uint32[N, W]``.
        buckets: ``int32[N, B, k]``, peers that share exactly ``b`` leading bits with the owner;
            -1 where a bucket has fewer than ``k``.
    """

    ids: jax.Array
    buckets: jax.Array


def routing_table(key: Key, ids: ArrayLike, *, k: int = 20) -> RoutingTable:
    """Fill the tables of a network in which peers have been long enough to know each other.

    A bucket holds all peers of its range if they are ``k`` or fewer, else a uniform choice of
    ``k``. Built on the host in O(N log N).

    Args:
        key: consumed.
        ids: ``uint32[N, W]``, concrete, different in their first 64 bits, with at least two peers.
        k: size of a bucket, at least 1; 20 in Kademlia and libp2p.

    Raises:
        ValueError: duplicate identifiers, fewer than two peers, or ``k < 1``.

    Example:
        >>> import jax
        >>> from jaxswarm.network import dht
        >>> ids = dht.random_ids(jax.random.key(0), 100)
        >>> table = dht.routing_table(jax.random.key(1), ids, k=4)
        >>> table.buckets.shape[0], table.buckets.shape[2]
        (100, 4)
    """
    checks.key(key)
    k = checks.whole("k", k, 1)
    checks.concrete("ids", ids)
    words = np.asarray(identifiers("ids", ids))
    if words.ndim != 2 or len(words) < 2:
        raise ValueError(f"ids: expected a shape [N, W] of at least two peers, got {words.shape}")
    prefixes = leading_bits(words)
    order = np.argsort(prefixes)
    ranked = prefixes[order]
    if (ranked[1:] == ranked[:-1]).any():
        raise ValueError(
            "ids: expected identifiers that differ in their first 64 bits, got duplicates"
        )
    shared = _shared_bits(ranked[1:], ranked[:-1])  # of neighbours in rank: the most of any pair
    rng = np.random.default_rng(np.asarray(jax.random.bits(key, (4,), jnp.uint32)))
    buckets = np.full((len(words), int(shared.max()) + 1, k), -1, np.int32)
    for bit in range(buckets.shape[1]):
        low, high = _ranges(ranked, prefixes, bit)
        buckets[:, bit] = _choose(rng, low, high, k, order)
    return RoutingTable(jnp.asarray(words), jnp.asarray(buckets))


def leading_bits(ids: np.ndarray) -> np.ndarray:
    """The first 64 bits of identifiers, ``uint64[N]``."""
    words = np.zeros((len(ids), ROUTED_WORDS), np.uint64)
    words[:, : ids.shape[1]] = ids[:, :ROUTED_WORDS]
    return (words[:, 0] << np.uint64(32)) | words[:, 1]


def _shared_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Number of leading bits that two ``uint64`` share."""
    different = first ^ second
    count = np.zeros(different.shape, np.int64)
    for width in (32, 16, 8, 4, 2, 1):
        small = different < (np.uint64(1) << np.uint64(64 - width))
        count += np.where(small, width, 0)
        different = np.where(small, different << np.uint64(width), different)
    return count


def _ranges(ranked: np.ndarray, prefixes: np.ndarray, bit: int) -> tuple[np.ndarray, np.ndarray]:
    """Ranks of the peers that share exactly ``bit`` leading bits with each peer."""
    shift = np.uint64(63 - bit)
    sibling = (prefixes >> shift) ^ np.uint64(1)
    last = sibling == (np.uint64(2**64 - 1) >> shift)
    low = np.searchsorted(ranked, sibling << shift)
    above = np.where(last, np.uint64(0), (sibling + np.uint64(1)) << shift)
    return low, np.where(last, len(ranked), np.searchsorted(ranked, above))


def _choose(
    rng: np.random.Generator, low: np.ndarray, high: np.ndarray, k: int, order: np.ndarray
) -> np.ndarray:
    """Uniform choices of ``k`` of the ranks ``low … high - 1``, or all of them; as peers."""
    size = high - low
    chosen = np.full((len(low), k), -1, np.int64)
    for slot in range(k):  # Floyd's algorithm, all peers at once
        top = np.maximum(size - k, 0) + slot  # the largest offset that may be drawn now
        draw = rng.integers(0, top + 1)
        taken = (chosen[:, :slot] == draw[:, None]).any(axis=1)
        offset = np.where(size <= k, slot, np.where(taken, top, draw))
        chosen[:, slot] = np.where(slot < size, offset, -1)
    ranks = np.where(chosen >= 0, low[:, None] + chosen, 0)
    return np.where(chosen >= 0, order[ranks], -1).astype(np.int32)
