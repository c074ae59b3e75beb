"""Graphs that are found by search: a pruned mesh, and the graphs of the oracle."""

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


def stars(slots: int) -> ac.RoleGraph:
    """Stars with up to two retrieval, planning and algorithm agents and up to one testing one."""
    made = []
    for counts in itertools.product(range(3), range(3), range(3), range(2)):
        names = ("retrieval", "planning", "algorithm", "testing")
        team = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
        made.append(ac.star(team, slots=slots))
    return ac.stacked(made)


def neighbor(rng: np.random.Generator, graph: ac.RoleGraph) -> ac.RoleGraph:
    """A random graph one change away, valid or not.

    A reference more or less, another role, one agent less, or one more at the front.
    """
    nodes = int(np.argmax(np.append(graph.role, ac.STOP) == ac.STOP))
    role, opens, refs = (np.array(x) for x in graph)
    kind = rng.choice(4, p=(0.4, 0.2, 0.2, 0.2))
    if kind == 2 and nodes > 1:
        return without_node(graph, int(rng.integers(nodes)))
    if kind == 3 and nodes < len(role):
        read = np.zeros(nodes, bool)
        read[-1] = True
        role = np.r_[rng.integers(len(ac.ROLES)), role[:-1]]
        refs = np.pad(refs[:-1, :-1], ((1, 0), (1, 0)))
        refs[1 : nodes + 1, 0] = read | (rng.random(nodes) < 0.2)
        opens = np.r_[True, opens[:-1]]
        if nodes > 1 and not refs[1].any():
            opens[1] = False  # joins the first layer
        return ac.RoleGraph(role.astype(np.int32), opens, refs)
    if kind == 1 or nodes == 1:
        role[rng.integers(nodes)] = rng.integers(len(ac.ROLES))
        return ac.RoleGraph(role, opens, refs)
    i = int(rng.integers(1, nodes))
    j = int(rng.integers(i))
    refs[i, j] = ~refs[i, j]
    return ac.RoleGraph(role, opens, refs)


def fitted_graphs(
    score: Callable[[ac.RoleGraph, np.ndarray], np.ndarray], start: ac.RoleGraph, count: int,
    draws: int, rounds: int, *, seed: int,
) -> ac.RoleGraph:  # fmt: skip
    """Search a graph for each of ``count`` tasks: the best star or ``start``, then local search.

    In each round seven candidates of a task, its graph and six neighbours, are executed on the
    same eight draws, which are new in each round, and the best is kept. For the last choice the
    first and the last graph of the search are compared on ``8 draws`` new ones.

    Args:
        score: ``score(graphs [C, B, ...], draw [C]) -> rewards [C, B]``, C = :data:`CANDIDATES`.
        start: a graph that is tried beside the stars.
        count: ``B``.
        draws: executions of each star and of ``start``.
        rounds: of the local search.
        seed: of the neighbours.
    """
    rng = np.random.default_rng(seed)
    family = ac.stacked([*_unstacked(stars(len(start.role))), start])
    pool = [np.resize(x, (CANDIDATES, *x.shape[1:])) for x in family]
    many = ac.RoleGraph(*(np.broadcast_to(x[:, None], (CANDIDATES, count, *x.shape[1:]))
                          for x in pool))  # fmt: skip
    values = sum(score(many, np.full(CANDIDATES, d, np.int32)) for d in range(draws))
    best = np.argmax(values, axis=0)
    present = [ac.RoleGraph(*(x[b] for x in pool)) for b in best]
    first, drawn = list(present), draws
    for _ in range(rounds):
        tried = [[graph, *(neighbor(rng, graph) for _ in range(6))] for graph in present]
        means = _means(score, tried, drawn)
        drawn += 8
        present = [each[int(np.argmax(means[:, b]))] for b, each in enumerate(tried)]
    pairs = [[a, b, a, a, a, a, a] for a, b in zip(first, present, strict=True)]
    means = np.sum([_means(score, pairs, drawn + 8 * i)[:2] for i in range(draws)], axis=0)
    return ac.stacked([pair[int(means[1, b] > means[0, b])] for b, pair in enumerate(pairs)])


def _means(score: Any, tried: list[list[ac.RoleGraph]], first: int) -> np.ndarray:
    """Mean rewards ``[7, B]`` of seven graphs for each task on eight draws."""
    graphs = ac.stacked([graph for each in zip(*tried, strict=True) for graph in each])
    shaped = [x.reshape(7, -1, *x.shape[1:]) for x in graphs]
    many = ac.RoleGraph(*(np.concatenate([x] * 8) for x in shaped))
    return score(many, first + np.repeat(np.arange(8, dtype=np.int32), 7)).reshape(8, 7, -1).mean(0)


def _unstacked(graphs: ac.RoleGraph) -> list[ac.RoleGraph]:
    return [ac.RoleGraph(*leaves) for leaves in zip(*graphs, strict=True)]
