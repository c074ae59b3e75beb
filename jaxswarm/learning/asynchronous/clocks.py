"""Independent Poisson clocks of agents and edges.

Shapes: ``N`` agents, ``K`` clocks, ``E`` edge slots of a topology, ``T`` members of a sequence.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks
from jaxswarm.checks import is_traced
from jaxswarm.topology import Topology, from_edges, require_connected, require_symmetric
from jaxswarm.topology.validation import require_topology


class Clocks(NamedTuple):
    """Independent Poisson clocks.

    Attributes:
        rates: ``float[K]`` ticks per unit of time, positive.
        agents: ``int32[K, 2]``, the agents that a tick changes; the second is ``N`` for one alone.
        kinds: ``int32[K]``, which jump a tick causes.
    """

    rates: ArrayLike
    agents: ArrayLike
    kinds: ArrayLike


def agent_clocks(num_agents: int, rate: float | jax.Array = 1.0, *, kind: int = 0) -> Clocks:
    """Make a Poisson clock for each agent.

    Args:
        num_agents: ``N``, at least 1.
        rate: of every agent, or ``[N]``; positive.
        kind: of its events.

    Raises:
        ValueError: on a rate that is not positive and finite, or of another shape, or sizes out of
            range.
    """
    num_agents, kind = checks.whole("num_agents", num_agents, 1), checks.whole("kind", kind)
    _check_rates(rate, (num_agents,), "rate")
    pairs = np.stack([np.arange(num_agents), np.full(num_agents, num_agents)], axis=1)
    rates = jnp.broadcast_to(jnp.asarray(rate, float), (num_agents,))
    return Clocks(rates, pairs.astype(np.int32), np.full(num_agents, kind, np.int32))


def edge_clocks(
    topology: Topology,
    rates: ArrayLike | None = None,
    *,
    total: float | jax.Array | None = None,
    kind: int = 1,
) -> Clocks:
    """Make a Poisson clock for each undirected edge.

    Args:
        topology: a single undirected connected graph.
        rates: ``[E]``, equal on the two slots of an edge; 1 on each edge by default. An edge of
            rate 0 never ticks.
        total: scale ``rates`` so that all edges together tick so often per unit of time.
        kind: of their events.

    Returns:
        ``K = E/2`` clocks.

    Raises:
        ValueError: on a directed, disconnected or time-varying graph; on rates that are negative,
            all zero, zero on edges that connection needs, unequal in the two directions or of
            another shape; on ``total <= 0``.
    """
    require_topology(topology)
    kind = checks.whole("kind", kind)
    require_symmetric(topology, "gossip along edges")
    require_connected(topology)
    slots, pairs = undirected_slots(topology)
    expected = topology.mask.shape
    rates = np.ones(expected) if rates is None else checks.real("rates", rates, 0.0, shape=expected)
    if not is_traced(rates):
        found = np.asarray(rates)[np.asarray(topology.mask)]
        if not found.any():
            raise ValueError("rates: expected non-negative numbers, not all zero")
        _check_both_ways(topology, np.asarray(rates))
        used = pairs[np.asarray(rates)[slots] > 0]
        require_connected(from_edges(used, topology.num_agents, name="edges of positive rates"))
    chosen = jnp.asarray(rates, float)[slots]
    if total is not None:
        _check_rates(total, (), "total")
        chosen = chosen * (total / chosen.sum())
    return Clocks(chosen, pairs, np.full(len(pairs), kind, np.int32))


def superpose(*clocks: Clocks) -> Clocks:
    """Concatenate sets of clocks; their ticks form a Poisson process of the summed rate.

    Raises:
        ValueError: without any clocks.
    """
    if not clocks:
        raise ValueError("clocks: expected at least one set, got none")
    for part in clocks:
        check_clocks(part)
    return Clocks(*(jnp.concatenate([jnp.asarray(p) for p in part]) for part in zip(*clocks)))  # noqa: B905


def switching_edge_clocks(
    sequence: Topology, period: float | jax.Array, *, total: float | jax.Array, kind: int = 1
) -> tuple[Clocks, Callable[[jax.Array], jax.Array]]:
    """Make edge clocks of a time-varying graph, for :func:`poisson_events` with thinning.

    Args:
        sequence: undirected connected members; member ``⌊t / period⌋ mod T`` is there at time
            ``t``, all its edges at one rate.
        period: time each member lasts, positive.
        total: ticks per unit of time, of all edges present together, positive.
        kind: of their events.

    Returns:
        ``(clocks, intensity)``: clocks of the union's edges at their largest rates, and the rates
        ``[K]`` at a time.

    Raises:
        ValueError: if a member is directed or disconnected; on a single topology, or ``period`` or
            ``total`` not positive.
    """
    require_topology(sequence, "sequence")
    if not sequence.is_sequence:
        raise ValueError(f"sequence: expected a sequence of topologies, got {sequence.name}")
    _check_rates(period, (), "period")
    _check_rates(total, (), "total")
    kind = checks.whole("kind", kind)
    length, n = sequence.length, sequence.num_agents
    codes = []
    for t in range(length):
        member = sequence[t]
        require_symmetric(member, f"member {t} of {sequence.name}")
        require_connected(member)
        pairs = undirected_slots(member)[1]
        codes.append(pairs[:, 0].astype(np.int64) * n + pairs[:, 1])
    union = np.unique(np.concatenate(codes))
    table = np.zeros((length, len(union)))
    for t, present in enumerate(codes):
        table[t, np.searchsorted(union, present)] = 1.0 / len(present)
    rates = jnp.asarray(table) * total
    pairs = np.stack([union // n, union % n], axis=1).astype(np.int32)
    clocks = Clocks(rates.max(axis=0), pairs, np.full(len(union), kind, np.int32))
    return clocks, lambda time: rates[(time // period).astype(int) % length]


def undirected_slots(topology: Topology) -> tuple[np.ndarray, np.ndarray]:
    """Slot ``[K]`` and ends ``int32[K, 2]`` of each undirected edge once, smaller id first."""
    if topology.is_sequence:
        raise ValueError(f"{topology.name}: expected a single topology, got a sequence")
    senders, receivers = np.asarray(topology.senders), np.asarray(topology.receivers)
    slots = np.flatnonzero(np.asarray(topology.mask) & (senders < receivers))
    return slots, np.stack([senders[slots], receivers[slots]], axis=1).astype(np.int32)


def check_clocks(clocks: Clocks) -> None:
    """Refuse what are no clocks, or clocks whose arrays do not fit together.

    Raises:
        ValueError: naming the argument.
    """
    checks.instance("clocks", clocks, Clocks, "agent_clocks(8)")
    count = jnp.shape(clocks.rates)[0] if jnp.ndim(clocks.rates) else 0
    checks.real("clocks.rates", clocks.rates, 0.0, shape=(count,))
    checks.wholes("clocks.agents", clocks.agents, 0, shape=(count, 2))
    checks.wholes("clocks.kinds", clocks.kinds, 0, shape=(count,))
    if not count:
        raise ValueError("clocks: expected at least one, got none")


def _check_rates(rates: ArrayLike, shape: tuple[int, ...], name: str) -> None:
    single = not isinstance(rates, list | tuple) and np.ndim(rates) == 0
    checks.real(name, rates, above=0.0, shape=() if single else shape)


def _check_both_ways(topology: Topology, rates: np.ndarray) -> None:
    n = topology.num_agents
    senders, receivers = np.asarray(topology.senders, np.int64), np.asarray(topology.receivers)
    real = np.asarray(topology.mask)
    there = np.argsort(np.where(real, senders * n + receivers, n * n))
    back = np.argsort(np.where(real, receivers * n + senders, n * n))
    count = int(real.sum())
    unequal = ~np.isclose(rates[there[:count]], rates[back[:count]], rtol=1e-5, atol=0.0)
    if unequal.any():
        slot = int(there[:count][unequal][0])
        raise ValueError(
            "rates: expected equal rates in both directions of an edge, got different ones for "
            f"({int(senders[slot])}, {int(receivers[slot])})"
        )
