"""Directed acyclic graphs over agents: whose actions an agent knows before it chooses its own.

``G[j, i] = 1`` means that ``j`` is a parent of ``i``: ``i`` knows ``j``'s action.
"""

from typing import Any

import networkx as nx
import numpy as np

from jaxswarm import checks


def independent(num_agents: int) -> np.ndarray:
    """Graph without edges, ``bool[N, N]``: a product of independent policies."""
    n = checks.whole("num_agents", num_agents, 1)
    return check_dag(np.zeros((n, n), bool))


def line(num_agents: int) -> np.ndarray:
    """Graph in which every agent knows the action of the agent before it, ``N − 1`` edges."""
    n = checks.whole("num_agents", num_agents, 1)
    return check_dag(np.eye(n, k=1, dtype=bool))


def full(num_agents: int) -> np.ndarray:
    """Graph in which every agent knows the actions of all agents before it.

    Any joint policy can be represented with it.
    """
    n = checks.whole("num_agents", num_agents, 1)
    return check_dag(np.triu(np.ones((n, n), bool), 1))


def check_dag(
    dag: np.ndarray, communicates: np.ndarray | None = None, *, name: str = "dag"
) -> np.ndarray:
    """Refuse a graph with cycles, or with edges along which no message is sent.

    Args:
        dag: ``[N, N]`` of 0 and 1.
        communicates: ``bool[N, N]``, ``[j, i]`` true where ``i`` receives what ``j`` sends; true
            everywhere by default.
        name: the argument, for messages.

    Returns:
        ``dag`` as ``bool[N, N]``.

    Raises:
        ValueError: naming what is wrong.

    Example:
        >>> import numpy as np
        >>> check_dag(np.array([[0, 1], [1, 0]]))
        Traceback (most recent call last):
        ...
        ValueError: dag: expected no cycle, got [(0, 1), (1, 0)]
    """
    if checks.is_traced(dag):
        raise ValueError(f"{name}: expected a known graph, got {checks.shown(dag)}")
    dag = checks.as_array(name, dag, "[N, N] of 0 and 1")
    if dag.ndim != 2 or dag.shape[0] != dag.shape[1] or not dag.size:
        raise ValueError(f"{name}: expected [N, N] with N ≥ 1, got shape {dag.shape}")
    if not np.isin(dag, (0, 1)).all():
        raise ValueError(f"{name}: expected entries 0 and 1")
    graph = nx.from_numpy_array(dag.astype(int), create_using=nx.DiGraph)
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError(f"{name}: expected no cycle, got {nx.find_cycle(graph)}")
    if communicates is not None:
        communicates = zeros_and_ones("communicates", communicates, dag.shape)
        missing = np.argwhere(dag.astype(bool) & ~communicates)
        if len(missing):
            raise ValueError(
                f"{name}: expected edges of the communication graph, got (j, i) = {missing[0]} "
                "outside"
            )
    return dag.astype(bool)


def topological_order(dag: np.ndarray) -> np.ndarray:
    """An order in which parents come first, ``int32[N]``."""
    graph = nx.from_numpy_array(check_dag(dag).astype(int), create_using=nx.DiGraph)
    return np.array(list(nx.lexicographical_topological_sort(graph)), np.int32)


def permutation_matrix(order: np.ndarray) -> np.ndarray:
    """``P[a, j] = 1`` where agent ``j = order[a]`` chooses in position ``a``, ``bool[N, N]``.

    Raises:
        ValueError: unless ``order`` contains every agent once.
    """
    order = checks.wholes("order", order, shape=(None,))
    if order.ndim != 1 or not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ValueError(f"order: expected every agent of [0, N) once, got {order.tolist()}")
    return np.eye(len(order), dtype=bool)[order]


def zeros_and_ones(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Check known flags, ``bool`` or of 0 and 1, of a shape, and return them as ``bool``.

    Raises:
        ValueError: naming the argument.
    """
    array = checks.as_array(name, value, f"bool{list(shape)}")
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {array.shape}")
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name}: expected entries 0 and 1")
    return array.astype(bool)
