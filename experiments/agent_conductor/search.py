"""Graphs that are found by search: a pruned mesh, and the family of the oracle."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxswarm.systems import agent_conductor as ac

CANDIDATES = 56
"""Single removals that are scored at once; the rest of the places repeats the graph itself."""


def without_edge(graph: ac.RoleGraph, i: int, j: int) -> ac.RoleGraph:
    """The graph without the reference of agent ``i`` to agent ``j``."""
    refs = np.array(graph.refs)
    refs[i, j] = False
    return ac.RoleGraph(graph.role, graph.opens, refs)


def without_node(graph: ac.RoleGraph, i: int) -> ac.RoleGraph:
    """The graph without agent ``i``; later agents move forward."""
    n = len(graph.role)
    role, opens, refs = (np.array(x) for x in graph)
    if opens[i] and i + 1 < n and role[i + 1] != ac.STOP:
        opens[i + 1] = True
    keep = np.r_[np.delete(np.arange(n), i), i]
    role[i], opens[i], refs[i], refs[:, i] = ac.STOP, False, False, False
    return ac.RoleGraph(role[keep], opens[keep], refs[np.ix_(keep, keep)])


def removals(graph: ac.RoleGraph) -> list[ac.RoleGraph]:
    """All graphs with one agent or one reference less, at most :data:`CANDIDATES`."""
    nodes = int(ac.graph_size(graph).nodes)
    made = [without_node(graph, i) for i in range(nodes)]
    made += [without_edge(graph, int(i), int(j)) for i, j in np.argwhere(np.asarray(graph.refs))]
    return made[:CANDIDATES]


def pruned_graph(
    score: Callable[[ac.RoleGraph], Any], start: ac.RoleGraph, rounds: int
) -> ac.RoleGraph:
    """Prune a graph: in each round the best removal of one agent or reference, while it helps."""
    graph, best = start, -np.inf
    for _ in range(rounds):
        made = removals(graph)
        padded = made + [graph] * (CANDIDATES - len(made))
        values = np.asarray(score(ac.stacked(padded)))
        if values.max() <= best + 1e-6 or values.argmax() >= len(made):
            break
        graph, best = made[int(values.argmax())], float(values.max())
    return graph


def oracle_family(slots: int) -> ac.RoleGraph:
    """Stars with up to two retrieval, planning and algorithm agents and up to one testing one."""
    made = []
    for counts in itertools.product(range(3), range(3), range(3), range(2)):
        names = ("retrieval", "planning", "algorithm", "testing")
        team = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
        made.append(ac.star(team, slots=slots))
    return ac.stacked(made)
