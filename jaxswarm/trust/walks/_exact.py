"""Expected visits of walks without sampling: power iteration, PageRank, SALSA, a linear solve.

Shapes: ``R`` roots, ``N`` vertices, ``U`` users, ``I`` items, ``K`` edge slots.

References:
    L. Page, S. Brin, R. Motwani, T. Winograd, The PageRank citation ranking, 1999.
    R. Lempel, S. Moran, SALSA: the stochastic approach for link-structure analysis, 2001.
    P. Gupta et al., WTF: the who to follow service at Twitter, 2013 (personalized SALSA).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.graphs import TrustNetwork, WeightedGraph
from jaxswarm.trust.graphs._graph import find_edge, require_network
from jaxswarm.trust.walks._records import _require_square, checked_length
from jaxswarm.types import ArrayLike

DENSE = 2**24
"""Largest number of entries of a dense matrix of a network, from users to users or items."""


def expected_visits(
    graph: WeightedGraph,
    roots: ArrayLike,
    *,
    alpha: ArrayLike = 0.1,
    length: int | None = None,
) -> jax.Array:
    """Expected visits of a walk of :func:`jaxswarm.trust.walks.trust_walks`, by power iteration.

    Sparse: a step costs as many operations as there are edge slots.

    Args:
        graph: among users.
        roots: ``int[R]``.
        alpha: in ``[0, 1]``, the probability of stopping before each step.
        length: steps; :func:`jaxswarm.trust.walks.walk_length` by default.

    Returns:
        ``float32[R, N]``, the start included.

    Raises:
        ValueError: as :func:`jaxswarm.trust.walks.trust_walks`.
    """
    _require_square(graph)
    roots = checks.wholes("roots", roots, 0, graph.num_sources - 1, shape=(None,))
    length = checked_length(alpha, length)
    return _expected_visits(graph, roots, alpha, length=length)


def pagerank(
    graph: WeightedGraph,
    roots: ArrayLike,
    *,
    alpha: ArrayLike = 0.15,
    length: int | None = None,
) -> jax.Array:
    """Personalized PageRank of each root, by power iteration.

    The walk returns to the root with probability ``alpha`` at each step and from vertices without
    outgoing weight, so that the result is :func:`expected_visits` as shares.

    Args:
        graph: among users.
        roots: ``int[R]``.
        alpha: probability of a return, in ``(0, 1]``; one minus the usual damping factor.
        length: steps; :func:`jaxswarm.trust.walks.walk_length` by default.

    Returns:
        ``float32[R, N]`` with rows of sum 1.

    Example:
        >>> from jaxswarm.trust import graphs, walks
        >>> line = graphs.weighted_graph([(0, 1), (1, 0)], 2)
        >>> [round(float(share), 3) for share in walks.pagerank(line, [0], alpha=0.5)[0]]
        [0.667, 0.333]

    Raises:
        ValueError: as :func:`expected_visits`, also for ``alpha = 0``.
    """
    checks.real("alpha", alpha, above=0.0, high=1.0)
    visits = expected_visits(graph, roots, alpha=alpha, length=length)
    return visits / jnp.sum(visits, axis=1, keepdims=True)


def solved_visits(graph: WeightedGraph, roots: ArrayLike, *, alpha: float = 0.1) -> np.ndarray:
    """Expected visits of walks of any length, by a dense linear solve on the host: an oracle.

    Solves ``(I - (1 - alpha) P^T) x = e_root`` in float64. Memory grows with ``N²``.

    Args:
        graph: concrete.
        roots: ``int[R]``.
        alpha: in ``(0, 1]``.

    Returns:
        ``float64[R, N]``, the start included.

    Raises:
        ValueError: for unknown roots or ``alpha`` out of range.
    """
    _require_square(checks.concrete("graph", graph))
    n = graph.num_sources
    roots = checks.wholes("roots", roots, 0, n - 1, shape=(None,))
    roots = np.asarray(roots)
    checks.real("alpha", checks.concrete("alpha", alpha), above=0.0, high=1.0)
    moves = np.zeros((n, n + 1))
    weights = np.asarray(graph.weights, np.float64)
    np.add.at(moves, (np.arange(n)[:, None], np.asarray(graph.targets)), weights)
    moves = moves[:, :n]
    totals = moves.sum(axis=1, keepdims=True)
    moves = np.divide(moves, totals, out=np.zeros_like(moves), where=totals > 0)
    system = np.eye(n) - (1.0 - float(alpha)) * moves.T
    return np.linalg.solve(system, np.eye(n)[:, roots]).T


def expected_item_visits(
    network: TrustNetwork,
    roots: ArrayLike,
    *,
    alpha: ArrayLike = 0.1,
    length: int | None = None,
) -> jax.Array:
    """Expected visits of items of a walk of :func:`jaxswarm.trust.walks.item_walks`.

    The walk is a Markov chain on pairs of a user and the item over which it came, one for each
    affinity edge; power iteration on these pairs takes ``U * K_affinity * K_trust`` operations a
    step.

    Args:
        network: trust and affinity.
        roots: ``int[R]``.
        alpha: in ``[0, 1]``.
        length: steps of either kind; :func:`jaxswarm.trust.walks.walk_length` by default.

    Returns:
        ``float32[R, I]``.

    Raises:
        ValueError: as :func:`jaxswarm.trust.walks.item_walks`.
    """
    require_network(network)
    roots = checks.wholes("roots", roots, 0, network.num_users - 1, shape=(None,))
    length = checked_length(alpha, length)
    return _expected_item_visits(network, roots, alpha, length=length)


def salsa(
    network: TrustNetwork,
    roots: ArrayLike,
    *,
    restart: ArrayLike = 0.02,
    length: int | None = None,
) -> jax.Array:
    """Personalized SALSA: shares of the visits of items by a walk that ignores trust.

    From a user to an item in proportion to affinity, from the item to any of the users with
    affinity to it in proportion to this affinity; at users the walk returns to the root with
    probability ``restart``, and from users without affinity.

    Args:
        network: only its affinity is used.
        roots: ``int[R]``.
        restart: in ``(0, 1]``.
        length: pairs of steps; :func:`jaxswarm.trust.walks.walk_length` of ``restart`` by default.

    Returns:
        ``float32[R, I]`` with rows of sum 1, or 0 for roots without affinity.

    Raises:
        ValueError: for unknown roots or a probability out of range.
    """
    require_network(network)
    roots = checks.wholes("roots", roots, 0, network.num_users - 1, shape=(None,))
    checks.real("restart", restart, above=0.0, high=1.0)
    length = checked_length(restart, length)
    return _salsa(network, roots, restart, length=length)


def _shares(weights: jax.Array, totals: jax.Array) -> jax.Array:
    return jnp.where(totals > 0, weights / jnp.where(totals > 0, totals, 1.0), 0.0)


def _sums_of_others(values: jax.Array) -> jax.Array:
    """Sum of the other entries of each row ``[N, K]``, from the left and from the right."""
    left = jnp.cumsum(values, axis=1)[:, :-1]
    right = jnp.cumsum(values[:, ::-1], axis=1)[:, :-1][:, ::-1]
    return jnp.pad(left, ((0, 0), (1, 0))) + jnp.pad(right, ((0, 0), (0, 1)))


@functools.partial(jax.jit, static_argnames="length")
def _expected_visits(graph: WeightedGraph, roots: Any, alpha: Any, *, length: int) -> jax.Array:
    graph, roots = jax.tree.map(jnp.asarray, (graph, roots))
    n = graph.num_sources
    moves = _shares(graph.weights, jnp.sum(graph.weights, axis=1, keepdims=True))

    def of_root(root: jax.Array) -> jax.Array:
        start = jnp.zeros(n).at[root].set(1.0)

        def step(carry: Any, _: None) -> Any:
            here, visits = carry
            flow = (1.0 - alpha) * here[:, None] * moves
            here = jnp.zeros(n).at[graph.targets].add(flow, mode="drop")
            return (here, visits + here), None

        return jax.lax.scan(step, (start, start), length=length)[0][1]

    return jax.vmap(of_root)(roots)


@functools.partial(jax.jit, static_argnames="length")
def _expected_item_visits(
    network: TrustNetwork, roots: Any, alpha: Any, *, length: int
) -> jax.Array:
    network, roots = jax.tree.map(jnp.asarray, (network, roots))
    trust, affinity = network.trust, network.affinity
    users, items, slots = network.num_users, network.num_items, affinity.width
    rated, weights = affinity.targets, affinity.weights
    # Weight of the items of a user other than the one of each slot, summed without cancellation.
    others = _sums_of_others(weights)
    total = jnp.sum(weights, axis=1)
    # From a user over an item to the trusted users that rated it: [U, K_affinity, K_trust].
    trusted = jnp.broadcast_to(trust.targets[:, None, :], (users, slots, trust.width))
    arrival, shared = find_edge(affinity, trusted, rated[:, :, None])
    shared = jnp.where(trust.weights[:, None, :] > 0, shared, 0.0)
    onward = _shares(shared, jnp.sum(shared, axis=-1, keepdims=True))

    def of_root(root: jax.Array) -> jax.Array:
        def pair(carry: Any, t: jax.Array) -> Any:
            came, visits = carry
            began = jnp.zeros(users).at[root].set(jnp.where(t == 0, 1.0, 0.0))
            rate = _shares(came, others)
            rest = _sums_of_others(rate) + _shares(began, total)[:, None]
            chosen = (1.0 - alpha) * weights * rest
            visits = visits.at[rated].add(chosen, mode="drop")
            flow = (1.0 - alpha) * chosen[:, :, None] * onward
            came = jnp.zeros((users, slots)).at[trusted, arrival].add(flow, mode="drop")
            return (came, visits), None

        start = (jnp.zeros((users, slots)), jnp.zeros(items))
        return jax.lax.scan(pair, start, jnp.arange(-(-length // 2)))[0][1]

    return jax.vmap(of_root)(roots)


@functools.partial(jax.jit, static_argnames="length")
def _salsa(network: TrustNetwork, roots: Any, restart: Any, *, length: int) -> jax.Array:
    affinity, roots = jax.tree.map(jnp.asarray, (network.affinity, roots))
    users, items = affinity.num_sources, affinity.num_targets
    weights, rated = affinity.weights, affinity.targets
    to_items = _shares(weights, jnp.sum(weights, axis=1, keepdims=True))
    popularity = jnp.zeros(items + 1).at[rated].add(weights)
    to_users = _shares(weights, popularity[rated])
    if users * max(users, items) <= DENSE:  # matrix products are faster than scattered sums
        rows = jnp.arange(users)[:, None]
        to_items, to_users = (
            jnp.zeros((users, items + 1)).at[rows, rated].add(x)[:, :items]
            for x in (to_items, to_users)
        )
        moves = (1.0 - restart) * to_items @ to_users.T

        def step(carry: Any, _: None) -> Any:
            here, total = carry
            return (here @ moves, total + here), None

        start = jnp.zeros((len(roots), users)).at[jnp.arange(len(roots)), roots].set(1.0)
        total = jax.lax.scan(step, (start, jnp.zeros_like(start)), length=length)[0][1]
        visits = total @ to_items
        return _shares(visits, jnp.sum(visits, axis=1, keepdims=True))

    def of_root(root: jax.Array) -> jax.Array:
        start = jnp.zeros(users).at[root].set(1.0)

        def pair(carry: Any, _: None) -> Any:
            here, visits = carry
            seen = jnp.zeros(items + 1).at[rated].add(here[:, None] * to_items)
            here = (1.0 - restart) * jnp.sum(to_users * seen[rated], axis=1)
            return (here, visits + seen[:items]), None

        visits = jax.lax.scan(pair, (start, jnp.zeros(items)), length=length)[0][1]
        return _shares(visits, jnp.sum(visits))

    return jax.vmap(of_root)(roots)
