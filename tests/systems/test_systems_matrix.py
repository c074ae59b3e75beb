"""Workflows: exact simulation against a plain event loop, laws of queues, crashes, ticks."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import network
from jaxswarm.systems import matrix
from tests.later import Later
from tests.tracing import Counted

LOOP = [[0.0, 1.0, 0.0], [0.4, 0.0, 0.6]]  # proposer → critic → proposer or out
FLOW = matrix.flow(LOOP, service=[1.0, 0.5], actors=[3, 2], servers=[4], field_size=400.0)
WORK = Later(
    lambda: jax.jit(lambda key: matrix.sample_work(key, FLOW, 40, max_hops=8))(jax.random.key(0))
)
SLOTS = 12
RUN = Counted(
    lambda work, settings, fatal=None: matrix.run(work, FLOW, settings, slots=SLOTS, crashes=fatal)
)


def padded(fatal):
    """Two crashes whatever there are, so that all share one compilation: the others never come."""
    times = [*(t for t, _ in fatal), np.inf, np.inf][:2]
    actors = [*(a for _, a in fatal), 0, 0][:2]
    return matrix.Crashes(np.array(times, np.float32), np.array(actors, np.int32))


def settings(**change):
    usual = {"scheduler": 1, "concurrency": 9, "tau": 0.05}
    return matrix.RunSettings(**(usual | change))


def by_hand(work, flow, p, fatal=()):
    """One event at a time, rows as dictionaries."""
    work = jax.tree.map(np.asarray, work)
    loops, _ = matrix.num_stations(flow)
    size = np.asarray(matrix.carried_bytes(work, offload=p.offload))
    servers = [1] * loops + list(flow.servers)
    first = np.cumsum(flow.actors) - np.array(flow.actors)
    waiting = [[] for _ in servers]
    busy = [0] * len(servers)
    slots = {}  # slot -> row
    now, submitted, late = np.float32(0), 0, 0
    status, result = np.zeros(len(work.hops), int), {}
    ends, fatal = [], list(fatal)

    def message(row):
        r, h = row["id"], row["hop"]
        role = work.role[r, h]
        row["actor"] = first[role] + int(
            np.float32(work.pick[r, h]) * np.float32(flow.actors[role])
        )
        at = (0, 1 + len(flow.actors) + row["actor"], 1 + role)[p.scheduler]
        cost = np.float32(p.tau) + np.float32(p.per_byte) * size[r, h]
        row.update(at=at, need=cost, serving=False)
        waiting[at].append(row)

    def admit(freed):
        nonlocal submitted
        for slot in freed:
            slots.pop(slot, None)
        takes = sorted(freed)
        if p.batch:
            takes = range(p.concurrency) if not slots else []
        for slot in takes:
            if submitted < len(status):
                row = {"slot": slot, "id": submitted, "hop": 0, "dead": False, "result": 0}
                slots[slot] = row
                submitted += 1
                message(row)

    def start():
        for at, queue in enumerate(waiting):
            if queue and busy[at] < servers[at]:
                row = queue.pop(0)
                row["serving"] = True
                busy[at] += 1
                ends.append((np.float32(now + row["need"]), row["slot"], row))

    admit(range(p.concurrency))
    start()
    while ends:
        end = min(ends, key=lambda e: e[:2])
        if fatal and fatal[0][0] < end[0]:
            now, actor = fatal.pop(0)
            lost = []
            for row in slots.values():
                if row["actor"] == actor and not row["dead"]:
                    row["dead"] = True
                    status[row["id"]] = matrix.TOMBSTONE
                    if not row["serving"]:
                        waiting[row["at"]].remove(row)
                        lost.append(row["slot"])
            admit(lost)
            start()
            continue
        ends.remove(end)
        now, _, row = end
        busy[row["at"]] -= 1
        r, h, called = row["id"], row["hop"], row["at"] >= loops
        late += called and row["dead"]
        if row["dead"]:
            admit([row["slot"]])
        elif not called:
            at = loops + int(flow.pool[work.role[r, h]])
            row.update(at=at, need=work.service[r, h], serving=False)
            waiting[at].append(row)
        else:
            mixed = int(work.bits[r, h]) ^ int(work.role[r, h])
            row["result"] = (row["result"] * 1664525 + mixed) % 2**32
            row["hop"] += 1
            if row["hop"] == work.hops[r]:
                status[r], result[r] = matrix.DONE, row["result"]
                admit([row["slot"]])
            else:
                message(row)
        start()
    return status, result, now, late


@pytest.mark.parametrize(
    ("scheduler", "batch", "fatal"),
    [(0, False, ()), (1, False, ((2.03, 1), (5.21, 4))), (2, True, ()), (1, True, ((3.3, 0),))],
)
def test_every_row_and_moment_equals_the_plain_event_loop(scheduler, batch, fatal):
    p = settings(scheduler=scheduler, batch=batch, per_byte=1e-5, offload=True)
    out = RUN(WORK.value, p, padded(fatal))
    status, result, end, late = by_hand(WORK.value, FLOW, p, fatal)
    np.testing.assert_array_equal(out.status, status)
    np.testing.assert_array_equal(np.asarray(out.result)[list(result)], list(result.values()))
    assert float(out.makespan) == pytest.approx(float(end), rel=1e-5)
    assert int(out.late) == late
    assert int(out.violations) == 0
    assert bool(out.finished)
    if fatal:
        assert (status == matrix.TOMBSTONE).sum() > 0


def test_every_scheduler_gives_every_row_the_same_result_in_one_compilation():
    before = RUN.traces
    found = [
        RUN(WORK.value, settings(scheduler=s, concurrency=c, batch=b))
        for s, c, b in itertools.product((0, 1, 2), (1, SLOTS), (False, True))
    ]
    for out in found:
        np.testing.assert_array_equal(out.result, found[0].result)
        assert bool(out.finished)
        assert int(out.hops) == int(WORK.value.hops.sum())
    assert RUN.traces <= before + 1
    wrong = WORK.value._replace(role=(WORK.value.role + 1) % 2)
    assert (np.asarray(RUN(wrong, settings()).result) != np.asarray(found[0].result)).any()


@pytest.mark.slow
def test_throughput_keeps_to_the_operational_bounds_and_utilisation_is_demand():
    flow = matrix.flow([[0.0, 1.0]], service=1.0, actors=4, servers=64)
    work = matrix.sample_work(jax.random.key(1), flow, 300, max_hops=1)
    run = jax.jit(lambda p: matrix.run(work, flow, p, slots=64))
    for scheduler, name in enumerate(matrix.SCHEDULERS):
        law = matrix.saturation(flow, name, 0.1)
        for concurrency in (2, 64):
            out = run(settings(scheduler=scheduler, concurrency=concurrency, tau=0.1))
            bound = min(law.slope * concurrency, law.control, law.pools)
            assert float(out.throughput) <= 1.25 * bound
            if concurrency == 2:
                assert float(out.throughput) == pytest.approx(bound, rel=0.15)
            rate = 300 / float(out.makespan)
            assert float(out.busy[-1]) == pytest.approx(rate * float(work.service.mean()), rel=1e-3)
            if scheduler == 0:
                assert float(out.busy[0]) == pytest.approx(rate * 0.1, rel=1e-3)
    central = run(settings(scheduler=0, concurrency=64, tau=0.1))
    assert float(central.throughput) == pytest.approx(10.0, rel=0.02)


@pytest.mark.slow
def test_constant_calls_in_step_take_the_computed_time():
    flow = matrix.flow([[0.0, 1.0]], service=1.0, actors=1, servers=3)
    work = matrix.sample_work(jax.random.key(0), flow, 9, max_hops=1, hop_spread=0.0)
    run = jax.jit(lambda p: matrix.run(work, flow, p, slots=3))
    for batch in (False, True):
        out = run(settings(tau=0.0, concurrency=3, batch=batch))
        assert float(out.makespan) == pytest.approx(3.0)


def test_bytes_of_a_message_are_the_history_with_or_without_long_texts():
    whole, light = (np.asarray(matrix.carried_bytes(WORK.value, offload=x)) for x in (False, True))
    size = np.asarray(WORK.value.size)
    np.testing.assert_allclose(whole[:, 0], 256.0)
    np.testing.assert_allclose(whole[:, 2], 256.0 + size[:, 0] + size[:, 1], rtol=1e-5)
    short = np.where(size > 512.0, 64.0, size)
    np.testing.assert_allclose(light[:, 2], 256.0 + short[:, 0] + short[:, 1], rtol=1e-5)
    inside = np.arange(8)[None, :] < np.asarray(WORK.value.hops)[:, None]
    for x, table in ((False, whole), (True, light)):
        out = RUN(WORK.value, settings(offload=x))
        assert float(out.message_bytes) == pytest.approx(table[inside].mean(), rel=1e-4)


@pytest.mark.slow
def test_rows_follow_their_routes_and_end_at_the_limit():
    many = matrix.sample_work(jax.random.key(2), FLOW, 4_000, max_hops=8)
    hops, role = np.asarray(many.hops), np.asarray(many.role)
    assert (role[:, 0] == 0).all()
    assert (role[:, 1] == 1).all()
    assert (hops[~np.asarray(many.cut)] % 2 == 0).all()
    back = (hops > 2).mean()
    assert back == pytest.approx(0.4, abs=0.03)
    assert np.asarray(many.cut).mean() == pytest.approx(0.4**4, abs=0.01)
    assert np.asarray(many.service)[:, 0].mean() == pytest.approx(1.0, abs=0.02)
    few = matrix.sample_work(jax.random.key(2), FLOW, 10, max_hops=8)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[:10], b), many, few)


def test_a_crash_loses_exactly_the_rows_that_the_actor_holds():
    fatal = matrix.crashes(network.fault_plan([(3, "crash", 3)], num_agents=5), FLOW)
    out = RUN(WORK.value, settings(), padded(list(zip(*fatal, strict=True))))
    calm = RUN(WORK.value, settings())
    lost = np.asarray(out.status) == matrix.TOMBSTONE
    assert 0 < lost.sum() < 12
    np.testing.assert_array_equal(np.asarray(out.result)[~lost], np.asarray(calm.result)[~lost])
    assert int(out.violations) == 0
    assert int(out.late) <= lost.sum()


@pytest.mark.slow
def test_ticks_agree_with_exact_events():
    flow = matrix.flow(LOOP, service=[1.0, 0.5], actors=[8, 8], servers=[16])
    work = matrix.sample_work(jax.random.key(3), flow, 300, max_hops=8)
    run = jax.jit(lambda p: matrix.run(work, flow, p, slots=32))
    both = [run(settings(scheduler=scheduler, concurrency=32)) for scheduler in (0, 1)]
    steps = int(max(float(exact.makespan) for exact in both) / 0.02) + 200
    run_ticks = jax.jit(
        lambda s: matrix.run_ticks(
            work, flow, scheduler=s, slots=32, tau=0.05, dt=0.02, num_steps=steps
        )
    )
    for scheduler, exact in enumerate(both):
        ticked = run_ticks(jnp.int32(scheduler))
        assert bool(ticked.done.all())
        np.testing.assert_array_equal(ticked.result, exact.result)
        assert int(ticked.dropped) == 0
        assert int(ticked.completed.sum()) == int(work.hops.sum())
        middle = np.searchsorted(np.cumsum(ticked.completed), [0.3 * 300, 0.7 * 300])
        assert (np.asarray(ticked.in_flight)[middle] == 32).all()
        took = np.flatnonzero(np.asarray(ticked.completed))[-1] * 0.02
        assert took == pytest.approx(float(exact.makespan), rel=0.1)
    tight = jax.jit(
        lambda: matrix.run_ticks(work, flow, slots=32, tau=0.05, dt=0.02, num_steps=50, capacity=1)
    )()
    assert int(tight.dropped) > 0


def test_jit_equals_eager():
    few = jax.tree.map(lambda x: x[:4], WORK.value)
    p = settings(concurrency=2)
    compiled = jax.jit(lambda w: matrix.run(w, FLOW, p, slots=2))(few)
    plain = matrix.run(few, FLOW, p, slots=2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), compiled, plain)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: matrix.flow([[0.0, 1.0]], actors=[0]),
            "actors: expected whole numbers of at least 1",
        ),
        (lambda: matrix.flow([[0.5, 0.5, 0.0]]), r"route: expected \[G, G \+ 1\]"),
        (lambda: matrix.flow([[1.0, 0.0]]), "rows never end from role 0 on"),
        (lambda: matrix.flow([[0.2, 0.2]]), "sum to one"),
        (lambda: matrix.flow([[0.0, 1.0]], service=-1.0), "service: expected finite"),
        (lambda: matrix.flow([[0.0, 1.0]], service=np.nan), "service: expected finite"),
        (lambda: matrix.flow([[0.0, 1.0]], pool=1), r"pool: expected whole numbers in \[0, 0\]"),
        (
            lambda: matrix.flow([[0.0, 1.0]], servers=0),
            "servers: expected whole numbers of at least 1",
        ),
        (
            lambda: matrix.sample_work(jax.random.key(0), FLOW, 0),
            "num_rows: expected a whole number of at least 1",
        ),
        (lambda: matrix.sample_work(jax.random.key(0), FLOW, 2, hop_spread=-1.0), "hop_spread"),
        (lambda: matrix.run(WORK.value, FLOW, settings(concurrency=0), slots=4), "concurrency"),
        (lambda: matrix.run(WORK.value, FLOW, settings(concurrency=5), slots=4), "concurrency"),
        (lambda: matrix.run(WORK.value, FLOW, settings(tau=np.nan), slots=9), "tau"),
        (lambda: matrix.run(WORK.value, FLOW, settings(scheduler=3), slots=9), "scheduler"),
        (lambda: matrix.run(WORK.value, FLOW, settings(window=(0.5, 0.5)), slots=9), "window"),
        (lambda: matrix.saturation(FLOW, "mesh", 0.1), "unknown scheduler 'mesh'"),
        (lambda: matrix.saturation(FLOW, "p2p", 0.0), "tau: expected a finite number > 0"),
        (lambda: matrix.run_ticks(WORK.value, FLOW, slots=0, num_steps=1), "slots"),
        (lambda: matrix.run_ticks(WORK.value, FLOW, slots=1, num_steps=1, dt=0.0), "dt"),
        (
            lambda: matrix.crashes(network.fault_plan([(1, "crash", 0)], num_agents=3), FLOW),
            "expected 5 actors, got 3",
        ),
        (
            lambda: matrix.crashes(network.fault_plan([(1, "rest", 0)], num_agents=5), FLOW),
            r"expected crashes, got \['rest'\]",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
