"""Iterative lookups: ask the closest known peers for closer ones until none is left to ask.

Shapes: ``N`` peers, ``Q`` queries, ``B`` buckets, ``k`` peers in a bucket, ``W`` words.

References:
    P. Maymounkov, D. Mazières, Kademlia: a peer-to-peer information system based on the XOR metric,
    2002.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.network.dht._ids import ROUTED_WORDS, identifiers
from jaxswarm.network.dht._tables import RoutingTable
from jaxswarm.types import ArrayLike

_FAR = jnp.iinfo(jnp.uint32).max
_SPARE = 3  # times as many peers are remembered as are looked for, since some may not answer
_UNASKED, _ANSWERED = range(2)


class Lookup(NamedTuple):
    """Outcome of lookups.

    Attributes:
        closest: ``int32[Q, k]``, peers that answered, closest first; -1 beyond the last.
        rounds: ``int32[Q]``, rounds of up to ``alpha`` questions at once.
        messages: ``int32[Q]``, questions sent; as many answers came back as did not time out.
        timeouts: ``int32[Q]``, questions to peers that are not there.
        finished: ``bool[Q]``, false where ``max_rounds`` ended the lookup.
    """

    closest: jax.Array
    rounds: jax.Array
    messages: jax.Array
    timeouts: jax.Array
    finished: jax.Array


class _Search(NamedTuple):
    peers: jax.Array  # int32[SPARE * k], sorted by distance, -1 beyond the last
    status: jax.Array
    failed: jax.Array  # int32[alpha * max_rounds], peers that timed out, -1 beyond the last
    rounds: jax.Array
    messages: jax.Array
    timeouts: jax.Array


def lookup(
    table: RoutingTable,
    targets: ArrayLike,
    starts: ArrayLike,
    *,
    alive: ArrayLike | None = None,
    alpha: int = 3,
    max_rounds: int = 64,
) -> Lookup:
    """Find the ``k`` peers closest to each target.

    In each round a querying peer asks the ``alpha`` closest peers of its list that it has not asked
    yet; each answers with the ``k`` closest peers of its own table; the list keeps the ``k``
    closest that did not time out. A lookup ends when all of the list have answered.

    Args:
        table: from :func:`routing_table`.
        targets: ``uint32[Q, W]``.
        starts: ``int32[Q]``, peers that search.
        alive: ``bool[N]``; questions to others time out. All are there if omitted.
        alpha: questions at once, at least 1.
        max_rounds: bound of the loop, at least 1.

    Raises:
        ValueError: identifiers of another width, peers out of range, ``alpha < 1``.

    Example:
        >>> import jax
        >>> from jaxswarm.network import dht
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> table = dht.routing_table(keys[0], dht.random_ids(keys[1], 200), k=8)
        >>> target = dht.random_ids(keys[2], 1)
        >>> found = dht.lookup(table, target, [17])
        >>> bool(found.closest[0, 0] == dht.closest_peers(table, target, 1)[0, 0])
        True
    """
    checks.instance("table", table, RoutingTable, "dht.routing_table(key, ids)")
    wanted = _targets(table, targets)
    n, _, k = table.buckets.shape
    begin = jnp.asarray(checks.wholes("starts", starts, 0, n - 1, shape=(len(wanted),)))
    there = jnp.ones(n, bool) if alive is None else checks.mask("alive", alive, (n,))
    alpha = min(checks.whole("alpha", alpha, 1), k)
    bound = checks.whole("max_rounds", max_rounds, 1)
    routed = table.ids[:, :ROUTED_WORDS]

    def distances(peers: jax.Array, target: jax.Array) -> tuple[jax.Array, ...]:
        words = jnp.where((peers >= 0)[:, None], routed[peers] ^ target[None], jnp.uint32(_FAR))
        return tuple(words.T)

    def known(peer: jax.Array, target: jax.Array) -> jax.Array:
        """The ``k`` closest peers of a peer's own table."""
        peers = table.buckets[peer].reshape(-1)
        *_, ordered = jax.lax.sort((*distances(peers, target), peers), num_keys=routed.shape[1])
        return jnp.concatenate([ordered, jnp.full(k, -1, ordered.dtype)])[:k]

    def merged(search: _Search, new: jax.Array, target: jax.Array) -> _Search:
        """Keep the closest peers that did not fail; statuses of those known already win."""
        peers = jnp.concatenate([search.peers, new])
        status = jnp.concatenate([search.status, jnp.full(new.shape, _UNASKED)])
        out = (peers < 0) | jnp.any(peers[:, None] == search.failed[None, :], axis=1)
        peers = jnp.where(out, -1, peers)
        *_, peers, status = jax.lax.sort(
            (*distances(peers, target), peers, status), num_keys=routed.shape[1], is_stable=True
        )
        same = jnp.concatenate([jnp.zeros(1, bool), peers[1:] == peers[:-1]])
        out = same | (peers < 0)
        order = jnp.argsort(out, stable=True)[: search.peers.shape[0]]
        return search._replace(
            peers=jnp.where(out[order], -1, peers[order]),
            status=jnp.where(out[order], _UNASKED, status[order]),
        )

    def unasked(search: _Search) -> jax.Array:
        """Which of the ``k`` closest are still to be asked."""
        return (search.peers[:k] >= 0) & (search.status[:k] == _UNASKED)

    def step(search: _Search, target: jax.Array, me: jax.Array) -> _Search:
        slots = jnp.argsort(~unasked(search), stable=True)[:alpha]
        asked, chosen = search.peers[slots], unasked(search)[slots]
        answers = chosen & there[asked]
        news = jax.vmap(known, (0, None))(asked, target)
        news = jnp.where(answers[:, None] & (news != me), news, -1).reshape(-1)
        gone = chosen & ~answers
        at = search.rounds * alpha + jnp.arange(alpha)
        status = jnp.where(answers, _ANSWERED, search.status[slots])
        search = search._replace(
            status=search.status.at[slots].set(status),
            failed=search.failed.at[at].set(jnp.where(gone, asked, -2)),
            rounds=search.rounds + 1,
            messages=search.messages + jnp.sum(chosen),
            timeouts=search.timeouts + jnp.sum(gone),
        )
        return merged(search, news, target)

    def one(target: jax.Array, me: jax.Array) -> Lookup:
        zero, width = jnp.zeros((), jnp.int32), _SPARE * k
        own = jnp.concatenate([known(me, target), jnp.full(width - k, -1, jnp.int32)])
        failed = jnp.full(alpha * bound, -2, jnp.int32)
        search = _Search(own, jnp.full(width, _UNASKED), failed, zero, zero, zero)

        def more(search: _Search) -> jax.Array:
            return jnp.any(unasked(search)) & (search.rounds < bound)

        search = jax.lax.while_loop(more, lambda s: step(s, target, me), search)
        answered = jnp.where(search.status == _ANSWERED, search.peers, -1)[:k]
        peers = jnp.concatenate([answered, me[None]])  # which may be among the closest itself
        order = jax.lax.sort((*distances(peers, target), peers), num_keys=routed.shape[1])[-1]
        finished = ~jnp.any(unasked(search))
        return Lookup(order[:k], search.rounds, search.messages, search.timeouts, finished)

    return jax.vmap(one)(wanted[:, : routed.shape[1]], begin)


def closest_peers(
    table: RoutingTable, targets: ArrayLike, count: int, *, alive: ArrayLike | None = None
) -> jax.Array:
    """The ``count`` peers closest to each target by comparing all, ``int32[Q, count]``.

    What an oracle would answer; no peer of the network can compute it.

    Args:
        table: from :func:`routing_table`.
        targets: ``uint32[Q, W]``.
        count: at least 1, at most the number of peers.
        alive: ``bool[N]``, peers that count; -1 in the answer where there are too few.

    Raises:
        ValueError: as :func:`lookup`.
    """
    checks.instance("table", table, RoutingTable, "dht.routing_table(key, ids)")
    wanted = _targets(table, targets)
    n = table.ids.shape[0]
    count = checks.whole("count", count, 1, n)
    there = jnp.ones(n, bool) if alive is None else checks.mask("alive", alive, (n,))
    routed = table.ids[:, :ROUTED_WORDS]

    def one(target: jax.Array) -> jax.Array:
        words = jnp.where(there[:, None], routed ^ target[None], jnp.uint32(_FAR))
        peers = jnp.where(there, jnp.arange(n, dtype=jnp.int32), -1)
        return jax.lax.sort((*words.T, peers), num_keys=routed.shape[1])[-1][:count]

    return jax.vmap(one)(wanted[:, : routed.shape[1]])


def _targets(table: RoutingTable, targets: Any) -> jax.Array:
    wanted = identifiers("targets", targets)
    width = table.ids.shape[1]
    if wanted.ndim != 2 or wanted.shape[1] != width:
        raise ValueError(f"targets: expected a shape [Q, {width}] as ids have, got {wanted.shape}")
    return wanted
