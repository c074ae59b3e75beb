"""Trust edges between users of similar affinity: user-based collaborative filtering.

References:
    P. Resnick et al., GroupLens: an open architecture for collaborative filtering of netnews, 1994
    (Pearson correlation of users).
    R. Madhwal, J. Pouwelse, Web3Recommend: decentralised recommendations with trust and relevance,
    2023 (the test network: the best five users by common items, correlation and difference).
"""

import numpy as np

from jaxswarm import checks
from jaxswarm.trust.graphs._graph import WeightedGraph, edge_list, require_graph, weighted_graph

BLOCK = 256
"""Users whose similarities are held at once, ``[BLOCK, U]``."""


def similar_users(
    affinity: WeightedGraph, count: int = 5, *, min_common: int = 2, mix: float = 0.5
) -> WeightedGraph:
    """Let every user trust the users whose affinities are most like its own.

    Similarity over the ``c`` items that two users share is ``c / (c + min_common) (mix (1 + r) / 2
    + (1 - mix) (1 - d))``, with Pearson's correlation ``r`` (0 where it is undefined) and the root
    mean square difference ``d`` of affinities, each divided by the user's greatest. It lies in
    ``[0, 1)`` and is the weight of the edge.

    Args:
        affinity: users to items, concrete.
        count: trusted users of each user, at least 1; fewer where fewer share enough items.
        min_common: least number of shared items, at least 1.
        mix: share of the correlation, in ``[0, 1]``.

    Example:
        >>> from jaxswarm.trust import graphs
        >>> likes = [(0, 0), (0, 1), (1, 0), (1, 1), (2, 1), (2, 2)]
        >>> affinity = graphs.weighted_graph(likes, 3, 3)
        >>> graphs.edge_list(graphs.similar_users(affinity, count=1))[0].tolist()
        [[0, 1], [1, 0]]

    Raises:
        ValueError: for a graph that is not bipartite or not concrete, or numbers out of range.
    """
    if not require_graph("affinity", affinity).bipartite:
        raise ValueError("affinity: expected users to items, got a graph among users")
    count = checks.whole("count", count, 1)
    min_common = checks.whole("min_common", min_common, 1)
    mix = float(checks.probability("mix", mix))
    edges, weights, _ = edge_list(affinity)
    n = affinity.num_sources
    values = np.zeros((n, affinity.num_targets))
    values[edges[:, 0], edges[:, 1]] = weights
    has = np.zeros(values.shape)
    has[edges[:, 0], edges[:, 1]] = weights > 0
    values /= np.maximum(values.max(axis=1, keepdims=True), np.finfo(float).tiny)
    pairs, similarities = [], []
    for start in range(0, n, BLOCK):
        rows = slice(start, min(start + BLOCK, n))
        found = _similarity(values[rows], has[rows], values, has, min_common, mix)
        found[np.arange(found.shape[0]), np.arange(rows.start, rows.stop)] = 0.0
        best = np.argsort(-found, axis=1, kind="stable")[:, :count]
        kept = np.take_along_axis(found, best, axis=1)
        at = np.nonzero(kept > 0)
        pairs.append(np.stack([at[0] + start, best[at]], axis=1))
        similarities.append(kept[at])
    return weighted_graph(np.concatenate(pairs), n, weights=np.concatenate(similarities))


def _similarity(
    a: np.ndarray, has_a: np.ndarray, b: np.ndarray, has_b: np.ndarray, least: int, mix: float
) -> np.ndarray:
    """Similarity ``[A, B]`` of the rows of two blocks; 0 for fewer than ``least`` shared items."""
    common = has_a @ has_b.T
    size = np.maximum(common, 1.0)
    sum_a, sum_b, product = a @ has_b.T, has_a @ b.T, a @ b.T
    square_a, square_b = (a * a) @ has_b.T, has_a @ (b * b).T
    spread = np.maximum(square_a - sum_a**2 / size, 0.0)
    spread = np.sqrt(spread * np.maximum(square_b - sum_b**2 / size, 0.0))
    known = spread > 1e-9
    correlation = (product - sum_a * sum_b / size) / np.where(known, spread, 1.0) * known
    apart = np.sqrt(np.maximum(square_a + square_b - 2.0 * product, 0.0) / size)
    alike = mix * (1.0 + np.clip(correlation, -1.0, 1.0)) / 2.0 + (1.0 - mix) * (1.0 - apart)
    return np.where(common >= least, common / (common + least) * alike, 0.0)
