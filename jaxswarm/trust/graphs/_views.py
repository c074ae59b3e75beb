"""Views: the edges that each node has received, in ring buffers, and their gossip.

Shapes: ``N`` nodes, ``C`` slots of each node's ring buffer, ``m`` edges of a message.

References:
    R. Madhwal, J. Pouwelse, Web3Recommend: decentralised recommendations with trust and relevance,
    2023 (a few edges a message, drawn by freshness from the newest that a node holds).
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.trust.graphs._graph import WeightedGraph, edge_list, require_graph
from jaxswarm.types import ArrayLike, Key


class Views(NamedTuple):
    """Timestamped edges that each node holds.

    Attributes:
        source: ``int32[N, C]``.
        target: ``int32[N, C]``.
        weight: ``float32[N, C]``.
        time: ``int32[N, C]``, -1 for free slots.
        cursor: ``int32[N]``, the slot that a new edge overwrites next.
    """

    source: Any
    target: Any
    weight: Any
    time: Any
    cursor: Any


def own_edges(graph: WeightedGraph, capacity: int) -> Views:
    """Give every node its own outgoing edges, and nothing else.

    Args:
        graph: concrete; one node for each source.
        capacity: ``C``, at least the largest out-degree. It bounds the memory of a node.

    Raises:
        ValueError: if this is no concrete graph, or the capacity is too small.
    """
    edges, weights, times = edge_list(graph)
    n = graph.num_sources
    degrees = np.bincount(edges[:, 0], minlength=n)
    largest = max(int(degrees.max(initial=0)), 1)
    if checks.whole("capacity", capacity, 1) < largest:
        raise ValueError(
            f"capacity: expected at least the largest out-degree {largest}, got {capacity}"
        )
    slots = np.arange(len(edges)) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    at = (edges[:, 0], slots)
    source, target = np.zeros((2, n, capacity), np.int32)
    weight, time = np.zeros((n, capacity), np.float32), np.full((n, capacity), -1, np.int32)
    source[at], target[at], weight[at], time[at] = edges[:, 0], edges[:, 1], weights, times
    return Views(source, target, weight, time, (degrees % capacity).astype(np.int32))


def gossip_edges(key: Key, views: Views, partners: ArrayLike, *, num_edges: int = 5) -> Views:
    """One round of gossip: every node receives a few edges from the view of its partner.

    Edges are drawn without replacement with probability linear in freshness, ``time - oldest time
    + 1`` within the partner's view. A received edge replaces the stored one if it is newer; an edge
    that was not stored overwrites the slot that was written first. Node ``i`` draws from
    ``fold_in(key, i)``. Runs inside ``jit``.

    Args:
        key: consumed.
        views: of all nodes before the round.
        partners: ``int[N]``, whose view each node receives from; its own position for none.
        num_edges: ``m``, from 1 to ``C``.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm.trust import graphs
        >>> ring = graphs.weighted_graph([(0, 1), (1, 2), (2, 0)], 3)
        >>> views = graphs.own_edges(ring, capacity=3)
        >>> views = graphs.gossip_edges(jax.random.key(0), views, np.array([1, 2, 0]), num_edges=1)
        >>> graphs.edge_list(graphs.view_graph(views, 0, like=ring)[0])[0].tolist()
        [[0, 1], [1, 2]]

    Raises:
        ValueError: for what are no views, unknown partners, or a number of edges out of range.
    """
    checks.key(key)
    checks.instance("views", views, Views, "graphs.own_edges(graph, 100)")
    n, capacity = np.shape(views.time)
    partners = checks.wholes("partners", partners, 0, n - 1, shape=(n,))
    num_edges = checks.whole("num_edges", num_edges, 1, capacity)
    return _gossip(key, views, partners, num_edges=num_edges)


def view_graph(views: Views, node: ArrayLike, *, like: WeightedGraph) -> tuple[Any, jax.Array]:
    """Build the graph that one node sees; runs inside ``jit`` and under ``vmap`` over nodes.

    Args:
        views: of all nodes.
        node: whose.
        like: a graph with the sizes and the width wanted.

    Returns:
        ``(graph, dropped)``: a :class:`WeightedGraph`, and ``int32[]``, how many edges did not fit
        its width; those with the highest targets are dropped.

    Raises:
        ValueError: for what are no views, or an unknown node.
    """
    checks.instance("views", views, Views, "graphs.own_edges(graph, 100)")
    require_graph("like", like)
    node = checks.index("node", node, np.shape(views.time)[0])
    targets, weights, times, dropped = _view(
        views, node, like.num_sources, like.num_targets, like.width
    )
    return WeightedGraph(targets, weights, times, like.num_targets, like.bipartite), dropped


@functools.partial(jax.jit, static_argnames="num_edges")
def _gossip(key: Key, views: Views, partners: Any, *, num_edges: int) -> Views:
    views, partners = jax.tree.map(jnp.asarray, (views, partners))
    n, capacity = views.time.shape

    def message(key: Key, node: jax.Array, partner: jax.Array) -> tuple[Any, ...]:
        time = views.time[partner]
        known = time >= 0
        oldest = jnp.min(jnp.where(known, time, checks.LARGEST))
        fresh = jnp.log(jnp.where(known, time - oldest + 1, 1).astype(jnp.float32))
        score = jnp.where(known, fresh + jax.random.gumbel(key, (capacity,)), -jnp.inf)
        slot = jax.lax.top_k(score, num_edges)[1]
        sent = known[slot] & (partner != node)
        return (*(part[partner, slot] for part in views[:4]), sent)

    def store(view: tuple[Any, ...], edge: tuple[Any, ...]) -> tuple[tuple[Any, ...], None]:
        source, target, weight, time, cursor = view
        same = (source == edge[0]) & (target == edge[1]) & (time >= 0)
        stored = jnp.any(same)
        slot = jnp.where(stored, jnp.argmax(same), cursor)
        write = edge[4] & (~stored | (edge[3] > time[slot]))
        place = jnp.where(write, slot, capacity)
        columns = zip((source, target, weight, time), edge[:4], strict=True)
        rows = tuple(column.at[place].set(value, mode="drop") for column, value in columns)
        cursor = jnp.where(write & ~stored, (cursor + 1) % capacity, cursor)
        return (*rows, cursor), None

    received = jax.vmap(message)(agents.keys(key, n), jnp.arange(n), partners)
    return Views(
        *jax.vmap(lambda view, edges: jax.lax.scan(store, view, edges)[0])(tuple(views), received)
    )


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _view(
    views: Views, node: Any, num_sources: int, num_targets: int, width: int
) -> tuple[jax.Array, ...]:
    source, target, weight, time = (jnp.asarray(part)[node] for part in views[:4])
    known = (time >= 0) & (source < num_sources) & (target < num_targets)
    source = jnp.where(known, source, num_sources)
    order = jnp.lexsort((target, source))
    source, target, weight, time = (x[order] for x in (source, target, weight, time))
    slot = jnp.arange(len(source)) - jnp.searchsorted(source, source)
    fits = (source < num_sources) & (slot < width)
    at = (jnp.where(fits, source, num_sources), slot)
    shape = (num_sources, width)
    return (
        jnp.full(shape, num_targets, jnp.int32).at[at].set(target, mode="drop"),
        jnp.zeros(shape, jnp.float32).at[at].set(weight, mode="drop"),
        jnp.zeros(shape, jnp.int32).at[at].set(time, mode="drop"),
        jnp.sum((source < num_sources) & (slot >= width)),
    )
