"""Independent Poisson clocks of agents and edges as a stream of events, and its simulation.

Between events every agent's state drifts by itself, so it is only brought up to date when one of
its clocks rings (or someone looks): an event costs what its one or two agents cost, whatever ``N``.

Shapes: ``N`` agents, ``K`` clocks, ``M`` events, ``E`` edge slots of a topology, ``T`` members of a
sequence.

References:
    Even et al., A continuized view on Nesterov acceleration for stochastic gradient descent and
    randomized gossip, 2021. Lewis, Shedler, Simulation of nonhomogeneous Poisson processes by
    thinning, 1979.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.topology import Topology, require_connected, require_symmetric
from jaxswarm.topology.validation import is_traced

SKIPPED = -1  # the kind of a thinned-out event: nothing happens


class Clocks(NamedTuple):
    """Independent Poisson clocks.

    Attributes:
        rates: ``[K]`` rings per unit of time, positive.
        agents: ``int32[K, 2]``, whom a ring concerns; the second is ``N`` for one agent alone.
        kinds: ``int32[K]``, which jump a ring causes.
    """

    rates: Any
    agents: Any
    kinds: Any


class Events(NamedTuple):
    """Rings in order of time.

    Attributes:
        time: ``[M]``, increasing.
        agents: ``int32[M, 2]``, as in :class:`Clocks`.
        kind: ``int32[M]``; ``SKIPPED`` for candidates that were thinned out.
    """

    time: jax.Array
    agents: jax.Array
    kind: jax.Array


class ProcessState(NamedTuple):
    """Agents between events.

    Attributes:
        agents: pytree, leaves ``[N, ...]``, each agent as of its own ``clock``.
        clock: ``[N]``, when each agent was last brought up to date.
        time: ``[]``, of the last event.
        counts: ``int32[kinds]``, events of each kind so far.
    """

    agents: Any
    clock: jax.Array
    time: jax.Array
    counts: jax.Array


class PointProcess(NamedTuple):
    """A simulation of jumps at random times with drift between them; see :func:`point_process`."""

    init: Callable[..., ProcessState]
    step: Callable[..., ProcessState]
    run: Callable[..., tuple[ProcessState, Any]]
    at: Callable[..., Any]


def agent_clocks(num_agents: int, rate: Any = 1.0, *, kind: int = 0) -> Clocks:
    """A clock for each agent.

    Args:
        num_agents: ``N``, at least 1.
        rate: of every agent, or ``[N]``; positive.
        kind: of its events.

    Raises:
        ValueError: on a rate that is not positive and finite, or of another shape.
    """
    if num_agents < 1:
        raise ValueError(f"num_agents: expected at least 1, got {num_agents}")
    _check_rates(rate, (num_agents,), "rate")
    pairs = np.stack([np.arange(num_agents), np.full(num_agents, num_agents)], axis=1)
    rates = jnp.broadcast_to(jnp.asarray(rate, float), (num_agents,))
    return Clocks(rates, pairs.astype(np.int32), np.full(num_agents, kind, np.int32))


def edge_clocks(
    topology: Topology, rates: Any = None, *, total: Any = None, kind: int = 1
) -> Clocks:
    """A clock for each undirected edge.

    Args:
        topology: a single undirected connected graph.
        rates: ``[E]``, equal on the two slots of an edge; 1 on each edge by default. An edge of
            rate 0 never rings.
        total: scale ``rates`` so that all edges together ring so often per unit of time.
        kind: of their events.

    Returns:
        ``K = E/2`` clocks.

    Raises:
        ValueError: on a directed, disconnected or time-varying graph; on rates that are negative,
            all zero, unequal in the two directions or of another shape; on ``total <= 0``.
    """
    require_symmetric(topology, "gossip along edges")
    require_connected(topology)
    slots, pairs = undirected_slots(topology)
    expected = topology.mask.shape
    rates = np.ones(expected) if rates is None else rates
    if np.shape(rates) != expected:
        raise ValueError(f"rates: expected shape {list(expected)}, got {list(np.shape(rates))}")
    if not is_traced(rates):
        found = np.asarray(rates)[np.asarray(topology.mask)]
        if not (np.all(np.isfinite(found)) and np.all(found >= 0) and found.any()):
            raise ValueError("rates: expected non-negative numbers, not all zero")
    chosen = jnp.asarray(rates, float)[slots]
    if total is not None:
        _check_rates(total, (), "total")
        chosen = chosen * (total / chosen.sum())
    return Clocks(chosen, pairs, np.full(len(pairs), kind, np.int32))


def superpose(*clocks: Clocks) -> Clocks:
    """All clocks side by side; their rings together form a Poisson process of the summed rate."""
    if not clocks:
        raise ValueError("clocks: expected at least one set, got none")
    return Clocks(*(jnp.concatenate([jnp.asarray(p) for p in part]) for part in zip(*clocks)))  # noqa: B905


def switching_edge_clocks(
    sequence: Topology, period: Any, *, total: Any, kind: int = 1
) -> tuple[Clocks, Callable[[jax.Array], jax.Array]]:
    """Edge clocks of a time-varying graph, for :func:`poisson_events` with thinning.

    Args:
        sequence: undirected connected members; member ``⌊t / period⌋ mod T`` is there at time
            ``t``, all its edges at one rate.
        period: time each member lasts, positive.
        total: rings per unit of time, of all edges present together, positive.
        kind: of their events.

    Returns:
        ``(clocks, intensity)``: clocks of the union's edges at their largest rates, and the rates
        ``[K]`` at a time.

    Raises:
        ValueError: if a member is directed or disconnected; on a single topology, or ``period`` or
            ``total`` not positive.
    """
    _check_rates(period, (), "period")
    _check_rates(total, (), "total")
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
    """``([K], int32[K, 2])``: slot and ends of each undirected edge once, smaller id first."""
    if topology.is_sequence:
        raise ValueError(f"{topology.name}: expected a single topology, got a sequence")
    senders, receivers = np.asarray(topology.senders), np.asarray(topology.receivers)
    slots = np.flatnonzero(np.asarray(topology.mask) & (senders < receivers))
    return slots, np.stack([senders[slots], receivers[slots]], axis=1).astype(np.int32)


def poisson_events(
    key: jax.Array,
    clocks: Clocks,
    num_events: int,
    *,
    start: Any = 0.0,
    intensity: Callable[[jax.Array], jax.Array] | None = None,
) -> Events:
    """The next ``num_events`` rings: exponential waits, and who rang by its share of the rate.

    Args:
        key: consumed.
        clocks: see :class:`Clocks`.
        num_events: ``M``; with ``intensity``, of candidates.
        start: time before the first. In float32 waits below ``1e-7`` of it vanish.
        intensity: rates ``[K]`` at a time, never above ``clocks.rates``: an event is kept with
            probability ``intensity / rate`` (thinning), the others are ``SKIPPED``.

    Raises:
        ValueError: on ``num_events < 1``.
    """
    if num_events < 1:
        raise ValueError(f"num_events: expected at least 1, got {num_events}")
    wait_key, who_key, keep_key = jax.random.split(key, 3)
    rates = jnp.asarray(clocks.rates, float)
    cumulative = jnp.cumsum(rates)
    waits = jax.random.exponential(wait_key, (num_events,), rates.dtype) / cumulative[-1]
    # A parallel prefix sum may fall by a rounding; time may not.
    time = jax.lax.cummax(jnp.asarray(start, rates.dtype) + jnp.cumsum(waits))
    place = jax.random.uniform(who_key, (num_events,), rates.dtype) * cumulative[-1]
    # Rounding may put the place at the very end: that is still the last clock that rings at all.
    last = jnp.max(jnp.where(rates > 0, jnp.arange(len(rates)), 0))
    who = jnp.minimum(jnp.searchsorted(cumulative, place, side="right"), last)
    kind = jnp.asarray(clocks.kinds)[who]
    if intensity is not None:
        now = jax.vmap(lambda t, k: intensity(t)[k])(time, who)
        kept = jax.random.uniform(keep_key, (num_events,), rates.dtype) * rates[who] < now
        kind = jnp.where(kept, kind, SKIPPED)
    return Events(time, jnp.asarray(clocks.agents)[who], kind)


def point_process(
    drift: Callable[[Any, jax.Array], Any],
    jumps: Sequence[Callable[[jax.Array, Any, jax.Array, Any], Any]],
) -> PointProcess:
    """Agents that drift on their own between events and jump at them.

    Args:
        drift: ``drift(state, elapsed) -> state`` of one agent, exact for any ``elapsed >= 0``.
        jumps: by kind, ``jump(key, pair, ids, inputs) -> pair``: ``pair`` has leaves ``[2, ...]``,
            the states of agents ``ids [2]`` right before the event. For an event of one agent only
            the first row is kept.

    Returns:
        ``init(agents, time=0)``; ``step(key, state, event, inputs=None)``, one event;
        ``run(key, state, events, inputs=None, every=1, evaluate=None)``, all events, with
        ``evaluate(state)`` recorded after every ``every``-th; ``at(state, time=None)``: the agents,
        all brought to one time, by default that of the last event.

    Raises:
        ValueError: without jumps. From ``run``: if event times fall or precede the state's, or
            their number is no multiple of ``every``.
    """
    if not jumps:
        raise ValueError("jumps: expected at least one, got none")

    def init(values: Any, time: Any = 0.0) -> ProcessState:
        n = agents.num_agents(values)
        start = jnp.asarray(time, float)
        return ProcessState(
            values, jnp.full((n,), start), start, jnp.zeros((len(jumps),), jnp.int32)
        )

    def step(key: jax.Array, state: ProcessState, event: Events, inputs: Any = None):
        ids = event.agents
        pair = jax.tree.map(lambda leaf: leaf.at[ids].get(mode="clip"), state.agents)
        elapsed = event.time - state.clock.at[ids].get(mode="clip")
        pair = jax.vmap(drift)(pair, elapsed)
        branches = [lambda *args, jump=jump: jump(key, *args, inputs) for jump in jumps]
        pair = jax.lax.switch(jnp.maximum(event.kind, 0), branches, pair, ids)
        # A skipped event writes nothing; an event of one agent has no second row to write.
        n = state.clock.shape[0]
        rows = jnp.where(event.kind >= 0, ids, n)
        values = jax.tree.map(
            lambda leaf, new: leaf.at[rows].set(new, mode="drop"), state.agents, pair
        )
        clock = state.clock.at[rows].set(event.time, mode="drop")
        counted = jnp.where(event.kind >= 0, event.kind, len(jumps))
        counts = state.counts.at[counted].add(1, mode="drop")
        return ProcessState(values, clock, event.time, counts)

    def run(
        key: jax.Array,
        state: ProcessState,
        events: Events,
        inputs: Any = None,
        *,
        every: int = 1,
        evaluate: Callable[[ProcessState], Any] | None = None,
    ) -> tuple[ProcessState, Any]:
        count = events.time.shape[0]
        if every < 1 or count % every:
            raise ValueError(f"every: expected a divisor of {count} events, got {every}")
        _check_times(state, events)

        def one(state: ProcessState, event: Events) -> tuple[ProcessState, None]:
            # The key of an event depends on how many came before it, not on how runs are cut.
            number = state.counts.sum()
            return step(jax.random.fold_in(key, number), state, event, inputs), None

        def some(state: ProcessState, part: Events) -> tuple[ProcessState, Any]:
            state, _ = jax.lax.scan(one, state, part)
            return state, None if evaluate is None else evaluate(state)

        parts = jax.tree.map(lambda x: x.reshape(count // every, every, *x.shape[1:]), events)
        return jax.lax.scan(some, state, parts)

    def at(state: ProcessState, time: Any = None) -> Any:
        now = state.time if time is None else jnp.asarray(time, state.clock.dtype)
        return jax.vmap(drift)(state.agents, now - state.clock)

    return PointProcess(init, step, run, at)


def _check_rates(rates: Any, shape: tuple[int, ...], name: str) -> None:
    if np.shape(rates) not in ((), shape):
        raise ValueError(f"{name}: expected a number or shape {shape}, got {np.shape(rates)}")
    if not is_traced(rates):
        found = np.asarray(rates, float)
        if not (np.all(np.isfinite(found)) and np.all(found > 0)):
            raise ValueError(f"{name}: expected positive finite numbers, got {rates}")


def _check_times(state: ProcessState, events: Events) -> None:
    if is_traced(events.time) or is_traced(state.time):
        return
    times = np.concatenate([np.asarray(state.time)[None], np.asarray(events.time)])
    falls = np.flatnonzero(np.diff(times) < 0)
    if len(falls):
        k = int(falls[0])
        raise ValueError(
            f"events: expected times that never fall, got {times[k + 1]:g} after {times[k]:g}"
        )
