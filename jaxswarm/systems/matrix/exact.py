"""Exact next-event simulation of a closed network of message loops and service pools.

Every slot holds one row in flight. A row waits at a station in order of arrival, is served, and
arrives at the next; stations with free servers start the row that has waited longest. One step of
the loop is one event; everything that schedulers differ in is traced, so all are one program.

Shapes: ``K`` slots, ``R`` rows, ``H`` hops, ``M`` message loops, ``P`` pools, ``F`` crashes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.systems.matrix.flows import (
    Flow,
    Work,
    actor_of,
    carried_bytes,
    check_work,
    next_result,
    num_stations,
    station_of,
)
from jaxswarm.systems.matrix.settings import (
    DONE,
    PENDING,
    TOMBSTONE,
    Crashes,
    RunResult,
    RunSettings,
    check_crashes,
    check_settings,
)

_NO_ORDER = jnp.iinfo(jnp.int32).max


class _Slots(NamedTuple):
    """Rows in flight, leaves ``[K]``; ``station`` is -1 for an empty slot."""

    row: jax.Array
    hop: jax.Array
    station: jax.Array
    actor: jax.Array
    order: jax.Array  # of arrival at the station
    need: jax.Array  # seconds of service
    serving: jax.Array
    finish: jax.Array  # time at which service ends, inf while waiting
    dead: jax.Array  # its row is a tombstone
    result: jax.Array


class _State(NamedTuple):
    slots: _Slots
    now: jax.Array
    busy: jax.Array  # [M + P] servers
    busy_time: jax.Array
    clock: jax.Array  # arrivals so far
    submitted: jax.Array
    crash: jax.Array  # crashes so far
    hops: jax.Array
    messages: jax.Array
    bytes: jax.Array
    late: jax.Array
    edges: jax.Array  # [2] times at which the window began and ended
    violations: jax.Array
    result: jax.Array
    status: jax.Array


class _Model(NamedTuple):
    """Constants of a run."""

    work: Work
    flow: Flow
    settings: RunSettings
    size: jax.Array  # [R, H] bytes of each hop's message
    servers: jax.Array  # [M + P]
    pool_of: jax.Array  # [G] station of a role's pool
    marks: jax.Array  # [2] numbers of hops at which the window begins and ends
    crash_time: jax.Array  # [F + 1], inf at the end
    crash_actor: jax.Array
    slots: int
    loops: int
    stations: int
    num_crashes: int

    @property
    def num_rows(self) -> int:
        return self.work.role.shape[0]

    @property
    def num_hops(self) -> int:
        return self.work.role.shape[1]

    @property
    def index(self) -> jax.Array:
        return jnp.arange(self.slots, dtype=jnp.int32)

    @property
    def free(self) -> jax.Array:
        """``bool[K]``: slots that the concurrency allows."""
        return self.index < self.settings.concurrency


def run(
    work: Work,
    flow: Flow,
    settings: RunSettings = RunSettings(),  # noqa: B008
    *,
    slots: int,
    crashes: Crashes | None = None,
) -> RunResult:
    """Simulate a workload exactly, event by event, until every row is over.

    Args:
        work: from :func:`~jaxswarm.systems.matrix.sample_work`.
        flow: that it was drawn from.
        settings: scheduler and sizes.
        slots: ``K``, static; the largest concurrency.
        crashes: of actors: the rows they hold become tombstones, waiting ones at once; a call that
            is under way still occupies its server, and its result is ignored.

    Raises:
        ValueError: if ``slots < 1``, or a setting that is not traced is out of range.

    Example:
        >>> import jax
        >>> from jaxswarm.systems import matrix
        >>> flow = matrix.flow([[0.0, 1.0]], service=1.0, servers=2)  # one role, one hop
        >>> work = matrix.sample_work(jax.random.key(0), flow, 4, max_hops=1, hop_spread=0.0)
        >>> settings = matrix.RunSettings(concurrency=4, tau=0.0)
        >>> result = jax.jit(lambda w: matrix.run(w, flow, settings, slots=4))(work)
        >>> float(result.makespan)  # four calls of one second on two servers
        2.0
    """
    check_work(work, flow)
    slots = checks.whole("slots", slots, 1)
    check_settings(settings, slots)
    if crashes is not None:
        check_crashes(crashes, flow)
    model = _model(work, flow, settings, slots, crashes)
    state = _start_service(model, _admit(model, _empty_state(model), model.free))
    most = 2 * model.num_rows * model.num_hops + model.num_crashes

    def going(carry: tuple[jax.Array, _State]) -> jax.Array:
        count, state = carry
        return (count < most) & jnp.any(jnp.isfinite(state.slots.finish))

    def advance(carry: tuple[jax.Array, _State]) -> tuple[jax.Array, _State]:
        return carry[0] + 1, _next_event(model, carry[1])

    _, state = jax.lax.while_loop(going, advance, (jnp.int32(0), state))
    return _result(model, state)


def _model(
    work: Work, flow: Flow, settings: RunSettings, slots: int, crashes: Crashes | None
) -> _Model:
    loops, pools = num_stations(flow)
    fatal = Crashes(jnp.zeros(0), jnp.zeros(0, jnp.int32)) if crashes is None else crashes
    return _Model(
        work=work,
        flow=flow,
        settings=settings,
        size=carried_bytes(work, offload=settings.offload),
        servers=jnp.asarray([1] * loops + list(flow.servers), jnp.int32),
        pool_of=loops + jnp.asarray(flow.pool),
        marks=jnp.asarray(settings.window)[:2] * jnp.sum(work.hops),
        crash_time=jnp.append(jnp.asarray(fatal.time, jnp.float32), jnp.inf),
        crash_actor=jnp.append(jnp.asarray(fatal.actor, jnp.int32), -1),
        slots=slots,
        loops=loops,
        stations=loops + pools,
        num_crashes=np.shape(fatal.time)[0],
    )


def _empty_state(model: _Model) -> _State:
    k, rows, zero = model.slots, model.num_rows, jnp.int32(0)
    none = jnp.full(k, -1, jnp.int32)
    slots = _Slots(
        row=none,
        hop=jnp.zeros(k, jnp.int32),
        station=none,
        actor=none,
        order=jnp.zeros(k, jnp.int32),
        need=jnp.zeros(k),
        serving=jnp.zeros(k, bool),
        finish=jnp.full(k, jnp.inf),
        dead=jnp.zeros(k, bool),
        result=jnp.zeros(k, jnp.uint32),
    )
    return _State(
        slots=slots,
        now=jnp.float32(0.0),
        busy=jnp.zeros(model.stations, jnp.int32),
        busy_time=jnp.zeros(model.stations),
        clock=zero,
        submitted=zero,
        crash=zero,
        hops=zero,
        messages=zero,
        bytes=jnp.float32(0.0),
        late=zero,
        edges=jnp.zeros(2),
        violations=zero,
        result=jnp.zeros(rows, jnp.uint32),
        status=jnp.zeros(rows, jnp.int32),
    )


def _arrive(m: _Model, s: _State, arrives: jax.Array) -> _State:
    """Slots ``arrives bool[K]`` arrive at a message loop with the message of their hop."""
    x = s.slots
    row, hop = jnp.clip(x.row, 0, m.num_rows - 1), jnp.minimum(x.hop, m.num_hops - 1)
    role = m.work.role[row, hop]
    actor = actor_of(m.flow, role, m.work.pick[row, hop])
    size = m.size[row, hop]
    seconds = m.settings.tau + m.settings.per_byte * size
    station = station_of(m.flow, m.settings.scheduler, role, actor)
    slots = x._replace(
        station=jnp.where(arrives, station, x.station),
        actor=jnp.where(arrives, actor, x.actor),
        order=jnp.where(arrives, s.clock + m.index, x.order),
        need=jnp.where(arrives, seconds, x.need),
        serving=x.serving & ~arrives,
        finish=jnp.where(arrives, jnp.inf, x.finish),
    )
    return s._replace(
        slots=slots,
        clock=s.clock + m.slots,
        messages=s.messages + jnp.sum(arrives),
        bytes=s.bytes + jnp.sum(jnp.where(arrives, size, 0.0)) / 1024.0,
    )


def _admit(m: _Model, s: _State, over: jax.Array) -> _State:
    """Empty slots ``over`` get new rows: each its own, or all together when all are empty."""
    x = s.slots
    x = x._replace(
        row=jnp.where(over, -1, x.row),
        station=jnp.where(over, -1, x.station),
        serving=x.serving & ~over,
        finish=jnp.where(over, jnp.inf, x.finish),
        dead=x.dead & ~over,
    )
    all_empty = jnp.all(x.station < 0)
    gets = jnp.where(jnp.asarray(m.settings.batch), m.free & all_empty, over & m.free)
    row = s.submitted + jnp.cumsum(gets) - 1
    gets = gets & (row < m.num_rows)
    x = x._replace(
        row=jnp.where(gets, row, x.row).astype(jnp.int32),
        hop=jnp.where(gets, 0, x.hop),
        result=jnp.where(gets, jnp.uint32(0), x.result),
    )
    s = s._replace(slots=x, submitted=s.submitted + jnp.sum(gets, dtype=jnp.int32))
    return _arrive(m, s, gets)


def _start_service(m: _Model, s: _State) -> _State:
    """Every station with a free server starts the row that has waited longest."""
    x = s.slots
    waits = (x.station >= 0) & ~x.serving
    place = jnp.where(waits, x.station, m.stations)
    first = jnp.full(m.stations + 1, _NO_ORDER, jnp.int32).at[place].min(x.order)[: m.stations]
    can = (s.busy < m.servers) & (first < _NO_ORDER)
    begins = waits & (x.order == first[x.station]) & can[x.station]
    finish = jnp.where(begins, s.now + x.need, x.finish)
    return s._replace(
        slots=x._replace(serving=x.serving | begins, finish=finish),
        busy=s.busy + can.astype(jnp.int32),
    )


def _complete(m: _Model, s: _State) -> _State:
    """The next completion: of a message, or of a call."""
    x = s.slots
    i = jnp.argmin(x.finish)
    any_left = jnp.isfinite(x.finish[i])
    row, hop, station = jnp.clip(x.row[i], 0, m.num_rows - 1), x.hop[i], x.station[i]
    role, dead = m.work.role[row, hop], x.dead[i]
    this = (m.index == i) & any_left
    is_call = any_left & (station >= m.loops)
    result = next_result(x.result[i], m.work.bits[row, hop], role)
    freed = jnp.where(any_left, station, m.stations)
    s = s._replace(busy=s.busy.at[freed].add(-1, mode="drop"))
    # A message was handled: the row goes on to the pool.
    enters = this & ~is_call & ~dead
    x = x._replace(
        station=jnp.where(enters, m.pool_of[role], x.station),
        order=jnp.where(enters, s.clock, x.order),
        need=jnp.where(enters, m.work.service[row, hop], x.need),
        serving=x.serving & ~this,
        finish=jnp.where(this, jnp.inf, x.finish),
        result=jnp.where(this & is_call, result, x.result),
        hop=jnp.where(this & is_call, hop + 1, x.hop),
    )
    s = s._replace(slots=x, clock=s.clock + 1)
    # A call was answered: the row is done, or goes on to its next hop.
    counts = is_call & ~dead
    done = counts & (hop + 1 >= m.work.hops[row])
    hops = s.hops + counts.astype(jnp.int32)
    edges = jnp.where((s.hops < m.marks) & (hops >= m.marks) & counts, s.now, s.edges)
    place = jnp.where(done, row, m.num_rows)
    s = s._replace(
        hops=hops,
        edges=edges,
        late=s.late + (is_call & dead).astype(jnp.int32),
        result=s.result.at[place].set(result, mode="drop"),
        status=s.status.at[place].set(DONE, mode="drop"),
    )
    s = _arrive(m, s, this & counts & ~done)
    return _admit(m, s, this & (done | dead))


def _crash(m: _Model, s: _State) -> _State:
    """An actor crashes and is up again at once; the rows that it held are lost."""
    x = s.slots
    hit = (x.station >= 0) & ~x.dead & (x.actor == m.crash_actor[s.crash])
    place = jnp.where(hit, x.row, m.num_rows)
    s = s._replace(
        slots=x._replace(dead=x.dead | hit),
        status=s.status.at[place].set(TOMBSTONE, mode="drop"),
        crash=s.crash + 1,
    )
    return _admit(m, s, hit & ~x.serving)


def _next_event(m: _Model, s: _State) -> _State:
    """Advance the time to the next completion or crash, apply it, and start waiting rows."""
    after = jnp.min(s.slots.finish)
    if m.num_crashes:
        is_crash = (m.crash_time[s.crash] < after) & jnp.isfinite(after)
        then = jnp.where(is_crash, m.crash_time[s.crash], after)
    else:
        is_crash, then = False, after
    then = jnp.where(jnp.isfinite(then), then, s.now)
    s = s._replace(now=then, busy_time=s.busy_time + s.busy * (then - s.now))
    if m.num_crashes:
        crashed, completed = _crash(m, s), _complete(m, s)
        s = jax.tree.map(lambda x, y: jnp.where(is_crash, x, y), crashed, completed)
    else:
        s = _complete(m, s)
    s = _start_service(m, s)
    in_flight = jnp.sum((s.slots.station >= 0) & ~s.slots.dead)
    over = jnp.sum(s.status != PENDING)
    violated = (s.submitted != over + in_flight).astype(jnp.int32)
    return s._replace(violations=s.violations + violated)


def _result(m: _Model, s: _State) -> RunResult:
    span = jnp.maximum(s.edges[1] - s.edges[0], 1e-9)
    counted = jnp.ceil(m.marks[1]) - jnp.ceil(m.marks[0])
    return RunResult(
        result=s.result,
        status=s.status,
        throughput=counted / span,
        makespan=s.now,
        hops=s.hops,
        late=s.late,
        message_bytes=1024.0 * s.bytes / jnp.maximum(s.messages, 1),
        busy=s.busy_time / jnp.maximum(s.now, 1e-9),
        violations=s.violations,
        finished=jnp.all(s.status != PENDING),
    )
