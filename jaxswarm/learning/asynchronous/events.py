"""Events of independent Poisson clocks, and exact simulation of jumps with drift between them.

Between events every agent's state drifts on its own, so it is only brought up to date when one of
its clocks ticks (or when it is evaluated): the cost of an event does not depend on ``N``.

Shapes: ``N`` agents, ``K`` clocks, ``M`` events, ``R`` batches of ``B`` events.

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

from jaxswarm import agents, checks
from jaxswarm.checks import is_traced
from jaxswarm.learning.asynchronous.clocks import Clocks, check_clocks
from jaxswarm.types import Key, PyTree

SKIPPED = -1  # the kind of a thinned-out event, which changes nothing


class Events(NamedTuple):
    """Clock ticks in order of time.

    Attributes:
        time: ``[M]``, increasing.
        agents: ``int32[M, 2]``, as in :class:`Clocks`.
        kind: ``int32[M]``; ``SKIPPED`` for candidates that were thinned out.
    """

    time: jax.Array
    agents: jax.Array
    kind: jax.Array


class ProcessState(NamedTuple):
    """State of the agents between events.

    Attributes:
        agents: pytree, leaves ``[N, ...]``, each agent as of its own ``clock``.
        clock: ``[N]``, when each agent was last brought up to date.
        time: ``[]``, of the last event.
        counts: ``int32[kinds]``, events of each kind so far.
    """

    agents: PyTree
    clock: jax.Array
    time: jax.Array
    counts: jax.Array


class PointProcess(NamedTuple):
    """Functions that simulate jumps at random times with drift; see :func:`point_process`."""

    init: Callable[..., ProcessState]
    step: Callable[..., ProcessState]
    run: Callable[..., tuple[ProcessState, Any]]
    run_rounds: Callable[..., ProcessState]
    at: Callable[..., Any]


def poisson_events(
    key: Key,
    clocks: Clocks,
    num_events: int,
    *,
    start: float | jax.Array = 0.0,
    intensity: Callable[[jax.Array], jax.Array] | None = None,
) -> Events:
    """Draw the next ``num_events`` clock ticks: exponential waits, clocks in proportion to rates.

    Args:
        key: consumed.
        clocks: see :class:`Clocks`.
        num_events: ``M``; with ``intensity``, of candidates.
        start: time before the first. In float32 waits below ``1e-7`` of it vanish.
        intensity: rates ``[K]`` at a time, never above ``clocks.rates``: an event is kept with
            probability ``intensity / rate`` (thinning), the others are ``SKIPPED``.

    Raises:
        ValueError: on ``num_events < 1``, what are no clocks, or a ``start`` that is not finite.
    """
    checks.key(key)
    check_clocks(clocks)
    num_events = checks.whole("num_events", num_events, 1)
    checks.real("start", start)
    if intensity is not None:
        checks.function("intensity", intensity)
    wait_key, clock_key, keep_key = jax.random.split(key, 3)
    rates = jnp.asarray(clocks.rates, float)
    cumulative = jnp.cumsum(rates)
    waits = jax.random.exponential(wait_key, (num_events,), rates.dtype) / cumulative[-1]
    # A parallel prefix sum may fall by a rounding; time may not.
    time = jax.lax.cummax(jnp.asarray(start, rates.dtype) + jnp.cumsum(waits))
    place = jax.random.uniform(clock_key, (num_events,), rates.dtype) * cumulative[-1]
    # Rounding may put the place at the very end: that is still the last clock of positive rate.
    last = jnp.max(jnp.where(rates > 0, jnp.arange(len(rates)), 0))
    ticked = jnp.minimum(jnp.searchsorted(cumulative, place, side="right"), last)
    kind = jnp.asarray(clocks.kinds)[ticked]
    if intensity is not None:
        now = jax.vmap(lambda t, k: intensity(t)[k])(time, ticked)
        kept = jax.random.uniform(keep_key, (num_events,), rates.dtype) * rates[ticked] < now
        kind = jnp.where(kept, kind, SKIPPED)
    return Events(time, jnp.asarray(clocks.agents)[ticked], kind)


def point_process(
    drift: Callable[[Any, jax.Array], Any],
    jumps: Sequence[Callable[[jax.Array, Any, jax.Array, Any], Any]],
) -> PointProcess:
    """Make a simulation of agents that drift on their own between events and jump at events.

    Args:
        drift: ``drift(state, elapsed) -> state`` of one agent, exact for any ``elapsed >= 0``.
        jumps: by kind, ``jump(key, pair, ids, inputs) -> pair``: ``pair`` has leaves ``[2, ...]``,
            the states of agents ``ids [2]`` right before the event. For an event of one agent only
            the first row is kept.

    Returns:
        ``init(agents, time=0)``; ``step(key, state, event, inputs=None)``, one event;
        ``run(key, state, events, inputs=None, every=1, evaluate=None)``, all events, with
        ``evaluate(state)`` recorded after every ``every``-th; ``run_rounds(key, state, rounds,
        inputs=None)``, the batches of
        :func:`~jaxswarm.learning.asynchronous.rounds.matching_rounds`, each at once (random jumps
        draw other numbers than in ``run``); ``at(state, time=None)``: the agents' states, all at
        one time, by default that of the last event.

    Raises:
        ValueError: without jumps. From ``run``: if event times fall or precede the state's, if
            there is no such agent or kind, if an agent meets itself, or if the number of events is
            no multiple of ``every``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.learning.asynchronous import agent_clocks, point_process, poisson_events
        >>> decay = lambda x, elapsed: x * jnp.exp(-elapsed)
        >>> reset = lambda key, pair, ids, inputs: jnp.ones_like(pair)
        >>> process = point_process(decay, [reset])
        >>> events = poisson_events(jax.random.key(0), agent_clocks(3), 10)
        >>> state, _ = process.run(jax.random.key(1), process.init(jnp.zeros(3)), events)
        >>> state.counts.tolist()
        [10]
    """
    checks.function("drift", drift)
    if not isinstance(jumps, Sequence) or not jumps:
        raise ValueError(f"jumps: expected at least one function, got {checks.shown(jumps)}")
    for jump in jumps:
        checks.function("jumps", jump)

    def init(values: PyTree, time: float | jax.Array = 0.0) -> ProcessState:
        n = agents.num_agents(values)
        start = jnp.asarray(checks.real("time", time), float)
        return ProcessState(
            values, jnp.full((n,), start), start, jnp.zeros((len(jumps),), jnp.int32)
        )

    def jumped(key: Key, state: ProcessState, event: Events, inputs: Any) -> PyTree:
        """States of the event's two agents right after it."""
        ids = event.agents
        pair = jax.tree.map(lambda leaf: leaf.at[ids].get(mode="clip"), state.agents)
        elapsed = event.time - state.clock.at[ids].get(mode="clip")
        pair = jax.vmap(drift)(pair, elapsed)
        branches = [lambda *args, jump=jump: jump(key, *args, inputs) for jump in jumps]
        return jax.lax.switch(jnp.maximum(event.kind, 0), branches, pair, ids)

    def written(state: ProcessState, event: Events, pair: PyTree) -> ProcessState:
        """``state`` after one event, or after many that share no agent."""
        # A skipped event writes no row, an event of one agent only the first.
        n = state.clock.shape[0]
        rows = jnp.where(event.kind[..., None] >= 0, event.agents, n)
        values = jax.tree.map(
            lambda leaf, new: leaf.at[rows].set(new, mode="drop"), state.agents, pair
        )
        clock = state.clock.at[rows].set(event.time[..., None], mode="drop")
        counted = jnp.where(event.kind >= 0, event.kind, len(jumps))
        counts = state.counts.at[counted].add(1, mode="drop")
        return ProcessState(values, clock, jnp.maximum(state.time, event.time.max()), counts)

    def step(key: Key, state: ProcessState, event: Events, inputs: Any = None) -> ProcessState:
        return written(state, event, jumped(key, state, event, inputs))

    def run(
        key: Key,
        state: ProcessState,
        events: Events,
        inputs: Any = None,
        *,
        every: int = 1,
        evaluate: Callable[[ProcessState], Any] | None = None,
    ) -> tuple[ProcessState, Any]:
        checks.instance("events", events, Events, "poisson_events(key, clocks, 100)")
        count = events.time.shape[0]
        every = checks.whole("every", every, 1)
        if count % every:
            raise ValueError(f"every: expected a divisor of {count} events, got {every}")
        _check_events(state, events, len(jumps))

        def one_event(state: ProcessState, event: Events) -> tuple[ProcessState, None]:
            # An event's key depends on the number of events before it, not on how runs are cut.
            number = state.counts.sum()
            return step(jax.random.fold_in(key, number), state, event, inputs), None

        def events_of_a_record(state: ProcessState, part: Events) -> tuple[ProcessState, Any]:
            state, _ = jax.lax.scan(one_event, state, part)
            return state, None if evaluate is None else evaluate(state)

        parts = jax.tree.map(lambda x: x.reshape(count // every, every, *x.shape[1:]), events)
        return jax.lax.scan(events_of_a_record, state, parts)

    def run_rounds(
        key: Key, state: ProcessState, rounds: Events, inputs: Any = None
    ) -> ProcessState:
        checks.instance("rounds", rounds, Events, "matching_rounds(events, 8)")
        if jnp.ndim(rounds.time) != 2:
            raise ValueError(f"rounds: expected leaves [R, B], got {jnp.shape(rounds.time)}")
        width = rounds.time.shape[1]

        def one_batch(state: ProcessState, batch: Events) -> tuple[ProcessState, None]:
            numbers = state.counts.sum() + jnp.arange(width)
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)
            pairs = jax.vmap(jumped, (0, None, 0, None))(keys, state, batch, inputs)
            return written(state, batch, pairs), None

        return jax.lax.scan(one_batch, state, jax.tree.map(jnp.asarray, rounds))[0]

    def at(state: ProcessState, time: float | jax.Array | None = None) -> PyTree:
        now = state.time if time is None else jnp.asarray(time, state.clock.dtype)
        return jax.vmap(drift)(state.agents, now - state.clock)

    return PointProcess(init, step, run, run_rounds, at)


def _check_events(state: ProcessState, events: Events, kinds: int) -> None:
    if any(is_traced(x) for x in (*events, state.time)):
        return
    times = np.concatenate([np.asarray(state.time)[None], np.asarray(events.time)])
    wrong = np.flatnonzero(~(np.diff(times) >= 0))
    if len(wrong):
        k = int(wrong[0])
        raise ValueError(
            f"events: expected ascending times, got {times[k + 1]:g} after {times[k]:g}"
        )
    n = state.clock.shape[0]
    kind, ids = np.asarray(events.kind), np.asarray(events.agents)
    if np.any((kind < SKIPPED) | (kind >= kinds)):
        raise ValueError(f"events: expected kinds of 0 to {kinds - 1}, or {SKIPPED} to skip")
    first, second = ids[kind != SKIPPED].T
    wrong = np.flatnonzero(
        (first < 0) | (first >= n) | (second < 0) | (second > n) | (first == second)
    )
    if len(wrong):
        k = int(wrong[0])
        raise ValueError(
            f"events: expected two different agents of 0 to {n - 1}, or {n} as the second of one "
            f"alone, got ({first[k]}, {second[k]})"
        )
