"""Rankings of items and users as each root sees them.

References:
    R. Madhwal, J. Pouwelse, Web3Recommend: decentralised recommendations with trust and relevance,
    2023.
    B. Nasrulin, G. Ishmaev, J. Pouwelse, MeritRank: Sybil tolerant reputation for merit-based
    tokenomics, 2022.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.graphs import TrustNetwork, WeightedGraph
from jaxswarm.trust.graphs._graph import require_network
from jaxswarm.trust.walks._exact import pagerank
from jaxswarm.trust.walks._records import (
    _require_square,
    checked_length,
    item_walks,
    trust_walks,
)
from jaxswarm.trust.walks._scores import is_zero, scores
from jaxswarm.types import ArrayLike, Key

FOUND, NO_TRUST, NO_AFFINITY = "", "no trust edges", "no affinity edges"
"""Reasons why a ranking is empty."""


class View(NamedTuple):
    """What one root sees, or several (with a leading axis, and a tuple of reasons).

    Attributes:
        scores: ``float32[..., M]`` of items or users, at least 0.
        order: ``int32[..., M]``, best first; equal scores by position.
        reason: empty, or why all scores are 0.
    """

    scores: jax.Array
    order: jax.Array
    reason: Any


def rank(
    network: TrustNetwork,
    root: ArrayLike,
    alpha: ArrayLike = 0.1,
    beta: ArrayLike = 0.8,
    *,
    threshold: ArrayLike = 0.99,
    exploration: ArrayLike = 0.0,
    num_walks: int = 1000,
    length: int | None = None,
    key: Key | None = None,
) -> View:
    """Rank items for a user by its own random walks over users that it trusts (Web3Recommend).

    The score of an item is its share of the visits of :func:`jaxswarm.trust.walks.item_walks`,
    times ``1 - beta`` if (nearly) all walks to it pass one other vertex, as walks to the items of
    an attacker's Sybils do. With exploration ``e > 0`` a visit from user ``u`` counts ``(1 - e) + e
    U pagerank(u)``, with the root's personalized PageRank on the trust graph.

    Args:
        network: trust and affinity of ``U`` users and ``I`` items.
        root: a user, or ``int[R]`` users, each of which runs its own walks.
        alpha: probability of stopping before each step; 0 needs a ``length``.
        beta: decay behind a bottleneck, in ``[0, 1]``.
        threshold: share of walks that makes a bottleneck, in ``[0, 1]``.
        exploration: ``e`` in ``[0, 1]``.
        num_walks: walks of each root.
        length: limit of the steps; :func:`jaxswarm.trust.walks.walk_length` by default.
        key: ``jax.random.key(0)`` by default, the same walks in each call.

    Returns:
        A view of ``I`` items. A root without trust or affinity edges gets scores 0 and the reason.

    Example:
        >>> from jaxswarm.trust import graphs, walks
        >>> likes = [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (3, 2)]
        >>> network = graphs.trust_network(
        ...     trust=graphs.weighted_graph([(0, 1), (0, 2)], 4),
        ...     affinity=graphs.weighted_graph(likes, 4, 3),
        ... )
        >>> view = walks.rank(network, root=0, alpha=0.1, beta=0.8, num_walks=100)
        >>> view.order.tolist(), float(view.scores[2])
        ([0, 1, 2], 0.0)
        >>> walks.rank(network, root=3, num_walks=100).reason
        'no trust edges'

    Raises:
        ValueError: for an unknown root, numbers out of range, or ``alpha = 0`` without a length.
    """
    require_network(network)
    users, items = network.num_users, network.num_items
    roots, single = _roots(root, users)
    length = checked_length(alpha, length)
    checks.probability("exploration", exploration)
    checks.probability("beta", beta)
    checks.probability("threshold", threshold)
    records = item_walks(_key(key), network, roots, alpha=alpha, num_walks=num_walks, length=length)
    weights = None
    if not is_zero(exploration):
        reach = pagerank(network.trust, roots, alpha=EXPLORATION_ALPHA)
        weights = jax.vmap(_exploring, (0, 0, None))(records, reach, jnp.asarray(exploration))
    found = scores(
        records,
        users + items,
        beta=beta,
        threshold=threshold,
        targets=np.arange(users + items) >= users,
        weights=weights,
    )
    reasons = _reasons(network.trust, network.affinity, roots)
    return _view(found[:, users:], reasons, single)


EXPLORATION_ALPHA = 0.005
"""Probability of a return of the PageRank that weighs exploration."""


def reputation(
    graph: WeightedGraph,
    root: ArrayLike,
    alpha: ArrayLike = 0.1,
    beta: ArrayLike = 0.8,
    *,
    threshold: ArrayLike = 0.99,
    num_walks: int = 1000,
    length: int | None = None,
    key: Key | None = None,
) -> View:
    """Reputation of users as a root sees them, by random walks on its trust graph (MeritRank).

    The reputation of a user is its share of the visits of
    :func:`jaxswarm.trust.walks.trust_walks`, times ``1 - beta`` behind a bottleneck.

    Args:
        graph: trust among ``N`` users.
        root: a user, or ``int[R]`` users.
        alpha: transitivity decay, the probability of stopping before each step.
        beta: connectivity decay, in ``[0, 1]``.
        threshold: share of walks that makes a bottleneck, in ``[0, 1]``.
        num_walks: walks of each root.
        length: limit of the steps; :func:`jaxswarm.trust.walks.walk_length` by default.
        key: ``jax.random.key(0)`` by default.

    Returns:
        A view of ``N`` users; the root's score for itself is 0.

    Example:
        >>> from jaxswarm.trust import graphs, walks
        >>> diamond = graphs.weighted_graph([(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)], 5)
        >>> plain = walks.reputation(diamond, 0, beta=0.0, num_walks=100).scores
        >>> decayed = walks.reputation(diamond, 0, beta=0.8, num_walks=100).scores
        >>> [round(float(x), 2) for x in (decayed / plain)[1:]]  # all walks to 4 pass 3
        [1.0, 1.0, 1.0, 0.2]

    Raises:
        ValueError: as :func:`rank`.
    """
    _require_square(graph)
    n = graph.num_sources
    roots, single = _roots(root, n)
    length = checked_length(alpha, length)
    checks.probability("beta", beta)
    checks.probability("threshold", threshold)
    records = trust_walks(_key(key), graph, roots, alpha=alpha, num_walks=num_walks, length=length)
    found = scores(records, n, beta=beta, threshold=threshold)
    return _view(found, _reasons(graph, None, roots), single)


def _exploring(record: jax.Array, reach: jax.Array, exploration: jax.Array) -> jax.Array:
    """What each entry ``[W, T + 1]`` of a root's records counts: a visit by the user before it."""
    users = reach.shape[0]
    before = jnp.concatenate([record[:, :1], record[:, :-1]], axis=1)
    known = jnp.where(before < users, reach[jnp.minimum(before, users - 1)], 0.0)
    return (1.0 - exploration) + exploration * users * known


def _key(key: Key | None) -> Key:
    return jax.random.key(0) if key is None else checks.key(key)


def _roots(root: Any, num_users: int) -> tuple[Any, bool]:
    if checks.is_traced(root):
        return jnp.atleast_1d(checks.wholes("root", root)), root.ndim == 0
    array = checks.wholes("root", root, 0, num_users - 1)
    if array.ndim > 1 or array.size == 0:
        raise ValueError(f"root: expected a user or users [R], got shape {list(array.shape)}")
    return np.atleast_1d(array), array.ndim == 0


def _reasons(
    trust: WeightedGraph, affinity: WeightedGraph | None, roots: Any
) -> tuple[str, ...] | None:
    """Why each root's ranking is empty; ``None`` where that is traced."""
    graphs = [(trust, NO_TRUST)] + ([] if affinity is None else [(affinity, NO_AFFINITY)])
    if any(checks.is_traced(x) for x in (roots, *(graph.weights for graph, _ in graphs))):
        return None
    reasons = [FOUND] * len(roots)
    for graph, reason in reversed(graphs):
        rows = np.asarray(graph.weights)[np.asarray(roots)]
        for i in np.flatnonzero(~(rows > 0).any(axis=1)):
            reasons[i] = reason
    return tuple(reasons)


def _view(found: jax.Array, reasons: tuple[str, ...] | None, single: bool) -> View:
    order = jnp.argsort(-found, axis=1, stable=True).astype(jnp.int32)
    if reasons is not None:
        empty = np.array([bool(reason) for reason in reasons])[:, None]
        found = jnp.where(empty, 0.0, found)
        order = jnp.where(empty, jnp.arange(found.shape[1], dtype=jnp.int32), order)
    if single:
        return View(found[0], order[0], None if reasons is None else reasons[0])
    return View(found, order, reasons)
