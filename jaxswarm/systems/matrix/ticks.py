"""Simulation of the network in fixed time steps over queues, for a hundred thousand rows at once.

In a step of ``dt`` a message loop handles ``dt / tau`` messages, carrying fractions over, and a
pool starts as many calls as servers are free. Waiting rows are messages in
:mod:`~jaxswarm.coordination.queues`; one step costs ``O(K log K)``, whatever the number of events
in it. Durations are rounded up to whole steps, so throughput is low by about ``dt / service``.

Shapes: ``K`` rows at once, ``M`` message loops, ``P`` pools, ``T`` steps.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.coordination import Queues, empty_queues, pop, push
from jaxswarm.systems.matrix.flows import (
    SCHEDULERS,
    Flow,
    Work,
    actor_of,
    check_work,
    next_result,
    num_stations,
    station_of,
)


class TickResult(NamedTuple):
    """Result of one run.

    Attributes:
        completed: ``int32[T]``, calls answered in each step.
        in_flight: ``int32[T]``, rows.
        result: ``uint32[R]``, of the rows that are done.
        done: ``bool[R]``.
        dropped: ``int32[]``, messages dropped by full queues: 0 if capacities suffice.
    """

    completed: jax.Array
    in_flight: jax.Array
    result: jax.Array
    done: jax.Array
    dropped: jax.Array


class _State(NamedTuple):
    row: jax.Array
    hop: jax.Array
    result: jax.Array
    finish: jax.Array  # [K] time at which the call under way ends; inf while waiting
    pool: jax.Array  # [K]
    control: Queues
    calls: Queues
    credit: jax.Array  # [M] messages that a loop may still handle
    busy: jax.Array  # [P]
    submitted: jax.Array
    out: jax.Array
    done: jax.Array


def run_ticks(
    work: Work,
    flow: Flow,
    *,
    scheduler: float | jax.Array = 1,
    slots: int,
    tau: float = 0.02,
    dt: float = 0.05,
    num_steps: int,
    capacity: int | None = None,
) -> TickResult:
    """Simulate a workload in ``num_steps`` fixed time steps.

    Args:
        work: from :func:`~jaxswarm.systems.matrix.sample_work`.
        flow: that it was drawn from.
        scheduler: index into ``SCHEDULERS``; may be traced.
        slots: ``K``, rows at once.
        tau: seconds of a message.
        dt: seconds of a step.
        num_steps: ``T``.
        capacity: of every queue; ``K`` by default, which never overflows.

    Raises:
        ValueError: sizes below 1, times that are not positive.
    """
    check_work(work, flow)
    slots = checks.whole("slots", slots, 1)
    num_steps = checks.whole("num_steps", num_steps, 1)
    checks.wholes("scheduler", scheduler, 0, len(SCHEDULERS) - 1, shape=())
    tau = float(checks.real("tau", checks.concrete("tau", tau), above=0.0))
    dt = float(checks.real("dt", checks.concrete("dt", dt), above=0.0))
    if capacity is not None:
        capacity = checks.whole("capacity", capacity, 1)
    loops, pools = num_stations(flow)
    servers = jnp.asarray(flow.servers, jnp.int32)
    room = slots if capacity is None else capacity
    quick = min(int(np.ceil(dt / tau)) + 1, room)
    wide = min(max(flow.servers), room)
    num_rows, num_hops = work.role.shape
    ids = jnp.arange(slots, dtype=jnp.int32)

    def arrive(s: _State, arrives: jax.Array) -> _State:
        row, hop = jnp.clip(s.row, 0, num_rows - 1), jnp.minimum(s.hop, num_hops - 1)
        role = work.role[row, hop]
        at = station_of(flow, scheduler, role, actor_of(flow, role, work.pick[row, hop]))
        control = push(s.control, at, ids, arrives)
        return s._replace(control=control, pool=jnp.asarray(flow.pool)[role])

    def admit(s: _State, over: jax.Array) -> _State:
        row = s.submitted + jnp.cumsum(over, dtype=jnp.int32) - 1
        takes = over & (row < num_rows)
        s = s._replace(
            row=jnp.where(takes, row, jnp.where(over, -1, s.row)),
            hop=jnp.where(takes, 0, s.hop),
            result=jnp.where(takes, jnp.uint32(0), s.result),
            submitted=s.submitted + jnp.sum(takes, dtype=jnp.int32),
        )
        return arrive(s, takes)

    def end_calls(s: _State, now: jax.Array) -> tuple[_State, jax.Array]:
        """Calls that end by ``now``: their rows go on to the next hop or are replaced."""
        ended = s.finish <= now
        row = jnp.clip(s.row, 0, num_rows - 1)
        hop = jnp.minimum(s.hop, num_hops - 1)
        new_result = next_result(s.result, work.bits[row, hop], work.role[row, hop])
        result = jnp.where(ended, new_result, s.result)
        last = ended & (s.hop + 1 >= work.hops[row])
        where = jnp.where(last, row, num_rows)
        freed = jnp.zeros(pools + 1, jnp.int32).at[jnp.where(ended, s.pool, pools)].add(1)[:pools]
        s = s._replace(
            result=result,
            finish=jnp.where(ended, jnp.inf, s.finish),
            hop=jnp.where(ended, s.hop + 1, s.hop),
            busy=s.busy - freed,
            out=s.out.at[where].set(result, mode="drop"),
            done=s.done.at[where].set(True, mode="drop"),
        )
        return admit(arrive(s, ended & ~last), last), ended

    def handle_messages(s: _State, now: jax.Array) -> _State:
        """Message loops pass messages on to the pools' queues."""
        credit = jnp.minimum(s.credit + dt / tau, float(quick))
        count = jnp.minimum(jnp.floor(credit).astype(jnp.int32), s.control.size)
        control, slot, taken = pop(s.control, now, count, most=quick)
        idle = control.size == 0  # an idle loop does not save up time for later
        credit = jnp.where(idle, jnp.minimum(credit - count, 1.0), credit - count)
        slot, taken = slot.ravel(), taken.ravel()
        calls = push(s.calls, s.pool[slot], slot, taken)
        return s._replace(control=control, calls=calls, credit=credit)

    def begin_calls(s: _State, now: jax.Array) -> _State:
        """Pools start as many calls as servers are free."""
        calls, slot, begins = pop(s.calls, now, servers - s.busy, most=wide)
        slot = jnp.where(begins, slot, slots).ravel()
        clipped = jnp.minimum(slot, slots - 1)
        row = jnp.clip(s.row[clipped], 0, num_rows - 1)
        hop = jnp.minimum(s.hop[clipped], num_hops - 1)
        finish = s.finish.at[slot].set(now + work.service[row, hop], mode="drop")
        busy = s.busy + jnp.sum(begins, axis=1, dtype=jnp.int32)
        return s._replace(calls=calls, finish=finish, busy=busy)

    def step(s: _State, t: jax.Array) -> tuple[_State, tuple[jax.Array, jax.Array]]:
        now = (t + 1).astype(jnp.float32) * dt
        s, ended = end_calls(s, now)
        s = begin_calls(handle_messages(s, now), now)
        return s, (jnp.sum(ended, dtype=jnp.int32), jnp.sum(s.row >= 0, dtype=jnp.int32))

    state = _State(
        row=jnp.full(slots, -1, jnp.int32),
        hop=jnp.zeros(slots, jnp.int32),
        result=jnp.zeros(slots, jnp.uint32),
        finish=jnp.full(slots, jnp.inf),
        pool=jnp.zeros(slots, jnp.int32),
        control=empty_queues(loops, room, jnp.int32(0)),
        calls=empty_queues(pools, room, jnp.int32(0)),
        credit=jnp.zeros(loops),
        busy=jnp.zeros(pools, jnp.int32),
        submitted=jnp.int32(0),
        out=jnp.zeros(num_rows, jnp.uint32),
        done=jnp.zeros(num_rows, bool),
    )
    state = admit(state, jnp.ones(slots, bool))
    s, (completed, in_flight) = jax.lax.scan(step, state, jnp.arange(num_steps))
    dropped = jnp.sum(s.control.dropped) + jnp.sum(s.calls.dropped)
    return TickResult(completed, in_flight, s.out, s.done, dropped)
