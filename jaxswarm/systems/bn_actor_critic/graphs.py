"""Directed acyclic graphs over agents: who hears whose action before choosing its own.

``G[j, i] = 1`` means that ``j`` is a parent of ``i``: ``i`` knows ``j``'s action.
"""

import networkx as nx
import numpy as np


def independent(num_agents: int) -> np.ndarray:
    """Nobody hears anybody: ``bool[N, N]`` without edges, a product of policies."""
    return check_dag(np.zeros((num_agents, num_agents), bool))


def line(num_agents: int) -> np.ndarray:
    """Everybody hears the agent before, ``N − 1`` edges."""
    return check_dag(np.eye(num_agents, k=1, dtype=bool))


def full(num_agents: int) -> np.ndarray:
    """Everybody hears all agents before; any joint policy is one of these."""
    return check_dag(np.triu(np.ones((num_agents, num_agents), bool), 1))


def check_dag(dag: np.ndarray, communicates: np.ndarray | None = None) -> np.ndarray:
    """Refuse what is not an acyclic graph, or asks to hear who cannot be heard.

    Args:
        dag: ``[N, N]`` of 0 and 1.
        communicates: ``bool[N, N]``, ``[j, i]`` true where ``i`` receives what ``j`` sends; anybody
            by default.

    Returns:
        ``dag`` as ``bool[N, N]``.

    Raises:
        ValueError: naming what is wrong.
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
        heard = np.asarray(communicates, bool)
        if heard.shape != dag.shape:
            raise ValueError(f"communicates: expected shape {dag.shape}, got {heard.shape}")
        deaf = np.argwhere(dag.astype(bool) & ~heard)
        if len(deaf):
            raise ValueError(f"dag: parents outside the communication graph, (j, i) = {deaf[0]}")
    return dag.astype(bool)


def order(dag: np.ndarray) -> np.ndarray:
    """An order in which parents come first, ``int32[N]``."""
    graph = nx.from_numpy_array(check_dag(dag).astype(int), create_using=nx.DiGraph)
    return np.array(list(nx.lexicographical_topological_sort(graph)), np.int32)


def permutation(order: np.ndarray) -> np.ndarray:
    """``P[a, j] = 1`` where agent ``j = order[a]`` chooses in place ``a``, ``bool[N, N]``.

    Raises:
        ValueError: unless ``order`` names every agent once.
    """
    order = np.asarray(order)
    if order.ndim != 1 or not np.array_equal(np.sort(order), np.arange(len(order))):
        raise ValueError(f"order: expected every agent of [0, N) once, got {order.tolist()}")
    return np.eye(len(order), dtype=bool)[order]
