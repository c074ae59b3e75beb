"""Graphs with Sybils: many identities of one attacker, joined to honest agents by attack edges.

References:
    H. Yu, M. Kaminsky, P. Gibbons, A. Flaxman, SybilGuard: defending against Sybil attacks via
    social networks, 2006 (attack edges). T. Werthenbach, J. Pouwelse, Towards Sybil resilience in
    decentralized learning, 2023 (their density and placement).
"""

from typing import NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.topology.convert import to_networkx
from jaxswarm.topology.graph import Topology, from_edges
from jaxswarm.topology.validation import require_symmetric, require_topology


class SybilSwarm(NamedTuple):
    """Honest agents first, then the Sybils.

    Attributes:
        topology: of all.
        sybil: ``bool[N]``.
        attack_edges: ``int32[A, 2]``, honest agent and Sybil.
    """

    topology: Topology
    sybil: np.ndarray
    attack_edges: np.ndarray


def with_sybils(
    honest: Topology,
    density: float,
    *,
    max_degree: int = 7,
    victims: np.ndarray | None = None,
    total: int | None = None,
) -> SybilSwarm:
    """Join Sybils to an honest graph by ``density`` attack edges for each honest agent.

    The whole part of the density gives every agent that many attack edges; the rest goes to agents
    spread over the graph, each the furthest from those chosen before (greedy k-center, in hops, in
    place of the paper's k-medoids). A Sybil has at most ``max_degree`` victims, all different, so
    up to density 1 no victim is joined to two Sybils.

    Args:
        honest: undirected.
        density: attack edges per honest agent, at least 0.
        max_degree: attack edges of a Sybil, at least 1.
        victims: agents to place all attack edges on, in turn, instead.
        total: agents in all; Sybils beyond those needed get no edge. By default just enough.

    Raises:
        ValueError: on a directed graph, a density or degree out of range, unknown victims, or a
            ``total`` that is too small for the Sybils.
    """
    require_topology(honest, "honest")
    if honest.is_sequence:
        raise ValueError(f"honest: expected a single topology, got the sequence {honest.name}")
    require_symmetric(honest, "attack edges")
    n = honest.num_agents
    checks.real("density", checks.concrete("density", density), 0.0, 2.0**20)
    max_degree = checks.whole("max_degree", max_degree, 1)
    if total is not None:
        total = checks.whole("total", total, n)
    count = round(float(density) * n)
    if victims is None:
        whole = np.tile(np.arange(n), count // n)
        rest = count - len(whole)
        stubs = np.concatenate([whole, _spread(honest, rest)]).astype(np.int64)
    else:
        given = checks.concrete("victims", victims)
        chosen = np.unique(checks.wholes("victims", given, 0, n - 1, shape=(None,)))
        if not len(chosen):
            raise ValueError(f"victims: expected agents in [0, {n}), got none")
        stubs = np.resize(chosen.astype(np.int64), count)
    per_sybil = min(max_degree, len(np.unique(stubs))) if count else max_degree
    sybils = -(-count // per_sybil)
    size = n + sybils if total is None else total
    if size < n + sybils:
        raise ValueError(f"total: expected at least {n} honest and {sybils} Sybils, got {total}")
    # Assigned in turn: edges of one victim are next to each other, so they get different Sybils.
    assigned = n + np.arange(count) % max(sybils, 1)
    attack = np.stack([np.sort(stubs), assigned], axis=1).astype(np.int32)
    mask = np.asarray(honest.mask)
    ends = np.stack([np.asarray(honest.senders)[mask], np.asarray(honest.receivers)[mask]], axis=1)
    edges = np.concatenate([ends[ends[:, 0] < ends[:, 1]], attack])
    return SybilSwarm(from_edges(edges, size, name="sybils"), np.arange(size) >= n, attack)


def _spread(topology: Topology, count: int) -> np.ndarray:
    """Choose ``count`` agents far from each other."""
    import networkx as nx

    if not count:
        return np.zeros(0, np.int64)
    graph = nx.Graph(to_networkx(topology).to_undirected())
    n = topology.num_agents
    center = max(graph.nodes, key=lambda node: (graph.degree[node], -node))
    chosen, nearest = [center], np.full(n, n)
    while True:
        for node, hops in nx.single_source_shortest_path_length(graph, chosen[-1]).items():
            nearest[node] = min(nearest[node], hops)
        if len(chosen) == count:
            return np.array(chosen)
        chosen.append(int(np.argmax(nearest)))
