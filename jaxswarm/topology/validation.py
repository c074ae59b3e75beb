"""Checks of a graph on the host: connected, undirected, balanced, regular.

A sequence counts as connected when the union of its members is (no single matching is connected,
yet gossip over many of them reaches all agents).
"""

from typing import Any

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.checks import is_traced
from jaxswarm.topology.graph import Topology


def is_concrete(topology: Topology) -> bool:
    """Return whether the arrays can be inspected; false for arguments of ``jit``."""
    return not any(is_traced(leaf) for leaf in jax.tree.leaves(topology))


def is_symmetric(topology: Topology) -> bool:
    """Return whether the graph is undirected: every edge has its opposite, in every member."""
    senders, receivers, mask = _edges(topology)
    n = topology.num_agents
    there = np.where(mask, receivers * n + senders, -1)
    back = np.where(mask, senders * n + receivers, -1)
    return bool(np.array_equal(np.sort(there, axis=-1), np.sort(back, axis=-1)))


def is_balanced(topology: Topology) -> bool:
    """Return whether the in-degree of every agent is its out-degree, in every member."""
    incoming, outgoing = degrees(topology)
    return bool(np.array_equal(incoming, outgoing))


def is_regular(topology: Topology) -> bool:
    """Return whether all degrees of a member are one number (which may differ between members)."""
    numbers = np.concatenate(degrees(topology), axis=-1)
    return bool(np.all(numbers == numbers[..., :1]))


def degrees(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """Count ``(in-neighbours, out-neighbours)`` of every agent on the host, ``int64[..., N]`` each.

    Unlike :meth:`Topology.in_degrees` it can be called while ``jit`` traces something else.

    Raises:
        ValueError: if the topology itself is traced.
    """
    senders, receivers, mask = _edges(topology)
    n = topology.num_agents
    leading = mask.shape[:-1]
    first = np.arange(int(np.prod(leading))).reshape(*leading, 1) * n  # of each member
    incoming, outgoing = (
        np.bincount((ends + first)[mask], minlength=first.size * n).reshape(*leading, n)
        for ends in (receivers, senders)
    )
    return incoming, outgoing


def components(topology: Topology, alive: Any = None) -> np.ndarray:
    """Number the strongly connected component of each agent from 0, ``int32[N]``.

    In an undirected graph these are the usual connected components. For a sequence, of the union.

    Args:
        topology: concrete.
        alive: ``bool[N]``; absent agents and their edges are left out, and get ``-1``.

    Raises:
        ValueError: if ``alive`` is not one flag per agent.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    senders, receivers, mask = _edges(topology)
    n = topology.num_agents
    there = np.ones(n, bool)
    if alive is not None:
        there = np.asarray(checks.mask("alive", checks.concrete("alive", alive), (n,)))
    mask = mask & there[senders] & there[receivers]
    ends = (receivers[mask], senders[mask])
    matrix = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(n, n)).tocsr()
    _, labels = connected_components(matrix, directed=True, connection="strong")
    numbers = np.full(n, -1, np.int32)
    numbers[there] = np.unique(labels[there], return_inverse=True)[1]
    return numbers


def is_connected(topology: Topology) -> bool:
    """Return whether all agents reach each other along edges (strongly, if it is directed)."""
    return bool(components(topology).max() == 0)


def require_topology(value: Any, what: str = "topology") -> None:
    """Check that a value is a :class:`Topology`.

    Raises:
        ValueError: naming ``what`` and what came instead.
    """
    if not isinstance(value, Topology):
        raise ValueError(
            f"{what}: expected a Topology such as topology.ring(64), got {type(value).__name__}"
        )


def require_connected(topology: Topology) -> None:
    """Check that a graph is connected, without which consensus is impossible.

    Raises:
        ValueError: naming the number of (strongly connected) components and their sizes.
    """
    sizes = np.sort(np.bincount(components(topology)))[::-1]
    if len(sizes) > 1:
        shown = ", ".join(str(size) for size in sizes[:8]) + (", ..." if len(sizes) > 8 else "")
        kind = "components" if is_symmetric(topology) else "strongly connected components"
        raise ValueError(
            f"{topology.name}: expected a connected graph of {topology.num_agents} agents, "
            f"got {len(sizes)} {kind} of sizes {shown}"
        )


def require_symmetric(topology: Topology, purpose: str) -> None:
    """Check that a graph is undirected.

    Args:
        topology: concrete; of a sequence every member is checked.
        purpose: what needs it, for the message.

    Raises:
        ValueError: naming one edge that has no opposite.
    """
    if is_symmetric(topology):
        return
    n = topology.num_agents
    senders, receivers, mask = _edges(topology)
    flat = (np.atleast_2d(senders), np.atleast_2d(receivers), np.atleast_2d(mask))
    for sender, receiver, real in zip(*flat, strict=True):
        codes = receiver[real] * n + sender[real]
        single = codes[~np.isin(codes, sender[real] * n + receiver[real])]
        if len(single):
            edge = (int(single[0] % n), int(single[0] // n))
            raise ValueError(
                f"{topology.name}: {purpose} expects an undirected graph, "
                f"got edge {edge} without its opposite"
            )


def _edges(topology: Topology) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    require_topology(topology)
    checks.concrete("topology", topology)
    return (
        np.asarray(topology.senders, np.int64),
        np.asarray(topology.receivers, np.int64),
        np.asarray(topology.mask, bool),
    )
