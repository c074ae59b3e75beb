"""Flooding search: which workers a request reaches within a bounded number of hops.

Shapes: ``R`` requesters, ``C`` candidate slots.

References:
    Q. Lv, P. Cao, E. Cohen, K. Li, S. Shenker, Search and replication in unstructured peer-to-peer
    networks, 2002 (flooding with a time to live).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxswarm import checks
from jaxswarm.network.process import expect_single
from jaxswarm.topology import Topology


class Candidates(NamedTuple):
    """Workers that each requester's request reaches; ``worker`` is 0 on slots not ``valid``.

    Attributes:
        worker: ``int32[R, C]``, positions in the list of workers, nearest first.
        valid: ``bool[R, C]``; a row of ``False`` is a requester that reaches no worker.
        messages: ``float32[R]``, messages of one request: every relay sends it to all neighbours.
        dropped: ``int32[R]``, workers reached beyond ``C``.
    """

    worker: np.ndarray | jax.Array
    valid: np.ndarray | jax.Array
    messages: np.ndarray | jax.Array
    dropped: np.ndarray | jax.Array


def flood_search(
    topology: Topology,
    requesters: Sequence[int] | np.ndarray,
    workers: Sequence[int] | np.ndarray,
    *,
    ttl: int = 2,
    slots: int | None = None,
) -> Candidates:
    """Find the workers within ``ttl`` hops of every requester, by breadth-first search on the host.

    Args:
        topology: a single graph; requests go from senders to receivers.
        requesters: ``R`` nodes.
        workers: nodes; a requester is not a candidate of its own request.
        ttl: time to live in hops, at least 0.
        slots: ``C``; all workers by default. Of equally near workers those that follow the
            requester's own number (cyclically) are kept, which spreads requesters over workers.

    Raises:
        ValueError: naming the argument: ``ttl < 0``, ``slots < 1``, unknown or repeated nodes.

    Example:
        >>> from jaxswarm import coordination, topology
        >>> found = coordination.flood_search(topology.ring(6), [0], [1, 3, 4], ttl=2)
        >>> found.worker[0][found.valid[0]].tolist()  # nodes 1 and 4, at distance 1 and 2
        [0, 2]
    """
    expect_single(topology, "flooding search")
    checks.concrete("topology", topology)
    n = topology.num_agents
    ttl = checks.whole("ttl", ttl)
    sources = _nodes("requesters", requesters, n)
    targets = _nodes("workers", workers, n)
    capacity = len(targets) if slots is None else checks.whole("slots", slots, 1)
    out_neighbors = _out_neighbors(topology)
    place = np.full(n, -1)
    place[targets] = np.arange(len(targets))
    worker = np.zeros((len(sources), capacity), np.int32)
    valid = np.zeros((len(sources), capacity), bool)
    messages, dropped = np.zeros(len(sources), np.float32), np.zeros(len(sources), np.int32)
    for row, source in enumerate(sources):
        near, messages[row] = _flood(out_neighbors, int(source), ttl, place >= 0)
        count = min(len(near), capacity)
        worker[row, :count] = place[near[:count]]
        valid[row, :count] = True
        dropped[row] = len(near) - count
    return Candidates(worker, valid, messages, dropped)


def _nodes(name: str, nodes: Any, n: int) -> np.ndarray:
    known = checks.wholes(name, checks.concrete(name, nodes), 0, n - 1, shape=(None,))
    if not known.size:
        raise ValueError(f"{name}: expected nodes in [0, {n}), got none")
    if len(np.unique(known)) != len(known):
        raise ValueError(f"{name}: expected different nodes, got one twice")
    return known.astype(np.int64)


def _out_neighbors(topology: Topology) -> list[np.ndarray]:
    mask = np.asarray(topology.mask)
    senders = np.asarray(topology.senders)[mask]
    receivers = np.asarray(topology.receivers)[mask]
    order = np.argsort(senders, kind="stable")
    counts = np.bincount(senders, minlength=topology.num_agents)
    return np.split(receivers[order], np.cumsum(counts)[:-1])


def _flood(
    out_neighbors: list[np.ndarray], source: int, ttl: int, is_target: np.ndarray
) -> tuple[np.ndarray, int]:
    """Targets within ``ttl`` hops of ``source``, nearest first, and the messages sent."""
    n = len(out_neighbors)
    reached = np.zeros(n, bool)
    reached[source] = True
    frontier, found, messages = [source], [np.zeros(0, np.int64)], 0
    for _ in range(ttl):
        if not frontier:
            break
        receivers = np.concatenate([out_neighbors[node] for node in frontier])
        messages += len(receivers)
        new = np.unique(receivers[~reached[receivers]])
        reached[new] = True
        here = new[is_target[new]]
        found.append(here[np.argsort((here - source) % n)])
        frontier = new.tolist()
    return np.concatenate(found), messages
