"""Exact next-event simulation of a closed network of message loops and service pools.

Every slot holds one row in flight. A row waits at a station in order of arrival, is served, and
arrives at the next; stations with free servers start the longest waiting. One step of the scan is
one event; everything that a scheduler may differ in is traced, so all of them are one program.

Shapes: ``K`` slots, ``R`` rows, ``H`` hops, ``M`` message loops, ``P`` pools, ``F`` crashes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxswarm.network import FaultPlan
from jaxswarm.systems.matrix.flows import (
    Flow,
    Work,
    actor_of,
    carried,
    num_stations,
    station_of,
)

PENDING, DONE, TOMBSTONE = 0, 1, 2
_LATE = jnp.iinfo(jnp.int32).max


class Crashes(NamedTuple):
    """``time float32[F]`` ascending, in seconds, and ``actor int32[F]``. See :func:`crashes`."""

    time: Any
    actor: Any


class Plan(NamedTuple):
    """What a run may differ in; all may be traced.

    Attributes:
        scheduler: index into ``SCHEDULERS``.
        concurrency: rows in flight at most, from 1 to ``K``.
        tau: seconds of a message.
        per_byte: seconds of a byte of it.
        batch: admit new rows when all are over, instead of one whenever one is over.
        offload: long texts stay in a store.
        window: shares of all hops between which throughput is measured.
    """

    scheduler: Any = 1
    concurrency: Any = 64
    tau: Any = 0.02
    per_byte: Any = 0.0
    batch: Any = False
    offload: Any = False
    window: Any = (0.3, 0.7)


class Outcome(NamedTuple):
    """Of one run.

    Attributes:
        result: ``uint32[R]``, of the rows that are done.
        status: ``int32[R]``: pending, done, tombstone.
        throughput: hops per second within the window.
        makespan: seconds until the last event.
        hops: ``int32``, completed calls of living rows.
        late: ``int32``, results for tombstoned rows, ignored.
        message_bytes: mean of a message.
        busy: ``float32[M + P]``, mean number of busy servers.
        violations: ``int32``, events after which submitted ≠ done + tombstoned + in flight.
        finished: whether all rows are over.
    """

    result: jax.Array
    status: jax.Array
    throughput: jax.Array
    makespan: jax.Array
    hops: jax.Array
    late: jax.Array
    message_bytes: jax.Array
    busy: jax.Array
    violations: jax.Array
    finished: jax.Array


class _Slots(NamedTuple):
    """Leaves ``[K]``; ``at`` is -1 for an empty slot."""

    row: jax.Array
    hop: jax.Array
    at: jax.Array
    actor: jax.Array
    order: jax.Array
    need: jax.Array
    serving: jax.Array
    finish: jax.Array
    dead: jax.Array
    result: jax.Array


class _State(NamedTuple):
    slots: _Slots
    now: jax.Array
    busy: jax.Array  # [M + P] servers
    busy_time: jax.Array
    clock: jax.Array  # arrivals so far
    submitted: jax.Array
    crash: jax.Array
    hops: jax.Array
    messages: jax.Array
    bytes: jax.Array
    late: jax.Array
    edges: jax.Array  # [2] times at which the window began and ended
    violations: jax.Array
    result: jax.Array
    status: jax.Array


def crashes(plan: FaultPlan, flow: Flow, *, round_length: float = 1.0) -> Crashes:
    """Crashes of actors from a fault plan; a crashed actor is up again at once.

    Raises:
        ValueError: if the plan is of another number of actors, has other events than ``crash`` and
            ``recover``, or ``round_length`` is not positive.
    """
    if plan.num_agents != sum(flow.actors):
        raise ValueError(f"plan: expected {sum(flow.actors)} actors, got {plan.num_agents}")
    if not 0.0 < round_length < np.inf:
        raise ValueError(f"round_length: expected seconds above 0, got {round_length}")
    events = plan.events()
    others = {kind for _, kind, _ in events} - {"crash", "recover"}
    if others:
        raise ValueError(f"plan: expected crashes, got {sorted(others)}")
    fatal = [(time, actor) for time, kind, actor in events if kind == "crash"]
    return Crashes(
        np.array([time * round_length for time, _ in fatal], np.float32),
        np.array([actor for _, actor in fatal], np.int32),
    )


def run(
    work: Work,
    flow: Flow,
    plan: Plan = Plan(),  # noqa: B008
    *,
    slots: int,
    crashes: Crashes | None = None,
) -> Outcome:
    """Simulate until every row is over.

    Args:
        work: from :func:`~jaxswarm.systems.matrix.work`.
        flow: that it was drawn from.
        plan: scheduler and sizes.
        slots: ``K``, static; the largest concurrency.
        crashes: of actors: the rows they hold become tombstones, waiting ones at once; a call that
            is under way still occupies its server, and its result is ignored.

    Raises:
        ValueError: if ``slots < 1``, or a number of the plan that is not traced is out of range.
    """
    if slots < 1:
        raise ValueError(f"slots: expected at least 1, got {slots}")
    check_plan(plan, slots)
    loops, pools = num_stations(flow)
    stations = loops + pools
    servers = jnp.asarray([1] * loops + list(flow.servers), jnp.int32)
    pool_of = loops + jnp.asarray(flow.pool)
    size = carried(work, offload=plan.offload)
    num_rows, num_hops = work.role.shape
    total = jnp.sum(work.hops)
    marks = jnp.asarray(plan.window)[:2] * total
    index = jnp.arange(slots, dtype=jnp.int32)
    free = index < plan.concurrency
    fatal = Crashes(jnp.zeros(0), jnp.zeros(0, jnp.int32)) if crashes is None else crashes
    num_crashes = np.shape(fatal.time)[0]
    crash_time = jnp.append(jnp.asarray(fatal.time, jnp.float32), jnp.inf)
    crash_actor = jnp.append(jnp.asarray(fatal.actor, jnp.int32), -1)

    def arrive(s: _State, who: jax.Array) -> _State:
        """Slots ``who bool[K]`` arrive with the message of their hop."""
        x = s.slots
        row, hop = jnp.clip(x.row, 0, num_rows - 1), jnp.minimum(x.hop, num_hops - 1)
        role = work.role[row, hop]
        actor = actor_of(flow, role, work.pick[row, hop])
        load = size[row, hop]
        new = x._replace(
            at=jnp.where(who, station_of(flow, plan.scheduler, role, actor), x.at),
            actor=jnp.where(who, actor, x.actor),
            order=jnp.where(who, s.clock + index, x.order),
            need=jnp.where(who, plan.tau + plan.per_byte * load, x.need),
            serving=x.serving & ~who,
            finish=jnp.where(who, jnp.inf, x.finish),
        )
        sent = jnp.sum(who)
        return s._replace(
            slots=new,
            clock=s.clock + slots,
            messages=s.messages + sent,
            bytes=s.bytes + jnp.sum(jnp.where(who, load, 0.0)) / 1024.0,
        )

    def admit(s: _State, over: jax.Array) -> _State:
        """Empty slots ``over`` get new rows: each its own, or all together when all are empty."""
        x = s.slots
        x = x._replace(
            row=jnp.where(over, -1, x.row),
            at=jnp.where(over, -1, x.at),
            serving=x.serving & ~over,
            finish=jnp.where(over, jnp.inf, x.finish),
            dead=x.dead & ~over,
        )
        quiet = jnp.all(x.at < 0)
        who = jnp.where(jnp.asarray(plan.batch), free & quiet, over & free)
        row = s.submitted + jnp.cumsum(who) - 1
        who = who & (row < num_rows)
        x = x._replace(
            row=jnp.where(who, row, x.row).astype(jnp.int32),
            hop=jnp.where(who, 0, x.hop),
            result=jnp.where(who, jnp.uint32(0), x.result),
        )
        s = s._replace(slots=x, submitted=s.submitted + jnp.sum(who, dtype=jnp.int32))
        return arrive(s, who)

    def start(s: _State) -> _State:
        """Every station with a free server starts the longest waiting."""
        x = s.slots
        waits = (x.at >= 0) & ~x.serving
        place = jnp.where(waits, x.at, stations)
        first = jnp.full(stations + 1, _LATE, jnp.int32).at[place].min(x.order)[:stations]
        can = (s.busy < servers) & (first < _LATE)
        begins = waits & (x.order == first[x.at]) & can[x.at]
        finish = jnp.where(begins, s.now + x.need, x.finish)
        return s._replace(
            slots=x._replace(serving=x.serving | begins, finish=finish),
            busy=s.busy + can.astype(jnp.int32),
        )

    def served(s: _State) -> _State:
        """The next completion: of a message, or of a call."""
        i = jnp.argmin(s.slots.finish)
        any_left = jnp.isfinite(s.slots.finish[i])
        x = s.slots
        row, hop, at = x.row[i], x.hop[i], x.at[i]
        safe = jnp.clip(row, 0, num_rows - 1)
        role, dead = work.role[safe, hop], x.dead[i]
        it = (index == i) & any_left
        called = any_left & (at >= loops)
        result = x.result[i] * jnp.uint32(1664525) + (
            work.bits[safe, hop] ^ role.astype(jnp.uint32)
        )
        s = s._replace(busy=s.busy.at[jnp.where(any_left, at, stations)].add(-1, mode="drop"))
        # a message was handled: on to the pool
        enters = it & ~called & ~dead
        x = x._replace(
            at=jnp.where(enters, pool_of[role], x.at),
            order=jnp.where(enters, s.clock, x.order),
            need=jnp.where(enters, work.service[safe, hop], x.need),
            serving=x.serving & ~it,
            finish=jnp.where(it, jnp.inf, x.finish),
            result=jnp.where(it & called, result, x.result),
            hop=jnp.where(it & called, hop + 1, x.hop),
        )
        s = s._replace(slots=x, clock=s.clock + 1)
        # a call was answered
        living = called & ~dead
        done = living & (hop + 1 >= work.hops[safe])
        hops = s.hops + living.astype(jnp.int32)
        edges = jnp.where((s.hops < marks) & (hops >= marks) & living, s.now, s.edges)
        where = jnp.where(done, safe, num_rows)
        s = s._replace(
            hops=hops,
            edges=edges,
            late=s.late + (called & dead).astype(jnp.int32),
            result=s.result.at[where].set(result, mode="drop"),
            status=s.status.at[where].set(DONE, mode="drop"),
        )
        s = arrive(s, it & living & ~done)
        return admit(s, it & (done | dead))

    def crashed(s: _State) -> _State:
        """An actor goes down and is up again; what it held is lost."""
        x = s.slots
        hit = (x.at >= 0) & ~x.dead & (x.actor == crash_actor[s.crash])
        where = jnp.where(hit, x.row, num_rows)
        s = s._replace(
            slots=x._replace(dead=x.dead | hit),
            status=s.status.at[where].set(TOMBSTONE, mode="drop"),
            crash=s.crash + 1,
        )
        return admit(s, hit & ~x.serving)

    def event(s: _State, _: None) -> tuple[_State, None]:
        after = jnp.min(s.slots.finish)
        fatal = (crash_time[s.crash] < after) & jnp.isfinite(after) if num_crashes else False
        then = jnp.where(fatal, crash_time[s.crash], after) if num_crashes else after
        then = jnp.where(jnp.isfinite(then), then, s.now)
        s = s._replace(now=then, busy_time=s.busy_time + s.busy * (then - s.now))
        if num_crashes:
            a, b = crashed(s), served(s)
            s = jax.tree.map(lambda x, y: jnp.where(fatal, x, y), a, b)
        else:
            s = served(s)
        s = start(s)
        flying = jnp.sum((s.slots.at >= 0) & ~s.slots.dead)
        over = jnp.sum(s.status != PENDING)
        wrong = (s.submitted != over + flying).astype(jnp.int32)
        return s._replace(violations=s.violations + wrong), None

    zero = jnp.int32(0)
    nobody = jnp.full(slots, -1, jnp.int32)
    empty = _Slots(
        nobody, jnp.zeros(slots, jnp.int32), nobody, nobody, jnp.zeros(slots, jnp.int32),
        jnp.zeros(slots), jnp.zeros(slots, bool), jnp.full(slots, jnp.inf), jnp.zeros(slots, bool),
        jnp.zeros(slots, jnp.uint32),
    )  # fmt: skip
    begun = _State(
        empty, jnp.float32(0.0), jnp.zeros(stations, jnp.int32), jnp.zeros(stations), zero, zero,
        zero, zero, zero, jnp.float32(0.0), zero, jnp.zeros(2), zero,
        jnp.zeros(num_rows, jnp.uint32), jnp.zeros(num_rows, jnp.int32),
    )  # fmt: skip
    begun = start(admit(begun, free))
    most = 2 * num_rows * num_hops + num_crashes

    def going(held: tuple[jax.Array, _State]) -> jax.Array:
        count, s = held
        return (count < most) & jnp.any(jnp.isfinite(s.slots.finish))

    def advance(held: tuple[jax.Array, _State]) -> tuple[jax.Array, _State]:
        return held[0] + 1, event(held[1], None)[0]

    _, s = jax.lax.while_loop(going, advance, (zero, begun))
    span = jnp.maximum(s.edges[1] - s.edges[0], 1e-9)
    counted = jnp.ceil(marks[1]) - jnp.ceil(marks[0])
    return Outcome(
        s.result,
        s.status,
        counted / span,
        s.now,
        s.hops,
        s.late,
        1024.0 * s.bytes / jnp.maximum(s.messages, 1),
        s.busy_time / jnp.maximum(s.now, 1e-9),
        s.violations,
        jnp.all(s.status != PENDING),
    )


def check_plan(plan: Plan, slots: int) -> None:
    """Refuse known numbers out of their range; traced ones pass.

    Raises:
        ValueError: naming the number.
    """
    traced = [isinstance(x, Tracer) for x in jax.tree.leaves(plan.window)]
    if not any(traced):
        begin, end = np.asarray(plan.window)
        if not 0.0 <= begin < end <= 1.0:
            raise ValueError(f"window: expected shares 0 ≤ a < b ≤ 1, got {plan.window}")
    ranges = {
        "scheduler": (0, 2),
        "concurrency": (1, slots),
        "tau": (0.0, np.finfo(np.float32).max),
        "per_byte": (0.0, np.finfo(np.float32).max),
    }
    for name, (low, high) in ranges.items():
        given = getattr(plan, name)
        if isinstance(given, Tracer):
            continue
        if not np.all((np.asarray(given) >= low) & (np.asarray(given) <= high)):
            raise ValueError(f"{name}: expected within [{low}, {high}], got {given}")
