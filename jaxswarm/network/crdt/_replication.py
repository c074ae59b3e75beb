"""Anti-entropy: replicas merge what their neighbours hold, as a rule of gossip.

Shapes: ``N`` replicas, ``K`` neighbour slots, ``E`` directed edges.

References:
    A. Demers et al., Epidemic algorithms for replicated database maintenance, 1987.
    P. S. Almeida, A. Shoker, C. Baquero, Delta state replicated data types, 2018.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip._operator import check_delivered
from jaxswarm.gossip.sparse_layouts import Gather
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.network.crdt._registers import require_crdt
from jaxswarm.topology import Topology, in_neighbors, require_topology
from jaxswarm.types import Key, PyTree

Draw = Callable[[jax.Array, jax.Array], Gather]
"""``(key, round index) -> operator``, such as ``gossip.random_neighbors(n, 1)``."""


def replicas(kind: Any, count: int) -> PyTree:
    """Initial states of replicas, leaves ``[N, …]``.

    Args:
        kind: what :func:`g_counter`, :func:`or_set`, … return.
        count: ``N``, at least 1.

    Raises:
        ValueError: for what is no replicated data, or fewer than one replica.
    """
    require_crdt("kind", kind)
    n = checks.whole("count", count, 1)
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), kind.init())


def anti_entropy(
    kind: Any, neighbors: Topology | Draw, *, delta: bool = True
) -> GossipTransformation:
    """Make a gossip rule by which replicas merge the states of their in-neighbours.

    It honours the exchange as every rule does: absent replicas keep their state, lost messages are
    not merged, delayed ones are merged late. Since merging is commutative, associative and
    idempotent, loss, repetition and reordering change when replicas agree, not on what.

    Args:
        kind: replicated data, whose states the rule's parameters are, leaves ``[N, …]``.
        neighbors: a single graph, all of whose edges carry a message each round; or a function
            that draws neighbours, ``gossip.random_neighbors(n, 1)`` for one random peer.
        delta: the receiver sends its version and gets the entries that it lacks, each with an index
            of four bytes; false counts whole states. States are the same, only bytes differ.

    Returns:
        A rule that supports ``messages``.

    Raises:
        ValueError: for what is no replicated data, no graph and no function, or a sequence of
            graphs.

    Example:
        >>> import jax
        >>> from jaxswarm import gossip, topology
        >>> from jaxswarm.network import crdt
        >>> kind = crdt.g_counter(8)
        >>> rule = crdt.anti_entropy(kind, topology.ring(8))
        >>> states = jax.vmap(kind.add)(crdt.replicas(kind, 8), jax.numpy.arange(8))
        >>> for index in range(4):
        ...     states, _, traffic = rule.mix(jax.random.key(index), states, (),
        ...                                   gossip.Exchange(index))
        >>> jax.vmap(kind.read)(states).tolist()
        [8, 8, 8, 8, 8, 8, 8, 8]
    """
    require_crdt("kind", kind)
    checks.flag("delta", delta)
    candidates = _candidates(neighbors)
    merge, version = jax.vmap(kind.merge), jax.vmap(kind.version)

    def mix(
        key: Key, params: PyTree, state: PyTree, exchange: Exchange
    ) -> tuple[PyTree, PyTree, Traffic]:
        n = agents.num_agents(params)
        table, edges, mask, num_edges = candidates(checks.key(key), exchange.index, n)
        active = exchange.active(n)
        if active is not None:
            mask = mask & active[:, None] & active[table]
        sent = mask
        if exchange.delivered is not None:
            mask = mask & jnp.asarray(check_delivered(exchange.delivered, num_edges))[edges]
        messages = exchange.sent(params)
        _, whole = agents.message_size(params)
        _, asked = agents.message_size(version(params))

        def merged(carry: tuple[PyTree, jax.Array], slot: tuple) -> tuple:
            own, entries = carry
            senders, arrives = slot
            new = merge(own, jax.tree.map(lambda x: x[senders], messages))
            new = agents.where(arrives, new, own)
            return (new, entries + _entry_bytes(own, new)), None

        slots = (table.T, mask.T)
        (result, entries), _ = jax.lax.scan(merged, (params, jnp.zeros(())), slots)
        count = jnp.sum(sent).astype(jnp.float32)
        size = count * asked + entries if delta else count * whole
        return result, state, Traffic(count, size)

    return GossipTransformation(lambda params: (), mix, frozenset({"messages"}))


def agreement(states: PyTree, active: jax.Array | None = None) -> jax.Array:
    """Share of replicas whose state is that of the first one present, ``float32[]``.

    Args:
        states: leaves ``[N, …]``.
        active: ``bool[N]``, replicas that count; all if omitted.

    Returns:
        1 if all agree; 1 also if none is present.

    Raises:
        ValueError: leaves without a common agents axis, or a mask of another shape.
    """
    n = agents.num_agents(states)
    there = jnp.ones(n, bool) if active is None else checks.mask("active", active, (n,))
    first = jnp.argmax(there)

    def equal(leaf: jax.Array) -> jax.Array:
        leaf = jnp.asarray(leaf)
        return jnp.all((leaf == leaf[first][None]).reshape(n, -1), axis=1)

    same = jnp.stack([equal(leaf) for leaf in jax.tree.leaves(states)]).all(0)
    return jnp.where(
        jnp.any(there), jnp.sum(same & there) / jnp.maximum(jnp.sum(there), 1), 1.0
    ).astype(jnp.float32)


def fingerprint(states: PyTree) -> jax.Array:
    """Short digest of every replica's state, ``uint32[N]``; not cryptographic.

    Entries are mixed with their positions and added up, so the digest does not depend on the order
    of the sum and can be updated when an entry changes. An adversary can find collisions: use
    SHA-256 on the host where that matters.

    Args:
        states: leaves ``[N, …]`` of integers, flags or float32.

    Raises:
        ValueError: leaves without a common agents axis.
    """
    n = agents.num_agents(states)
    total = jnp.zeros(n, jnp.uint32)
    for position, leaf in enumerate(jax.tree.leaves(states)):
        leaf = jnp.asarray(leaf).reshape(n, -1)
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        bits = (
            jax.lax.bitcast_convert_type(leaf.astype(jnp.float32), jnp.uint32)
            if floating
            else leaf.astype(jnp.uint32)
        )
        place = _mixed(jnp.arange(leaf.shape[1], dtype=jnp.uint32) + jnp.uint32(position << 24))
        total += jnp.sum(_mixed(bits ^ place[None, :]), axis=1, dtype=jnp.uint32)
    return total


def _mixed(x: jax.Array) -> jax.Array:
    """Mix the bits of each number, a bijection of ``uint32``."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def _entry_bytes(own: PyTree, new: PyTree) -> jax.Array:
    """Bytes of the entries in which two trees differ, with four bytes of index for each."""

    def leaf(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.sum(x != y).astype(jnp.float32) * (4 + x.dtype.itemsize)

    return jnp.sum(jnp.stack(jax.tree.leaves(jax.tree.map(leaf, own, new))))


def _candidates(neighbors: Any) -> Callable[..., tuple[jax.Array, jax.Array, jax.Array, Any]]:
    """Senders, edges and mask ``[N, K]`` of a round, and the number of edges."""
    if callable(neighbors):

        def drawn(key: Key, index: Any, n: int) -> tuple:
            operator = neighbors(key, jnp.asarray(index))
            if not isinstance(operator, Gather) or operator.num_agents != n:
                raise ValueError(
                    f"neighbors: expected draws of {n} agents such as gossip.random_neighbors({n}, "
                    f"1), got {checks.shown(operator)}"
                )
            (bucket,) = operator.buckets
            return bucket.neighbors, bucket.edges, bucket.weights > 0, operator.num_edges

        return drawn
    require_topology(neighbors, "neighbors")
    if neighbors.is_sequence:
        raise ValueError("neighbors: expected a single graph, got a sequence")
    lists = in_neighbors(neighbors)

    def fixed(key: Key, index: Any, n: int) -> tuple:
        del key, index
        if n != neighbors.num_agents:
            raise ValueError(
                f"params: expected {neighbors.num_agents} replicas as neighbors has, got {n}"
            )
        parts = (lists.neighbors, lists.edges, lists.mask)
        return (*map(jnp.asarray, parts), neighbors.num_edge_slots)

    return fixed
