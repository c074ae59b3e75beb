"""Beacons: who hears a request that travels a bounded number of hops.

Shapes: ``R`` requesters, ``C`` candidate slots.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxswarm.network.process import expect_single
from jaxswarm.topology import Topology


class Candidates(NamedTuple):
    """Who answers whose beacon; ``worker`` is 0 on slots that are not ``valid``.

    Attributes:
        worker: ``int32[R, C]``, positions in the list of workers, nearest first.
        valid: ``bool[R, C]``; a row of ``False`` is a requester whom nobody hears.
        flood: ``float32[R]``, messages of one beacon, every relay to every neighbour.
        missed: ``int32[R]``, workers reached beyond ``C``, dropped.
    """

    worker: Any
    valid: Any
    flood: Any
    missed: Any


def beacon(
    topology: Topology,
    requesters: Sequence[int] | np.ndarray,
    workers: Sequence[int] | np.ndarray,
    *,
    ttl: int = 2,
    slots: int | None = None,
) -> Candidates:
    """Candidates of every requester, by ``ttl`` expansions of a frontier on the host.

    Args:
        topology: a single graph; a beacon goes from senders to receivers.
        requesters: ``R`` nodes.
        workers: nodes; a requester is no candidate of its own.
        ttl: hops, at least 0.
        slots: ``C``; all workers by default. Of equally near ones those that follow the
            requester's own number are kept, so that no worker is everybody's.

    Raises:
        ValueError: naming the argument: ``ttl < 0``, ``slots < 1``, unknown or repeated nodes.
    """
    expect_single(topology, "beacon")
    n = topology.num_agents
    if ttl < 0:
        raise ValueError(f"ttl: expected at least 0 hops, got {ttl}")
    asking, working = np.asarray(requesters, np.int64), np.asarray(workers, np.int64)
    for name, nodes in (("requesters", asking), ("workers", working)):
        if nodes.ndim != 1 or not nodes.size or nodes.min() < 0 or nodes.max() >= n:
            raise ValueError(f"{name}: expected nodes in [0, {n}), got {nodes.tolist()[:5]}")
        if len(np.unique(nodes)) != len(nodes):
            raise ValueError(f"{name}: expected each node once")
    capacity = len(working) if slots is None else slots
    if capacity < 1:
        raise ValueError(f"slots: expected at least 1, got {slots}")
    mask = np.asarray(topology.mask)
    senders = np.asarray(topology.senders)[mask]
    receivers = np.asarray(topology.receivers)[mask]
    order = np.argsort(senders, kind="stable")
    out = np.split(receivers[order], np.cumsum(np.bincount(senders, minlength=n))[:-1])
    place = np.full(n, -1)
    place[working] = np.arange(len(working))
    worker = np.zeros((len(asking), capacity), np.int32)
    valid = np.zeros((len(asking), capacity), bool)
    flood, missed = np.zeros(len(asking), np.float32), np.zeros(len(asking), np.int32)
    for row, start in enumerate(asking):
        seen = np.zeros(n, bool)
        seen[start] = True
        frontier, found = [int(start)], []
        for _ in range(ttl):
            heard = np.concatenate([out[node] for node in frontier]) if frontier else receivers[:0]
            flood[row] += len(heard)
            new = np.unique(heard[~seen[heard]])
            seen[new] = True
            here = new[place[new] >= 0]
            found.append(here[np.argsort((here - start) % n)])
            frontier = new.tolist()
        near = np.concatenate(found) if found else receivers[:0]
        count = min(len(near), capacity)
        worker[row, :count] = place[near[:count]]
        valid[row, :count] = True
        missed[row] = len(near) - count
    return Candidates(worker, valid, flood, missed)
