"""Records at the peers closest to their keys: quorums, expiry, and several writers of one key.

A key is stored at the ``k`` peers that a lookup found. Every writer has a subkey of its own, so
writers do not overwrite each other; of one subkey the highest version wins.

Shapes: ``N`` peers, ``M`` keys, ``S`` subkeys of a key, ``k`` holders.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike

QUORUMS = ("one", "majority", "all")


class Records(NamedTuple):
    """What all peers store.

    Attributes:
        value: ``int32[N, M, S]``, such as a peer or an index of content.
        version: ``int32[N, M, S]``, 0 where nothing is stored.
        expires: ``float32[N, M, S]``, time from which a record counts no more.
    """

    value: jax.Array
    version: jax.Array
    expires: jax.Array


class Answer(NamedTuple):
    """What :func:`get` found of one key.

    Attributes:
        value: ``int32[S]``.
        version: ``int32[S]``, 0 where no holder had a record.
        reached: ``bool[]``, as many holders answered as the quorum asks for.
    """

    value: jax.Array
    version: jax.Array
    reached: jax.Array


def records(num_peers: int, num_keys: int, num_subkeys: int = 1) -> Records:
    """Empty stores.

    Args:
        num_peers: ``N``.
        num_keys: ``M``.
        num_subkeys: ``S``, writers of a key.

    Raises:
        ValueError: sizes below 1.
    """
    shape = tuple(
        checks.whole(name, size, 1)
        for name, size in (
            ("num_peers", num_peers),
            ("num_keys", num_keys),
            ("num_subkeys", num_subkeys),
        )
    )
    zeros = jnp.zeros(shape, jnp.int32)
    return Records(zeros, zeros, jnp.zeros(shape))


def quorum_size(quorum: str, holders: int) -> int:
    """Answers that a quorum asks for, of a number of holders.

    Raises:
        ValueError: for an unknown quorum, or fewer than one holder.

    Example:
        >>> from jaxswarm.network import dht
        >>> [dht.quorum_size(quorum, 20) for quorum in dht.QUORUMS]
        [1, 11, 20]
    """
    checks.choice("quorum", quorum, QUORUMS)
    count = checks.whole("holders", holders, 1)
    return {"one": 1, "majority": count // 2 + 1, "all": count}[quorum]


def put(
    store: Records,
    key: ArrayLike,
    holders: ArrayLike,
    value: ArrayLike,
    *,
    version: ArrayLike,
    now: ArrayLike,
    lifetime: ArrayLike,
    subkey: ArrayLike = 0,
    alive: ArrayLike | None = None,
    quorum: str = "one",
) -> tuple[Records, jax.Array]:
    """Store a record at the holders of its key that are there.

    Args:
        store: of :func:`records`.
        key: ``int32[]``, in ``0 … M - 1``.
        holders: ``int32[k]``, peers found by a lookup; -1 for none.
        value: ``int32[]``.
        version: ``int32[]``, at least 1; a holder keeps what it has of a later version.
        now: time of the call.
        lifetime: above 0; the record expires at ``now + lifetime``.
        subkey: ``int32[]``, of the writer.
        alive: ``bool[N]``; all are there if omitted.
        quorum: name in :data:`QUORUMS`.

    Returns:
        The stores, and ``bool[]``, whether the quorum was reached. Without it nothing is stored.

    Raises:
        ValueError: numbers out of range, a lifetime that is not positive, an unknown quorum.
    """
    keys, writer, where, there = _addressed(store, key, subkey, holders, alive)
    version = jnp.asarray(checks.wholes("version", version, 1, shape=()))
    value = jnp.asarray(checks.wholes("value", value, -checks.LARGEST, shape=()))
    expires = checks.real("now", now) + checks.real("lifetime", lifetime, above=0.0)
    reached = jnp.sum(there) >= quorum_size(quorum, where.shape[0])
    n = store.value.shape[0]
    newer = store.version[where, keys, writer] <= version
    target = jnp.where(there & newer & reached, where, n)

    def leaf(stored: jax.Array, new: jax.Array) -> jax.Array:
        return stored.at[target, keys, writer].set(new.astype(stored.dtype), mode="drop")

    new = Records(value, version, jnp.asarray(expires, jnp.float32))
    return jax.tree.map(leaf, store, new), reached


def get(
    store: Records,
    key: ArrayLike,
    holders: ArrayLike,
    *,
    now: ArrayLike,
    alive: ArrayLike | None = None,
    quorum: str = "one",
) -> Answer:
    """Read all subkeys of a key: of each, the latest record that has not expired.

    Args:
        store: of :func:`records`.
        key: ``int32[]``.
        holders: ``int32[k]``, -1 for none.
        now: time of the call.
        alive: ``bool[N]``; all are there if omitted.
        quorum: name in :data:`QUORUMS`; as many of the ``k`` holders must answer.

    Raises:
        ValueError: as :func:`put`.
    """
    keys, _, where, there = _addressed(store, key, 0, holders, alive)
    held = jax.tree.map(lambda x: x[where, keys], store)  # [k, S]
    fresh = there[:, None] & (held.version > 0) & (checks.real("now", now) < held.expires)
    version = jnp.where(fresh, held.version, 0)
    best = jnp.argmax(version, axis=0)

    def latest(x: jax.Array) -> jax.Array:
        return jnp.take_along_axis(x, best[None, :], axis=0)[0]

    reached = jnp.sum(there) >= quorum_size(quorum, where.shape[0])
    version = jnp.where(reached, latest(version), 0)
    return Answer(jnp.where(version > 0, latest(held.value), 0), version, reached)


def expire(store: Records, now: ArrayLike) -> Records:
    """Delete the records whose time is over.

    Args:
        store: of :func:`records`.
        now: time of the call.

    Raises:
        ValueError: for what is no store, or no finite time.
    """
    checks.instance("store", store, Records, "dht.records(8, 1)")
    kept = checks.real("now", now) < store.expires
    return jax.tree.map(lambda x: jnp.where(kept, x, 0), store)


def _addressed(
    store: Records, key: ArrayLike, subkey: ArrayLike, holders: ArrayLike, alive: ArrayLike | None
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Key, subkey, holders as valid positions, and which of them are there."""
    checks.instance("store", store, Records, "dht.records(8, 1)")
    n, m, s = store.value.shape
    keys = jnp.asarray(checks.wholes("key", key, 0, m - 1, shape=()))
    writer = jnp.asarray(checks.wholes("subkey", subkey, 0, s - 1, shape=()))
    peers = jnp.asarray(checks.wholes("holders", holders, -1, n - 1, shape=(None,)))
    there = jnp.ones(n, bool) if alive is None else jnp.asarray(checks.mask("alive", alive, (n,)))
    where = jnp.maximum(peers, 0)
    return keys, writer, where, (peers >= 0) & there[where]
