"""Weighted directed graphs as padded out-neighbour lists, and the network of trust and affinity.

Shapes: ``N`` sources, ``K`` edge slots of each, ``U`` users, ``I`` items.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class WeightedGraph:
    """A weighted directed graph with timestamps; :func:`weighted_graph` builds and validates it.

    Attributes:
        targets: ``int32[N, K]``, ascending in each row; padding slots hold ``num_targets``.
        weights: ``float32[N, K]``, at least 0; 0 on padding slots. An edge of weight 0 is never
            walked.
        times: ``int32[N, K]``, when each edge was made; 0 on padding slots.
        num_targets: static.
        bipartite: static; whether targets are of another kind than sources.
    """

    targets: Any
    weights: Any
    times: Any
    num_targets: int = field(metadata={"static": True})
    bipartite: bool = field(default=False, metadata={"static": True})

    @property
    def num_sources(self) -> int:
        """Number of sources ``N``."""
        return self.targets.shape[0]

    @property
    def width(self) -> int:
        """Edge slots ``K`` of each source."""
        return self.targets.shape[1]


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrustNetwork:
    """Trust of users in users and affinity of users to items; built by :func:`trust_network`.

    Attributes:
        trust: users to users, ``U`` sources.
        affinity: users to items, ``U`` sources, ``I`` targets.
    """

    trust: WeightedGraph
    affinity: WeightedGraph

    @property
    def num_users(self) -> int:
        """Number of users ``U``."""
        return self.trust.num_sources

    @property
    def num_items(self) -> int:
        """Number of items ``I``."""
        return self.affinity.num_targets


def weighted_graph(
    edges: ArrayLike,
    num_sources: int,
    num_targets: int | None = None,
    *,
    weights: ArrayLike | None = None,
    times: ArrayLike | None = None,
    width: int | None = None,
) -> WeightedGraph:
    """Build a weighted graph from ``(source, target)`` pairs, validated on the host.

    Args:
        edges: ``int[E, 2]``; none is an empty list.
        num_sources: ``N``, at least 1.
        num_targets: number of targets, if they are of another kind than the sources (items);
            ``None`` for a graph among the sources, which has no self-loops.
        weights: ``[E]``, finite, at least 0; 1 by default.
        times: ``int[E]``, at least 0; 0 by default.
        width: ``K``; by default the largest out-degree, at least 1.

    Example:
        >>> from jaxswarm.trust import graphs
        >>> graph = graphs.weighted_graph([(0, 2), (0, 1), (2, 0)], 3, weights=[1.0, 3.0, 1.0])
        >>> graph.targets.tolist(), graph.weights[0].tolist()
        ([[1, 2], [3, 3], [0, 3]], [3.0, 1.0])

    Raises:
        ValueError: for ends out of range, self-loops, duplicate edges, weights that are negative or
            not finite, columns of unequal length, or a width below the largest out-degree.
    """
    n = checks.whole("num_sources", num_sources, 1)
    m = n if num_targets is None else checks.whole("num_targets", num_targets, 1)
    pairs = _pairs(edges)
    for name, column, size in (("source", 0, n), ("target", 1, m)):
        outside = (pairs[:, column] < 0) | (pairs[:, column] >= size)
        if outside.any():
            edge = tuple(pairs[outside][0].tolist())
            raise ValueError(f"edges: expected every {name} in [0, {size}), got edge {edge}")
    loops = pairs[:, 0] == pairs[:, 1]
    if num_targets is None and loops.any():
        edge = tuple(pairs[loops][0].tolist())
        raise ValueError(f"edges: expected no self-loop (trust in oneself), got edge {edge}")
    count = len(pairs)
    values, stamps = _columns(weights, times, count)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs, values, stamps = pairs[order], values[order], stamps[order]
    repeated = (pairs[1:] == pairs[:-1]).all(axis=1)
    if repeated.any():
        edge = tuple(pairs[1:][repeated][0].tolist())
        raise ValueError(f"edges: expected every edge once, got duplicate edge {edge}")
    degrees = np.bincount(pairs[:, 0], minlength=n)
    largest = max(int(degrees.max(initial=0)), 1)
    k = largest if width is None else checks.whole("width", width, 1)
    if k < largest:
        raise ValueError(f"width: expected at least the largest out-degree {largest}, got {k}")
    slots = np.arange(count) - np.repeat(np.cumsum(degrees) - degrees, degrees)
    at = (pairs[:, 0], slots)
    targets = np.full((n, k), m, np.int32)
    rows = np.zeros((n, k), np.float32)
    made = np.zeros((n, k), np.int32)
    targets[at], rows[at], made[at] = pairs[:, 1], values, stamps
    return WeightedGraph(targets, rows, made, m, num_targets is not None)


def trust_network(trust: WeightedGraph, affinity: WeightedGraph) -> TrustNetwork:
    """Join a graph of trust and a graph of affinity of the same users.

    Args:
        trust: users to users.
        affinity: users to items.

    Example:
        >>> from jaxswarm.trust import graphs
        >>> network = graphs.trust_network(
        ...     trust=graphs.weighted_graph([(0, 1), (1, 2)], 3),
        ...     affinity=graphs.weighted_graph([(0, 0), (1, 0), (1, 1), (2, 1)], 3, 2),
        ... )
        >>> network.num_users, network.num_items
        (3, 2)

    Raises:
        ValueError: if the graphs differ in their users, or their kinds are not these.
    """
    require_graph("trust", trust)
    require_graph("affinity", affinity)
    n = trust.num_sources
    if trust.bipartite:
        raise ValueError("trust: expected a graph among users, got a bipartite one")
    if not affinity.bipartite:
        raise ValueError("affinity: expected num_targets items, got a graph among users")
    if affinity.num_sources != n:
        raise ValueError(
            f"affinity: expected the {n} users of trust, got {affinity.num_sources} users"
        )
    return TrustNetwork(trust, affinity)


def edge_list(graph: WeightedGraph) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the edges of a concrete graph, ordered by source and target.

    Args:
        graph: concrete.

    Returns:
        ``(edges int64[E, 2], weights float32[E], times int32[E])``, arguments of
        :func:`weighted_graph`.

    Raises:
        ValueError: if this is no graph, or a traced one.
    """
    checks.concrete("graph", require_graph("graph", graph))
    targets = np.asarray(graph.targets)
    sources, slots = np.nonzero(targets < graph.num_targets)
    at = (sources, slots)
    edges = np.stack([sources, targets[at]], axis=1).astype(np.int64)
    return edges, np.asarray(graph.weights)[at], np.asarray(graph.times)[at]


def update_edges(
    graph: WeightedGraph,
    edges: ArrayLike,
    weights: ArrayLike,
    times: ArrayLike,
) -> WeightedGraph:
    """Add edges to a graph, or replace stored ones by newer ones, on the host.

    The width stays if the edges fit, so that compiled programs and kept walks go on.

    Args:
        graph: concrete.
        edges: ``int[E, 2]``.
        weights: ``[E]``, at least 0; 0 takes an edge away.
        times: ``int[E]``, later than those stored.

    Raises:
        ValueError: as :func:`weighted_graph`, and for an edge that is not newer than the stored
            one.
    """
    old, values, stamps = edge_list(graph)
    sizes = _sizes(graph)
    new = weighted_graph(edges, *sizes, weights=weights, times=times)  # validates
    pairs, fresh, now = edge_list(new)
    codes = pairs[:, 0] * graph.num_targets + pairs[:, 1]
    stored = old[:, 0] * graph.num_targets + old[:, 1]
    place = np.searchsorted(stored, codes)
    known = place < len(stored)
    known[known] = stored[place[known]] == codes[known]
    stale = np.zeros(len(codes), bool)
    stale[known] = now[known] <= stamps[place[known]]
    if stale.any():
        at = int(np.argmax(stale))
        raise ValueError(
            f"times: expected edges newer than those stored, got edge {tuple(pairs[at].tolist())} "
            f"of time {int(now[at])}, stored at {int(stamps[place[at]])}"
        )
    keep = ~np.isin(stored, codes)
    joined = np.concatenate([old[keep], pairs])
    largest = int(np.bincount(joined[:, 0], minlength=1).max(initial=0))
    return weighted_graph(
        joined,
        *sizes,
        weights=np.concatenate([values[keep], fresh]),
        times=np.concatenate([stamps[keep], now]),
        width=max(graph.width, largest),
    )


def decay_weights(graph: WeightedGraph, now: ArrayLike, gamma: ArrayLike) -> WeightedGraph:
    """Multiply each weight by ``(1 - gamma) ** (now - time)``: MeritRank's epoch decay.

    Args:
        graph: edges made at ``times``; those of the future do not decay.
        now: present time.
        gamma: decay of a unit of time, in ``[0, 1]``.

    Raises:
        ValueError: for numbers out of range.
    """
    require_graph("graph", graph)
    checks.real("now", now, 0.0)
    checks.probability("gamma", gamma)
    age = jnp.maximum(jnp.asarray(now) - graph.times, 0)
    kept = jnp.power(1.0 - jnp.asarray(gamma, jnp.float32), age)
    return replace(graph, weights=graph.weights * kept)


def reinforce_trust(
    network: TrustNetwork, user: ArrayLike, item: ArrayLike, change: ArrayLike
) -> WeightedGraph:
    """Update a user's trust after its affinity to an item changed; runs inside ``jit``.

    Adds ``affinity of v to the item * change`` to the trust in every user ``v`` that is trusted
    already, and keeps weights at least 0 (Web3Recommend).

    Args:
        network: trust and affinity, in which the change may or may not be made yet.
        user: whose trust.
        item: whose affinity changed.
        change: by how much.

    Returns:
        The graph of trust.

    Raises:
        ValueError: for an unknown user or item, or a change that is not finite.
    """
    require_network(network)
    user = checks.index("user", user, network.num_users)
    item = checks.index("item", item, network.num_items)
    checks.real("change", change)
    trusted = jnp.asarray(network.trust.targets)[user]
    shared = find_edge(network.affinity, trusted, jnp.full_like(trusted, item))[1]
    weights = jnp.asarray(network.trust.weights)
    row = jnp.maximum(weights[user] + shared * change, 0.0)
    return replace(network.trust, weights=weights.at[user].set(row))


def edge_weight(graph: WeightedGraph, source: jax.Array, target: jax.Array) -> jax.Array:
    """Weight of the edges ``source -> target``, 0 where there is none; runs inside ``jit``.

    Args:
        graph: looked up by binary search in the sorted rows.
        source: ``int[...]`` in ``[0, N)``.
        target: ``int[...]`` of the same shape.

    Returns:
        ``float32[...]``.

    Raises:
        ValueError: for what is no graph, or vertices out of range.
    """
    require_graph("graph", graph)
    source = jnp.asarray(checks.wholes("source", source, 0, graph.num_sources - 1))
    target = jnp.asarray(checks.wholes("target", target, 0, graph.num_targets - 1))
    return find_edge(graph, source, target)[1]


def find_edge(
    graph: WeightedGraph, source: jax.Array, target: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Slot and weight of edges; weight 0 where there is none, also for ends out of range."""
    rows = jnp.asarray(graph.targets)
    shape = jnp.broadcast_shapes(jnp.shape(source), jnp.shape(target))
    source = jnp.broadcast_to(source, shape)
    target = jnp.broadcast_to(target, shape).astype(rows.dtype)
    # Binary search for the first slot whose target is not smaller.
    low = jnp.zeros(shape, jnp.int32)
    high = jnp.full(shape, rows.shape[1], jnp.int32)
    for _ in range(int(rows.shape[1]).bit_length()):
        middle = jnp.minimum((low + high) // 2, rows.shape[1] - 1)
        smaller = (rows[source, middle] < target) & (low < high)
        low, high = jnp.where(smaller, middle + 1, low), jnp.where(smaller, high, middle)
    slot = jnp.minimum(low, rows.shape[1] - 1)
    inside = (source >= 0) & (source < graph.num_sources)
    found = inside & (target < graph.num_targets) & (rows[source, slot] == target)
    return slot, jnp.where(found, jnp.asarray(graph.weights)[source, slot], 0.0)


def require_graph(name: str, graph: Any) -> WeightedGraph:
    """Check that an argument is a weighted graph."""
    return checks.instance(name, graph, WeightedGraph, "graphs.weighted_graph([(0, 1)], 2)")


def require_network(network: Any) -> TrustNetwork:
    """Check that an argument is a network of trust and affinity."""
    return checks.instance("network", network, TrustNetwork, "graphs.trust_network(trust, likes)")


def _sizes(graph: WeightedGraph) -> tuple[int, int | None]:
    return graph.num_sources, graph.num_targets if graph.bipartite else None


def _pairs(edges: Any) -> np.ndarray:
    checks.concrete("edges", edges)
    raw = checks.as_array("edges", edges, "(source, target) pairs, shape [E, 2]")
    if raw.size == 0:
        return np.zeros((0, 2), np.int64)
    whole = checks.wholes("edges", raw, -checks.LARGEST, shape=(None, 2))
    return np.asarray(whole, np.int64)


def _columns(weights: Any, times: Any, count: int) -> tuple[np.ndarray, np.ndarray]:
    checks.concrete("weights", weights)
    checks.concrete("times", times)
    if weights is None:
        weights = np.ones(count, np.float32)
    if times is None:
        times = np.zeros(count, np.int32)
    wanted = "numbers >= 0, one for each edge"
    values = checks.as_array("weights", weights, wanted)
    largest = float(np.finfo(np.float32).max) / 2.0**20
    checks.real("weights", values, 0.0, largest, shape=(count,))
    stamps = checks.wholes("times", times, shape=(count,))
    return values.astype(np.float32), stamps
