"""Random walks on graphs of trust and affinity, recorded for many roots, and their repair.

Shapes: ``R`` roots, ``W`` walks of each, ``T`` steps, ``N`` vertices, ``U`` users, ``I`` items.
A record ``int32[R, W, T + 1]`` starts with the root and is padded behind the walk's end by the
number of vertices.

References:
    B. Nasrulin, G. Ishmaev, J. Pouwelse, MeritRank: Sybil tolerant reputation for merit-based
    tokenomics, 2022 (transitivity decay).
    R. Madhwal, J. Pouwelse, Web3Recommend: decentralised recommendations with trust and relevance,
    2023 (walks to items restricted by trust).
    B. Bahmani, A. Chowdhury, A. Goel, Fast incremental and personalized PageRank, 2010 (repair).
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.trust.graphs import TrustNetwork, WeightedGraph
from jaxswarm.trust.graphs._graph import find_edge, require_graph, require_network
from jaxswarm.types import ArrayLike, Key

LONGEST = 10_000
"""The greatest length that :func:`walk_length` gives."""

CHUNK = 128
"""Walks that :func:`item_walks` steps at once."""


def walk_length(alpha: Any, *, tail: float = 1e-4) -> int:
    """Number of steps that a walk exceeds with probability at most ``tail``; at most 10,000.

    Args:
        alpha: probability in ``(0, 1]`` of stopping before each step.
        tail: in ``(0, 1)``.

    Example:
        >>> from jaxswarm.trust import walks
        >>> walks.walk_length(0.1)
        88

    Raises:
        ValueError: for numbers out of range; ``alpha`` 0 stops no walk.
    """
    checks.real("alpha", checks.concrete("alpha", alpha), above=0.0, high=1.0)
    checks.real("tail", checks.concrete("tail", tail), above=0.0, below=1.0)
    if float(alpha) >= 1.0:
        return 1
    return min(LONGEST, math.ceil(math.log(tail) / math.log1p(-float(alpha))))


def trust_walks(
    key: Key,
    graph: WeightedGraph,
    roots: ArrayLike,
    *,
    alpha: ArrayLike = 0.1,
    num_walks: int = 1000,
    length: int | None = None,
) -> jax.Array:
    """Walk from roots over a graph, along edges with probability proportional to their weights.

    Before each step a walk stops with probability ``alpha`` (MeritRank's transitivity decay), and
    it stops at a vertex without outgoing weight. Walk ``w`` of root ``r`` draws from
    ``fold_in(fold_in(key, r), w)``, whatever the other roots are.

    Args:
        key: consumed.
        graph: among users.
        roots: ``int[R]`` in ``[0, N)``.
        alpha: in ``[0, 1]``.
        num_walks: ``W``, at least 1.
        length: ``T``, at least 1; :func:`walk_length` of ``alpha`` by default.

    Returns:
        ``int32[R, W, T + 1]``, padded by ``N``.

    Example:
        >>> import jax
        >>> from jaxswarm.trust import graphs, walks
        >>> line = graphs.weighted_graph([(0, 1), (1, 2)], 3)
        >>> walks.trust_walks(jax.random.key(0), line, [0], alpha=0.0, num_walks=1, length=4)[0, 0]
        Array([0, 1, 2, 3, 3], dtype=int32)

    Raises:
        ValueError: for unknown roots, numbers out of range, or ``alpha = 0`` without a length.
    """
    checks.key(key)
    _require_square(graph)
    roots = checks.wholes("roots", roots, 0, graph.num_sources - 1, shape=(None,))
    length = checked_length(alpha, length)
    num_walks = checks.whole("num_walks", num_walks, 1)
    return _trust_walks(key, graph, roots, alpha, num_walks=num_walks, length=length)


def item_walks(
    key: Key,
    network: TrustNetwork,
    roots: ArrayLike,
    *,
    alpha: ArrayLike = 0.1,
    num_walks: int = 1000,
    length: int | None = None,
) -> jax.Array:
    """Walk from roots over items and users, only to users that the previous user trusts.

    From a user to an item with probability proportional to affinity, never to the item over which
    the walk came; from the item to a user that the previous user trusts and that has affinity to
    the item, with probability proportional to this affinity. Before each of these two steps the
    walk stops with probability ``alpha``, and where there is no candidate.

    Time grows with the steps that walks take. Under ``vmap`` every walk costs as much as the
    longest: give many roots at once, and several networks to ``jax.lax.map``.

    Args:
        key: consumed, as by :func:`trust_walks`.
        network: trust and affinity.
        roots: ``int[R]`` in ``[0, U)``.
        alpha: in ``[0, 1]``; of all roots, or ``[R]`` of each, which needs a ``length``.
        num_walks: ``W``, at least 1.
        length: ``T``, at least 1, steps of either kind; :func:`walk_length` of ``alpha`` by
            default.

    Returns:
        ``int32[R, W, T + 1]``: users as they are and items as ``U + item`` in turn, padded by
        ``U + I``.

    Raises:
        ValueError: as :func:`trust_walks`.
    """
    checks.key(key)
    require_network(network)
    roots = checks.wholes("roots", roots, 0, network.num_users - 1, shape=(None,))
    if jnp.ndim(alpha) and length is not None:
        checks.probability("alpha", alpha, shape=jnp.shape(roots))
        length = checks.whole("length", length, 1)
    else:
        length = checked_length(alpha, length)
    num_walks = checks.whole("num_walks", num_walks, 1)
    return _item_walks(key, network, roots, alpha, num_walks=num_walks, length=length)


def repair_walks(
    key: Key,
    vertices: jax.Array,
    old: WeightedGraph,
    new: WeightedGraph,
    *,
    alpha: ArrayLike = 0.1,
) -> tuple[jax.Array, jax.Array]:
    """Repair recorded trust walks after edges changed, so that they are walks on the new graph.

    A walk is kept up to the first step that the new graph would not have taken, and walks on from
    there. A step over an edge of probability ``p`` before and ``q`` now is kept with probability
    ``min(1, q / p)``, else drawn anew in proportion to ``max(q - p, 0)`` over the vertex' edges:
    repaired walks are distributed as fresh ones, and of all ways to couple the two this one
    changes the fewest steps. Walks that meet no changed vertex stay to the bit.

    Args:
        key: consumed; another one than that of the walks.
        vertices: ``int32[R, W, T + 1]`` from :func:`trust_walks` or from an earlier repair.
        old: the graph that they walked on.
        new: a graph of the same shape (:func:`jaxswarm.trust.graphs.update_edges` keeps it).
        alpha: as they walked.

    Returns:
        ``(vertices int32[R, W, T + 1], rerouted bool[R, W])``, walks that were cut and walked on.

    Raises:
        ValueError: for graphs whose shapes differ, records of another shape, or ``alpha`` out of
            range.
    """
    checks.key(key)
    _require_square(old, "old")
    _require_square(new, "new")
    if old.targets.shape != new.targets.shape:
        raise ValueError(
            f"new: expected edge slots of shape {list(old.targets.shape)} like old, got "
            f"{list(new.targets.shape)}; give both graphs the same width"
        )
    checks.probability("alpha", alpha)
    vertices = jnp.asarray(checks.wholes("vertices", vertices, 0, old.num_sources))
    if vertices.ndim != 3:
        raise ValueError(f"vertices: expected shape [R, W, T + 1], got {list(vertices.shape)}")
    return _repair(key, vertices, old, new, alpha)


def checked_length(alpha: Any, length: int | None) -> int:
    """Number of steps for ``alpha``, which is checked."""
    checks.probability("alpha", alpha)
    if length is not None:
        return checks.whole("length", length, 1)
    if checks.is_traced(alpha):
        raise ValueError("length: expected a number of steps, since alpha is traced, got None")
    if float(alpha) == 0.0:
        raise ValueError(
            "length: expected a number of steps, since alpha=0 stops no walk, got None"
        )
    return walk_length(float(alpha))


def _require_square(graph: Any, name: str = "graph") -> None:
    if require_graph(name, graph).bipartite:
        raise ValueError(f"{name}: expected a graph among users, got a bipartite one")


def _walk_keys(key: Key, roots: jax.Array, num_walks: int) -> jax.Array:
    """Keys ``[R, W]``."""
    own = jax.vmap(lambda root: jax.random.fold_in(key, root))(roots)
    return jax.vmap(lambda k: agents.keys(k, num_walks))(own)


def _choose(uniform: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Slot drawn in proportion to ``weights [K]``, and whether there is any weight."""
    heights = jnp.cumsum(weights)
    total = heights[-1]
    # Strictly below the total, so that no slot behind the last weight is drawn.
    level = jnp.minimum(uniform * total, jnp.nextafter(total, jnp.zeros_like(total)))
    slot = jnp.sum(heights <= level)
    return jnp.minimum(slot, weights.shape[0] - 1), total > 0


def _step(
    draws: jax.Array, graph: WeightedGraph, vertex: jax.Array, alpha: Any
) -> tuple[jax.Array, jax.Array]:
    """Next vertex of a walk at ``vertex``, and whether it goes on."""
    slot, any_weight = _choose(draws[1], graph.weights[vertex])
    return graph.targets[vertex, slot], (draws[0] >= alpha) & any_weight


@functools.partial(jax.jit, static_argnames=("num_walks", "length"))
def _trust_walks(
    key: Key, graph: WeightedGraph, roots: Any, alpha: Any, *, num_walks: int, length: int
) -> jax.Array:
    graph, roots = jax.tree.map(jnp.asarray, (graph, roots))
    end = graph.num_sources

    def walk(key: Key, root: jax.Array) -> jax.Array:
        def step(carry: Any, t: jax.Array) -> Any:
            vertex, alive = carry
            draws = jax.random.uniform(jax.random.fold_in(key, t), (2,))
            target, goes = _step(draws, graph, vertex, alpha)
            alive = alive & goes
            vertex = jnp.where(alive, target, end)
            return (vertex, alive), vertex

        rest = jax.lax.scan(step, (root, jnp.bool_(True)), jnp.arange(length))[1]
        return jnp.concatenate([root[None], rest])

    keys = _walk_keys(key, roots, num_walks)
    return jax.vmap(jax.vmap(walk, (0, None)))(keys, roots)


@functools.partial(jax.jit, static_argnames=("num_walks", "length"))
def _item_walks(
    key: Key, network: TrustNetwork, roots: Any, alpha: Any, *, num_walks: int, length: int
) -> jax.Array:
    network, roots = jax.tree.map(jnp.asarray, (network, roots))
    trust, affinity = network.trust, network.affinity
    users, items = network.num_users, network.num_items
    keys = _walk_keys(key, roots, num_walks).ravel()
    count, pairs = keys.shape[0], -(-length // 2)
    stop = jnp.repeat(jnp.broadcast_to(alpha, roots.shape), num_walks)

    def pair(key: Key, alpha: jax.Array, user: jax.Array, last: jax.Array, t: jax.Array) -> Any:
        """Step of one walk to an item and on to a user; whether it takes each of the two."""
        draws = jax.random.uniform(jax.random.fold_in(key, t), (4,))
        rated = affinity.targets[user]
        slot, any_item = _choose(draws[1], jnp.where(rated == last, 0.0, affinity.weights[user]))
        goes = (draws[0] >= alpha) & any_item
        item = jnp.where(goes, rated[slot], items)
        trusted = trust.targets[user]
        shared = jnp.where(trust.weights[user] > 0, find_edge(affinity, trusted, item)[1], 0.0)
        slot, any_user = _choose(draws[3], shared)
        alive = goes & (draws[2] >= alpha) & any_user
        return jnp.where(goes, users + item, users + items), trusted[slot], alive

    # Most walks end early: those that go on are kept at the front of a list, stepped in chunks.
    size = min(count, CHUNK)
    width = -(-count // size) * size
    record = jnp.full((count, 2 * pairs + 1), users + items, roots.dtype)
    record = record.at[:, 0].set(jnp.repeat(roots, num_walks))

    def step(carry: Any) -> Any:
        t, walking, walks, record = carry

        def chunk(c: jax.Array, carry: Any) -> Any:
            kept, walks, record = carry
            own = jax.lax.dynamic_slice(walks, (c * size,), (size,))
            real = c * size + jnp.arange(size) < walking
            user = record[own, 2 * t]
            last = jnp.where(t > 0, record[own, 2 * t - 1] - users, items)
            item, follower, alive = jax.vmap(pair, (0, 0, 0, 0, None))(
                keys[own], stop[own], user, last, t
            )
            alive = alive & real
            rows = jnp.where(real, own, count)
            record = record.at[rows, 2 * t + 1].set(item, mode="drop")
            follower = jnp.where(alive, follower, users + items)
            record = record.at[rows, 2 * t + 2].set(follower, mode="drop")
            place = jnp.where(alive, kept + jnp.cumsum(alive) - 1, width)
            walks = walks.at[place].set(own, mode="drop")
            return kept + jnp.sum(alive), walks, record

        start = (jnp.int32(0), walks, record)
        return (t + 1, *jax.lax.fori_loop(0, -(-walking // size), chunk, start))

    def goes_on(carry: Any) -> jax.Array:
        return (carry[0] < pairs) & (carry[1] > 0)

    walks = jnp.minimum(jnp.arange(width), count - 1)
    start = (jnp.int32(0), jnp.int32(count), walks, record)
    record = jax.lax.while_loop(goes_on, step, start)[3]
    return record[:, : length + 1].reshape(-1, num_walks, length + 1)


@jax.jit
def _repair(
    key: Key, vertices: jax.Array, old: WeightedGraph, new: WeightedGraph, alpha: Any
) -> tuple[jax.Array, jax.Array]:
    old, new = jax.tree.map(jnp.asarray, (old, new))
    end = new.num_sources
    # Sums of the same slots in the same order: unchanged rows have equal bits.
    before, now = jnp.sum(old.weights, axis=1), jnp.sum(new.weights, axis=1)

    def share(weight: jax.Array, total: jax.Array) -> jax.Array:
        return jnp.where(total > 0, weight / jnp.where(total > 0, total, 1.0), 0.0)

    def walk(key: Key, record: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(carry: Any, inputs: Any) -> Any:
            vertex, alive, fresh = carry
            t, given = inputs
            draws = jax.random.uniform(jax.random.fold_in(key, t), (3,))
            target, goes = _step(draws, new, vertex, alpha)
            # A walk that follows its record: was the recorded step one that is still taken?
            p = share(find_edge(old, vertex, given)[1], before[vertex])
            q = share(find_edge(new, vertex, given)[1], now[vertex])
            moved = given < end
            kept = (q >= p) | (draws[2] * p < q)
            prior = share(find_edge(old, vertex, new.targets[vertex])[1], before[vertex])
            gain = jnp.maximum(share(new.weights[vertex], now[vertex]) - prior, 0.0)
            gain = jnp.where(jnp.sum(gain) > 0, gain, new.weights[vertex])
            slot, any_gain = _choose(draws[1], gain)
            # The walk ended here: by chance, which stays, or for want of edges.
            stuck = ~moved & (before[vertex] <= 0)
            rerouted = ~fresh & alive & ((moved & ~kept) | (stuck & (now[vertex] > 0)))
            from_record = ~fresh & ~rerouted
            redrawn = ~fresh & rerouted & moved
            nxt = jnp.where(redrawn, new.targets[vertex, slot], target)
            on = jnp.where(redrawn, any_gain, goes)
            alive = alive & jnp.where(from_record, moved, on)
            vertex = jnp.where(alive, jnp.where(from_record, given, nxt), end)
            return (vertex, alive, fresh | rerouted), vertex

        start = (record[0], jnp.bool_(True), jnp.bool_(False))
        times = jnp.arange(record.shape[0] - 1)
        carry, rest = jax.lax.scan(step, start, (times, record[1:]))
        return jnp.concatenate([record[:1], rest]), carry[2]

    keys = _walk_keys(key, vertices[:, 0, 0], vertices.shape[1])
    return jax.vmap(jax.vmap(walk))(keys, vertices)
