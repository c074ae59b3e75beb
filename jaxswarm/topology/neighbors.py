"""Padded in-neighbour lists: the senders to each agent, as arrays of one width.

The one place where edge lists become ``[N, K]`` tables; mixing layouts, robust rules, random
neighbours and learners that look at a whole neighbourhood are built from them.

Shapes: ``N`` agents, ``E`` directed edge slots, ``K`` in-neighbour slots.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks
from jaxswarm.topology.graph import Topology
from jaxswarm.topology.validation import degrees, require_topology


class InNeighbors(NamedTuple):
    """Padded in-neighbour lists, numpy arrays; of a sequence with a leading time axis.

    Attributes:
        neighbors: ``int32[..., N, K]``, the senders to each agent; padding slots hold the agent
            itself.
        edges: ``int32[..., N, K]``, position of each slot in the topology's edge order; 0 on
            padding slots.
        mask: ``bool[..., N, K]``, false on padding slots.
    """

    neighbors: Any
    edges: Any
    mask: Any


def in_neighbors(topology: Topology, *, width: int | None = None) -> InNeighbors:
    """List the in-neighbours of every agent of a topology, or of each member of a sequence.

    Args:
        topology: concrete; may be built into functions that ``jit`` is tracing.
        width: ``K``; by default the largest in-degree, at least 1.

    Example:
        >>> from jaxswarm import topology
        >>> lists = in_neighbors(topology.star(4))
        >>> lists.neighbors.tolist()
        [[1, 2, 3], [0, 1, 1], [0, 2, 2], [0, 3, 3]]
        >>> lists.mask[1].tolist()
        [True, False, False]

    Raises:
        ValueError: if this is no topology or a traced one, or a width below the largest in-degree.
    """
    require_topology(topology)
    checks.concrete("topology", topology)
    largest = max(int(degrees(topology)[0].max(initial=0)), 1)
    if width is None:
        width = largest
    width = checks.whole("width", width)
    if width < largest:
        raise ValueError(f"width: expected at least the largest in-degree {largest}, got {width}")
    if not topology.is_sequence:
        return padded_lists(
            topology.senders, topology.receivers, topology.mask, topology.num_agents, width=width
        )
    members = [
        padded_lists(senders, receivers, mask, topology.num_agents, width=width)
        for senders, receivers, mask in zip(
            topology.senders, topology.receivers, topology.mask, strict=True
        )
    ]
    return InNeighbors(*(np.stack(parts) for parts in zip(*members, strict=True)))


def padded_lists(
    senders: Any,
    receivers: Any,
    mask: Any,
    num_agents: int,
    *,
    rows: np.ndarray | None = None,
    width: int | None = None,
) -> InNeighbors:
    """List the in-neighbours of some agents from a plain edge list, in edge order.

    Args:
        senders: ``int[E]``.
        receivers: ``int[E]``, in any order.
        mask: ``bool[E]``; edges where it is false are left out.
        num_agents: ``N``.
        rows: ``int[n]``, the agents to list; all of them by default.
        width: ``K``, at least the largest in-degree of ``rows``; that by default, at least 1.

    Returns:
        Lists ``[n, K]``.
    """
    rows = np.arange(num_agents) if rows is None else np.asarray(rows)
    ends = np.where(np.asarray(mask, bool), np.asarray(receivers), num_agents)
    order = np.argsort(ends, kind="stable")
    starts = np.searchsorted(ends[order], rows)
    counts = np.searchsorted(ends[order], rows, side="right") - starts
    if width is None:
        width = max(int(counts.max(initial=0)), 1)
    slots = np.arange(width)[None, :]
    real = slots < counts[:, None]
    edges = np.zeros(real.shape, np.int32)
    edges[real] = order[(starts[:, None] + slots)[real]]
    neighbors = np.repeat(rows.astype(np.int32)[:, None], width, axis=1)
    neighbors[real] = np.asarray(senders)[edges[real]]
    return InNeighbors(neighbors, edges, real)
