"""Time until every peer has all blocks of a model: exchange among peers, one server, or flooding.

Time is counted in slots: a slot is what a peer needs to send one block.

Shapes: ``N`` peers, ``M`` blocks, ``D`` neighbours of a peer when flooding.

References:
    Gradient, Lattica: a decentralized communication framework, 2025.
    B. Cohen, Incentives build robustness in BitTorrent, 2003 (blocks from several peers at once).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.network.transport import LEVELS, Peers, connects
from jaxswarm.types import ArrayLike, Key

METHODS = ("exchange", "server", "flooding")
"""Ways to spread blocks: peers ask peers that have what they lack; all ask the first peer; every
peer sends each block that is new to it to all of its neighbours."""

Direct = Callable[[jax.Array, jax.Array], jax.Array]

_RETRIES = 3  # sources that a peer asks in a slot, and so the most blocks that it gets


class Spread(NamedTuple):
    """Outcome of spreading a model.

    Attributes:
        slots: ``int32[]``, until the wanted share of the peers had all blocks; the bound if they
            had not by then.
        complete: ``float32[]``, share of the peers that have all blocks at the end.
        copies: ``float32[]``, blocks sent.
        wasted: ``float32[]``, of these, blocks that the receiver had already.
        relayed: ``float32[]``, of these, blocks between peers without a direct connection.
        finished: ``bool[]``, whether the wanted share was reached.
    """

    slots: jax.Array
    complete: jax.Array
    copies: jax.Array
    wasted: jax.Array
    relayed: jax.Array
    finished: jax.Array


class _State(NamedTuple):
    have: jax.Array  # bool[N, M]
    order: jax.Array  # int32[N, M], blocks in the order in which they came; for flooding
    sent: jax.Array  # int32[N], copies that a peer sent of these; for flooding
    result: Spread


def spread(
    key: Key,
    peers: Peers,
    blocks: int,
    *,
    method: str = "exchange",
    server_uplink: int = 10,
    degree: int = 8,
    leaves: ArrayLike = 0.0,
    share: ArrayLike = 1.0,
    use_relays: bool | jax.Array = False,
    level: str = "hole_punching",
    max_slots: int = 100_000,
) -> Spread:
    """Spread a model in blocks from the first peer to all others.

    In a slot a peer sends one block, the first peer ``server_uplink``. Exchanging, a peer asks a
    random peer for a block that it lacks and the other has; if that one is busy or of no use, the
    next, up to three of them. Peers that leave are replaced by new ones without blocks.

    Args:
        key: consumed.
        peers: of :func:`jaxswarm.network.transport.peers`; the first can always be reached.
        blocks: ``M``, at least 1.
        method: name in :data:`METHODS`.
        server_uplink: blocks that the first peer sends in a slot, at least 1.
        degree: ``D``, neighbours of a peer when flooding, drawn at random, at least 1.
        leaves: probability that a peer leaves in a slot, in ``[0, 1]``. May be traced.
        share: of the peers that are to have all blocks, in ``[0, 1]``. May be traced.
        use_relays: exchange with peers that no direct connection reaches, too. May be traced.
        level: name in :data:`jaxswarm.network.transport.LEVELS`, means of connecting directly.
        max_slots: bound, at least 1.

    Raises:
        ValueError: for what are no peers, fewer than two, an unknown method, numbers out of range.

    Example:
        >>> import jax
        >>> from jaxswarm.network import transport
        >>> from jaxswarm.systems import lattica
        >>> found = transport.peers(jax.random.key(0), 32)
        >>> done = lattica.spread(jax.random.key(1), found, 4, server_uplink=2)
        >>> bool(done.finished), int(done.copies)
        (True, 124)
    """
    checks.instance("peers", peers, Peers, "transport.peers(key, 8)")
    n = peers.mapping.shape[0]
    if n < 2:
        raise ValueError(f"peers: expected at least 2, got {n}")
    m = checks.whole("blocks", blocks, 1)
    checks.choice("method", method, METHODS)
    uplink = checks.whole("server_uplink", server_uplink, 1)
    degree = checks.whole("degree", degree, 1)
    checks.probability("leaves", leaves)
    checks.probability("share", share)
    if not checks.is_traced(use_relays):
        checks.flag("use_relays", use_relays)
    checks.choice("level", level, LEVELS)
    bound = checks.whole("max_slots", max_slots, 1)
    neighbor_key, slot_key = jax.random.split(checks.key(key))
    capacity = jnp.ones(n, jnp.int32).at[0].set(uplink)
    neighbors = _others(neighbor_key, n, degree)

    def direct(first: jax.Array, second: jax.Array) -> jax.Array:
        return connects(peers, first, second, level) | (first == 0) | (second == 0)

    def slot(state: _State) -> _State:
        own = jax.random.fold_in(slot_key, state.result.slots)
        churn_key, move_key = jax.random.split(own)
        if method == "flooding":
            state = _flood(state, neighbors, uplink, direct)
        else:
            one = method == "server"
            state = _exchange(move_key, state, capacity, direct, one, use_relays)
        gone = (jax.random.uniform(churn_key, (n,)) < leaves).at[0].set(False)
        have = state.have & ~gone[:, None]
        complete = jnp.mean(have.all(axis=1).astype(jnp.float32))
        result = state.result._replace(
            slots=state.result.slots + 1, complete=complete, finished=complete >= share
        )
        return state._replace(have=have, sent=jnp.where(gone, 0, state.sent), result=result)

    def more(state: _State) -> jax.Array:
        return ~state.result.finished & (state.result.slots < bound)

    zero = jnp.zeros(())
    have = jnp.zeros((n, m), bool).at[0].set(True)
    order = jnp.broadcast_to(jnp.arange(m, dtype=jnp.int32), (n, m))
    none = Spread(jnp.zeros((), jnp.int32), zero, zero, zero, zero, jnp.zeros((), bool))
    state = _State(have, order, jnp.zeros(n, jnp.int32), none)
    return jax.lax.while_loop(more, slot, state).result


def _others(key: Key, n: int, count: int) -> jax.Array:
    """Random peers other than oneself, ``int32[n, count]``."""
    steps = jax.random.randint(key, (n, count), 1, n)
    return (jnp.arange(n)[:, None] + steps) % n


def _exchange(
    key: Key,
    state: _State,
    capacity: jax.Array,
    direct: Direct,
    only_first: bool,
    use_relays: bool | jax.Array,
) -> _State:
    """One slot in which peers ask for blocks that they lack."""
    n, m = state.have.shape
    tries = 1 if only_first else _RETRIES
    sources = _others(jax.random.fold_in(key, 0), n, tries)
    if only_first:
        sources = jnp.zeros_like(sources)
    me = jnp.arange(n)

    def attempt(carry: tuple, given: tuple) -> tuple:
        have, left, copies, relayed = carry
        source, own = given
        place_key, rank_key = jax.random.split(own)
        linked = direct(source, me)
        wanted = have[source] & ~have
        # The first wanted block after a random one: each peer starts elsewhere.
        start = jax.random.randint(place_key, (n,), 0, m)
        distance = (jnp.arange(m)[None, :] - start[:, None]) % m
        block = jnp.argmin(jnp.where(wanted, distance, m), axis=1)
        asks = wanted.any(axis=1) & (linked | use_relays) & (source != me)
        asks &= left[source] > 0
        # Of those that ask one source it serves as many as it can, drawn at random.
        asked = jnp.where(asks, source, n)
        bits = 32 - n.bit_length()
        drawn = jax.random.bits(rank_key, (n,), jnp.uint32) >> (32 - bits)
        by_source = jnp.argsort((asked.astype(jnp.uint32) << bits) | drawn)
        ordered = asked[by_source]
        first = jnp.concatenate([jnp.ones(1, bool), ordered[1:] != ordered[:-1]])
        place = me - jax.lax.cummax(jnp.where(first, me, 0))
        within = jnp.zeros(n, jnp.int32).at[by_source].set(place.astype(jnp.int32))
        served = asks & (within < left[source])
        have = have.at[me, block].max(served)
        left = left.at[jnp.where(served, source, n)].add(-1, mode="drop")
        copies += jnp.sum(served)
        relayed += jnp.sum(served & ~linked)
        return (have, left, copies, relayed), None

    zero = jnp.zeros((), jnp.int32)
    keys = jax.random.split(jax.random.fold_in(key, 1), tries)
    (have, _, copies, relayed), _ = jax.lax.scan(
        attempt, (state.have, capacity, zero, zero), (sources.T, keys)
    )
    result = state.result._replace(
        copies=state.result.copies + copies, relayed=state.result.relayed + relayed
    )
    return state._replace(have=have, result=result)


def _flood(state: _State, neighbors: jax.Array, uplink: int, direct: Direct) -> _State:
    """One slot in which peers forward what is new to them, first come, first sent."""
    n, m = state.have.shape
    degree = neighbors.shape[1]
    count = jnp.sum(state.have, axis=1)
    capacity = jnp.ones(n, jnp.int32).at[0].set(uplink)
    zero = jnp.zeros((), jnp.int32)

    def send(carry: tuple, turn: jax.Array) -> tuple:
        have, sent, copies, relayed = carry
        sends = (turn < capacity) & (sent < degree * count)
        at = jnp.minimum(sent, degree * m - 1)
        block = jnp.take_along_axis(state.order, (at // degree)[:, None], axis=1)[:, 0]
        target = jnp.take_along_axis(neighbors, (at % degree)[:, None], axis=1)[:, 0]
        reached = jnp.where(sends, target, n)
        have = have.at[reached, block].set(True, mode="drop")
        far = sends & ~direct(jnp.arange(n), target)
        return (
            have,
            sent + sends,
            copies + jnp.sum(sends),
            relayed + jnp.sum(far),
        ), None

    start = (state.have, state.sent, zero, zero)
    (have, sent, copies, relayed), _ = jax.lax.scan(send, start, jnp.arange(uplink))
    new = have & ~state.have
    wasted = copies - jnp.sum(new)
    rank = jnp.cumsum(new, axis=1) - 1 + count[:, None]
    rows = jnp.broadcast_to(jnp.arange(n)[:, None], (n, m))
    blocks = jnp.broadcast_to(jnp.arange(m, dtype=jnp.int32), (n, m))
    order = state.order.at[rows, jnp.where(new, rank, m)].set(blocks, mode="drop")
    result = state.result
    result = result._replace(
        copies=result.copies + copies,
        wasted=result.wasted + wasted,
        relayed=result.relayed + relayed,
    )
    return state._replace(have=have, order=order, sent=sent, result=result)
