"""The rings of independent Poisson clocks as a stream of events, and its simulation.

Between events every agent's state drifts by itself, so it is only brought up to date when one of
its clocks rings (or someone looks): an event costs what its one or two agents cost, whatever ``N``.

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

from jaxswarm import agents
from jaxswarm.learning.asynchronous.clocks import Clocks
from jaxswarm.topology.validation import is_traced

SKIPPED = -1  # the kind of a thinned-out event: nothing happens


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
    run_rounds: Callable[..., ProcessState]
    at: Callable[..., Any]


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
        ``evaluate(state)`` recorded after every ``every``-th; ``run_rounds(key, state, rounds,
        inputs=None)``, the batches of
        :func:`~jaxswarm.learning.asynchronous.rounds.matching_rounds`, each at once (a jump that
        draws numbers draws others than in ``run``); ``at(state, time=None)``: the agents, all
        brought to one time, by default that of the last event.

    Raises:
        ValueError: without jumps. From ``run``: if event times fall or precede the state's, if
            there is no such agent or kind, if an agent meets itself, or if the number of events is
            no multiple of ``every``.
    """
    if not jumps:
        raise ValueError("jumps: expected at least one, got none")

    def init(values: Any, time: Any = 0.0) -> ProcessState:
        n = agents.num_agents(values)
        start = jnp.asarray(time, float)
        return ProcessState(
            values, jnp.full((n,), start), start, jnp.zeros((len(jumps),), jnp.int32)
        )

    def jumped(key: jax.Array, state: ProcessState, event: Events, inputs: Any) -> Any:
        """The event's two agents right after it."""
        ids = event.agents
        pair = jax.tree.map(lambda leaf: leaf.at[ids].get(mode="clip"), state.agents)
        elapsed = event.time - state.clock.at[ids].get(mode="clip")
        pair = jax.vmap(drift)(pair, elapsed)
        branches = [lambda *args, jump=jump: jump(key, *args, inputs) for jump in jumps]
        return jax.lax.switch(jnp.maximum(event.kind, 0), branches, pair, ids)

    def written(state: ProcessState, event: Events, pair: Any) -> ProcessState:
        """``state`` after one event, or after many that share no agent."""
        # A skipped event writes nothing; an event of one agent has no second row to write.
        n = state.clock.shape[0]
        rows = jnp.where(event.kind[..., None] >= 0, event.agents, n)
        values = jax.tree.map(
            lambda leaf, new: leaf.at[rows].set(new, mode="drop"), state.agents, pair
        )
        clock = state.clock.at[rows].set(event.time[..., None], mode="drop")
        counted = jnp.where(event.kind >= 0, event.kind, len(jumps))
        counts = state.counts.at[counted].add(1, mode="drop")
        return ProcessState(values, clock, jnp.maximum(state.time, event.time.max()), counts)

    def step(key: jax.Array, state: ProcessState, event: Events, inputs: Any = None):
        return written(state, event, jumped(key, state, event, inputs))

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
        _check_events(state, events, len(jumps))

        def one(state: ProcessState, event: Events) -> tuple[ProcessState, None]:
            # The key of an event depends on how many came before it, not on how runs are cut.
            number = state.counts.sum()
            return step(jax.random.fold_in(key, number), state, event, inputs), None

        def some(state: ProcessState, part: Events) -> tuple[ProcessState, Any]:
            state, _ = jax.lax.scan(one, state, part)
            return state, None if evaluate is None else evaluate(state)

        parts = jax.tree.map(lambda x: x.reshape(count // every, every, *x.shape[1:]), events)
        return jax.lax.scan(some, state, parts)

    def run_rounds(
        key: jax.Array, state: ProcessState, rounds: Events, inputs: Any = None
    ) -> ProcessState:
        width = rounds.time.shape[1]

        def one(state: ProcessState, batch: Events) -> tuple[ProcessState, None]:
            numbers = state.counts.sum() + jnp.arange(width)
            keys = jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)
            pairs = jax.vmap(jumped, (0, None, 0, None))(keys, state, batch, inputs)
            return written(state, batch, pairs), None

        return jax.lax.scan(one, state, jax.tree.map(jnp.asarray, rounds))[0]

    def at(state: ProcessState, time: Any = None) -> Any:
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
            f"events: expected times that never fall, got {times[k + 1]:g} after {times[k]:g}"
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
