"""Directed acyclic graphs over agents: whose actions an agent knows before it chooses its own.

``G[j, i] = 1`` means that ``j`` is a parent of ``i``: ``i`` knows ``j``'s action.
"""

import networkx as nx
import numpy as np


def independent(num_agents: int) -> np.ndarray:
    """Graph without edges, ``bool[N, N]``: a product of independent policies."""
    return check_dag(np.zeros((num_agents, num_agents), bool))


def line(num_agents: int) -> np.ndarray:
    """Graph in which every agent knows the action of the agent before it, ``N − 1`` edges."""
    return check_dag(np.eye(num_agents, k=1, dtype=bool))


def full(num_agents: int) -> np.ndarray:
    """Graph in which every agent knows the actions of all agents before it.

    Any joint policy can be represented with it.
    """
    return check_dag(np.triu(np.ones((num_agents, num_agents), bool), 1))


def check_dag(dag: np.ndarray, communicates: np.ndarray | None = None) -> np.ndarray:
    """Refuse a graph with cycles, or with edges along which no message is sent.

    Args:
        dag: ``[N, N]`` of 0 and 1.
        communicates: ``bool[N, N]``, ``[j, i]`` true where ``i`` receives what ``j`` sends; true
            everywhere by default.

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
    dag = np.asarray(dag)
    if dag.ndim != 2 or dag.shape[0] != dag.shape[1] or not dag.size:
        raise ValueError(f"dag: expected [N, N] with N ≥ 1, got shape {dag.shape}")
    if not np.isin(dag, (0, 1)).all():
        raise ValueError("dag: expected entries 0 and 1")
    graph = nx.from_numpy_array(dag.astype(int), create_using=nx.DiGraph)
    if not nx.is_directed_acyclic_graph(graph):
        raise ValueError(f"dag: expected no cycle, got {nx.find_cycle(graph)}")
    if communicates is not None:
        communicates = np.asarray(communicates, bool)
        if communicates.shape != dag.shape:
            raise ValueError(f"communicates: expected shape {dag.shape}, got {communicates.shape}")
        missing = np.argwhere(dag.astype(bool) & ~communicates)
        if len(missing):
            raise ValueError(
                f"dag: expected edges of the communication graph, got (j, i) = {missing[0]} outside"
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
    order = np.asarray(order)
    if order.ndim != 1 or not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ValueError(f"order: expected every agent of [0, N) once, got {order.tolist()}")
    return np.eye(len(order), dtype=bool)[order]
