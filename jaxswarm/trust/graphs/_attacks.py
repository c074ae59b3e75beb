"""Sybil attacks on networks of trust and affinity, as edits of the graphs.

References:
    B. Nasrulin, G. Ishmaev, J. Pouwelse, MeritRank: Sybil tolerant reputation for merit-based
    tokenomics, 2022 (serial, parallel and cyclic attacks).
    R. Madhwal, J. Pouwelse, Web3Recommend: decentralised recommendations with trust and relevance,
    2023.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.trust.graphs._graph import (
    TrustNetwork,
    edge_list,
    require_network,
    trust_network,
    weighted_graph,
)

SHAPES = ("chain", "star", "cycle")
"""How Sybils trust each other, see :func:`sybil_attack`."""


class Attacked(NamedTuple):
    """A network with Sybils; users and items of before keep their positions.

    Attributes:
        network: with the Sybils behind the honest users and their items behind the honest items.
        attackers: ``bool[U]``, users of before that attack.
        sybils: ``bool[U]``, their Sybils.
        items: ``bool[I]``, what they promote.
    """

    network: TrustNetwork
    attackers: np.ndarray
    sybils: np.ndarray
    items: np.ndarray


def sybil_attack(
    network: TrustNetwork,
    attackers: Any,
    num_sybils: int,
    shape: str = "chain",
    *,
    num_items: int = 3,
    affinity: float = 1.0,
    sybil_affinity: float | None = None,
    trust: float = 1.0,
    cut_trust: bool = True,
    camouflage: int = 0,
    popular: int = 500,
    seed: int = 0,
    num_users_total: int | None = None,
    num_items_total: int | None = None,
    trust_width: int | None = None,
    affinity_width: int | None = None,
) -> Attacked:
    """Add Sybils and the items that they promote behind some users of a network.

    Every attacker ``a`` makes ``S`` Sybils ``s_1 … s_S`` of its own. In a *chain* ``a`` trusts
    ``s_1`` and each Sybil the next one; a *cycle* is a chain whose last Sybil trusts ``a``; in a
    *star* ``a`` trusts all Sybils, which trust none. All attackers and Sybils promote the same
    items. An attacker keeps its affinity to honest items, so that honest walks reach it.

    Args:
        network: concrete; left as it is.
        attackers: positions of users, at least one.
        num_sybils: ``S`` of each attacker, at least 0.
        shape: one of :data:`SHAPES`.
        num_items: promoted items, at least 1.
        affinity: weight of an attacker's edge to a promoted item, above 0.
        sybil_affinity: weight of each edge of a Sybil to an item; ``affinity`` by default. Where
            affinities are shares of a user's plays, a Sybil without camouflage can give ``1 /
            num_items``.
        trust: weight of each trust edge to a Sybil, above 0.
        cut_trust: whether attackers lose their trust edges to honest users.
        camouflage: honest items that each Sybil rates as well, drawn from the popular ones, at
            least 0.
        popular: from how many of the items with the greatest total affinity they are drawn.
        seed: of the draws.
        num_users_total: users after padding; the least number by default.
        num_items_total: items after padding.
        trust_width: edge slots of trust, so that networks of several attacks have one shape.
        affinity_width: edge slots of affinity.

    Example:
        >>> from jaxswarm.trust import graphs
        >>> network = graphs.trust_network(
        ...     graphs.weighted_graph([(0, 1)], 2), graphs.weighted_graph([(0, 0), (1, 0)], 2, 1)
        ... )
        >>> attacked = graphs.sybil_attack(network, [1], num_sybils=2, shape="cycle")
        >>> graphs.edge_list(attacked.network.trust)[0].tolist()
        [[0, 1], [1, 2], [2, 3], [3, 1]]
        >>> attacked.sybils.tolist()
        [False, False, True, True]

    Raises:
        ValueError: for unknown or repeated attackers, numbers out of range, or totals and widths
            that are too small.
    """
    checks.concrete("network", require_network(network))
    n, m = network.num_users, network.num_items
    chosen = checks.wholes("attackers", attackers, 0, n - 1, shape=(None,)).astype(np.int64)
    if len(chosen) == 0 or len(np.unique(chosen)) != len(chosen):
        raise ValueError(f"attackers: expected distinct users, at least one, got {attackers}")
    count = checks.whole("num_sybils", num_sybils)
    checks.choice("shape", shape, SHAPES)
    promoted = checks.whole("num_items", num_items, 1)
    sybil_affinity = affinity if sybil_affinity is None else sybil_affinity
    given = {"affinity": affinity, "sybil_affinity": sybil_affinity, "trust": trust}
    for name, value in given.items():
        checks.real(name, checks.concrete(name, value), above=0.0)
    checks.flag("cut_trust", cut_trust)
    popular = min(checks.whole("popular", popular, 1), m)
    camouflage = checks.whole("camouflage", camouflage, 0, popular)
    rng = np.random.default_rng(checks.whole("seed", seed))
    users, items = n + count * len(chosen), m + promoted
    total_users = users if num_users_total is None else num_users_total
    total_items = items if num_items_total is None else num_items_total
    total_users = checks.whole("num_users_total", total_users, users)
    total_items = checks.whole("num_items_total", total_items, items)

    edges, weights, times = edge_list(network.trust)
    kept = ~np.isin(edges[:, 0], chosen) if cut_trust else np.ones(len(edges), bool)
    sybils = n + np.arange(count * len(chosen)).reshape(len(chosen), count)
    added = _trust_edges(chosen, sybils, shape)
    trusted = weighted_graph(
        np.concatenate([edges[kept], added]),
        total_users,
        weights=np.concatenate([weights[kept], np.full(len(added), trust)]),
        times=np.concatenate([times[kept], np.zeros(len(added), np.int32)]),
        width=trust_width,
    )

    edges, weights, times = edge_list(network.affinity)
    promoters = np.concatenate([chosen, sybils.ravel()])
    pushed = np.stack(
        [np.repeat(promoters, promoted), np.tile(m + np.arange(promoted), len(promoters))], axis=1
    )
    likes = np.bincount(edges[:, 1], weights, minlength=m)
    liked = np.argsort(-likes, kind="stable")[:popular]
    covers = [rng.choice(liked, camouflage, replace=False) for _ in sybils.ravel()]
    cover = np.stack(
        [np.repeat(sybils.ravel(), camouflage), np.ravel(covers).astype(np.int64)], axis=1
    )
    added = np.concatenate([pushed, cover])
    rated = weighted_graph(
        np.concatenate([edges, added]),
        total_users,
        total_items,
        weights=np.concatenate(
            [weights, np.where(np.isin(added[:, 0], chosen), affinity, sybil_affinity)]
        ),
        times=np.concatenate([times, np.zeros(len(added), np.int32)]),
        width=affinity_width,
    )
    position = np.arange(total_users)
    place = np.arange(total_items)
    return Attacked(
        trust_network(trusted, rated),
        np.isin(position, chosen),
        (position >= n) & (position < users),
        (place >= m) & (place < items),
    )


def _trust_edges(attackers: np.ndarray, sybils: np.ndarray, shape: str) -> np.ndarray:
    """Trust edges ``[E, 2]`` of attackers ``[A]`` and their Sybils ``[A, S]``."""
    if shape == "star":
        return np.stack([np.repeat(attackers, sybils.shape[1]), sybils.ravel()], axis=1)
    line = np.concatenate([attackers[:, None], sybils], axis=1)
    heads, tails = line[:, :-1], line[:, 1:]
    if shape == "cycle" and sybils.shape[1]:
        heads = np.concatenate([heads, line[:, -1:]], axis=1)
        tails = np.concatenate([tails, line[:, :1]], axis=1)
    return np.stack([heads.ravel(), tails.ravel()], axis=1)
