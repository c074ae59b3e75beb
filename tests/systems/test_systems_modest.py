"""MoDeST: views as a semilattice, samples by hash, bytes by count, stalls."""

import functools
from dataclasses import replace

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modest_by_hand import simulate

from jaxswarm import data, learning, network, rollout
from jaxswarm.systems import modest
from jaxswarm.systems.modest.actors import distinct
from jaxswarm.systems.modest.announcements import announce
from jaxswarm.systems.modest.round import PING_BYTES, averages
from jaxswarm.systems.modest.views import ENTRY_BYTES, empty_view, merge_all
from tests.tracing import Counted

N = 12


MERGE = jax.jit(modest.merge_views)


def views(seed, n=5):
    rng = np.random.default_rng(seed)
    return modest.View(
        jnp.asarray(rng.integers(-1, 4, n), jnp.int32),
        jnp.asarray(rng.integers(0, 3, n), jnp.int32),
        jnp.asarray(rng.random(n) < 0.5),
    )


def same(view, other):
    return all(np.array_equal(a, b) for a, b in zip(view, other, strict=True))


@given(a=st.integers(0, 10_000), b=st.integers(0, 10_000), c=st.integers(0, 10_000))
@settings(max_examples=40)
def test_views_are_a_semilattice(a, b, c):
    x, y, z = map(views, (a, b, c))
    merge = MERGE
    assert same(merge(x, y), merge(y, x))
    assert same(merge(merge(x, y), z), merge(x, merge(y, z)))
    assert same(merge(x, x), x)
    joined = merge(x, y)
    assert same(merge(joined, x), joined)
    rows = jax.tree.map(lambda *leaves: jnp.stack(leaves), x, y, z)
    merged = jax.jit(merge_all)(rows, jnp.array([True, False, True]))
    for j in range(5):  # the larger of (counter, left), or nothing at all
        counter, left = max((int(v.counter[j]), not bool(v.joined[j])) for v in (x, z))
        assert int(merged.counter[j]) == counter
        assert bool(merged.joined[j]) == (counter >= 0 and not left)
    assert bool((joined.last_active >= x.last_active).all())


def test_a_leave_wins_and_a_later_join_wins_again():
    known = modest.initial_views(3)
    row = jax.tree.map(lambda leaf: leaf[0], known)
    left = row._replace(counter=row.counter.at[2].set(1), joined=row.joined.at[2].set(False))
    back = row._replace(counter=row.counter.at[2].set(2))
    assert not bool(modest.merge_views(row, left).joined[2])
    assert bool(modest.merge_views(left, back).joined[2])


@given(round=st.integers(0, 1000), seed=st.integers(0, 100))
@settings(max_examples=20)
def test_the_order_depends_on_ids_and_round_alone(round, seed):
    ids = np.random.default_rng(seed).permutation(30).astype(np.int32)
    straight = np.arange(30)[np.asarray(modest.sample_order(jnp.arange(30), round))]
    shuffled = ids[np.asarray(modest.sample_order(jnp.asarray(ids), round))]
    np.testing.assert_array_equal(straight, shuffled)
    assert sorted(straight.tolist()) == list(range(30))


def test_all_agents_are_sampled_equally_often():
    first = jax.vmap(lambda k: modest.sample_order(jnp.arange(20), k)[:5])(jnp.arange(4000))
    counts = np.bincount(np.asarray(first).ravel(), minlength=20)
    assert np.abs(counts / 1000 - 1.0).max() < 0.15


def walk(order, candidate, online, own, wanted):
    """The same in plain Python."""
    members, pings, failures = [], 0, 0
    for node in order:
        if len(members) == wanted:
            break
        if not candidate[node]:
            continue
        pings += node != own
        if online[node]:
            members.append(int(node))
        else:
            failures += node != own
    return members, pings, failures


RESOLVE = jax.jit(modest.resolve_sample, static_argnums=4)


@given(seed=st.integers(0, 10_000), wanted=st.integers(1, 6))
@settings(max_examples=40)
def test_resolving_a_sample_is_a_walk_along_the_order(seed, wanted):
    rng = np.random.default_rng(seed)
    order, candidate = rng.permutation(N).astype(np.int32), rng.random(N) < 0.7
    online, own = rng.random(N) < 0.6, int(rng.integers(N))
    found = RESOLVE(
        jnp.asarray(order), jnp.asarray(candidate), jnp.asarray(online), jnp.int32(own), wanted
    )
    members, pings, failures = walk(order, candidate, online, own, wanted)
    assert [m for m in found.members.tolist() if m >= 0] == members
    assert (int(found.pings), int(found.failures)) == (pings, failures)
    assert int(found.count) == len(members)
    assert set(np.flatnonzero(found.answered).tolist()) == set(members)


def test_distinct_ids_by_frequency():
    place, dropped = distinct(jnp.array([4, -1, 7, 4, 9, 7, 4]), 2)
    assert place.tolist() == [0, 2]
    assert int(dropped) == 1


def quadratic(params, batch):
    return jnp.mean(jnp.square(params[None, :] - batch.x))


def shards_of(n=N):
    return data.stacked(
        np.arange(n * 2, dtype=np.float32).reshape(n, 2, 1), np.zeros((n, 2), np.int32)
    )


LONG = 50


@functools.cache
def program(sample_size, aggregators):
    """All tests of one shape share a compilation: ``LONG`` rounds, the rest is traced."""

    def play(schedule, success, inactivity, present, patience):
        protocol = modest.modest(
            quadratic, N, local=optax.sgd(0.25), sample=data.full_batches(), patience=patience,
            sample_size=sample_size, aggregators=aggregators, success=success,
            inactivity=inactivity, present=present,
        )  # fmt: skip
        return rollout(
            protocol.step, protocol.init(jnp.zeros(1)), LONG, key=jax.random.key(0),
            inputs=(shards_of(), schedule), evaluate=lambda state: state,
        )[1]  # fmt: skip

    return Counted(play)


def run(
    schedule, sample_size=4, aggregators=2, success=1.0, inactivity=50, present=None, patience=LONG
):
    """The records of as many rounds as the schedule has, in numpy."""
    rounds = schedule.joins.shape[0]

    def longer(leaf):
        quiet = leaf[-1:] if len(leaf) > rounds else jnp.zeros((1, N), bool)
        return jnp.concatenate([leaf, jnp.repeat(quiet, LONG - rounds, axis=0)])

    whole = modest.Membership(*(longer(leaf) for leaf in schedule[:3]), schedule.in_flight)
    present = np.asarray(schedule.online[0]) if present is None else present
    records = program(sample_size, aggregators)(
        whole, jnp.float32(success), jnp.int32(inactivity), present, jnp.int32(patience)
    )
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:rounds], records)


def last(state):
    return jax.tree.map(lambda leaf: leaf[-1], state)


BUSY = network.fault_plan(
    [
        *[(3, "join", 9), (5, "crash", 0), (5, "crash", 1), (6, "leave", 2), (9, "join", 10)],
        *[(10, "leave", 9), (12, "join", 2), (14, "recover", 1), (16, "crash", 3), (16, "join", 9)],
        *[(20, "crash", 5), (20, "crash", 6), (24, "recover", 0), (25, "leave", 2)],
    ],
    N,
)


@pytest.mark.parametrize(
    ("a", "success", "in_flight"),
    [
        (1, 1.0, False),
        pytest.param(2, 0.5, True, marks=pytest.mark.slow),
        pytest.param(3, 0.3, True, marks=pytest.mark.slow),
    ],
)
def test_a_whole_run_equals_the_protocol_by_hand(a, success, in_flight):
    """Samples, pings, bytes by kind, views and models, while agents join, leave and crash."""
    rounds, inactivity = 32, 6
    schedule = modest.membership(BUSY, rounds, in_flight=in_flight)
    records = run(schedule, aggregators=a, success=success, inactivity=inactivity)
    centers = np.asarray(shards_of().features).reshape(N, 2).mean(axis=1)
    log = simulate(
        jax.random.key(0), centers, schedule, rounds, s=4, a=a, needed=int(np.ceil(4 * success)),
        inactivity=inactivity,
    )  # fmt: skip
    info, state = records.info, records.evaluation
    assert (info.dropped == 0).all()
    for t, did in enumerate(log):
        assert sorted(did["sampled"]) == np.flatnonzero(info.sampled[t]).tolist(), t
        for kind in ("pings", "failures"):
            assert did[kind] == getattr(info, kind)[t], (t, kind)
        for kind in ("model", "view", "ping", "membership"):
            assert did[kind] == getattr(info.sent, kind)[t], (t, kind)
        assert did["round"] == state.round[t]
        held = {
            int(j): float(value[0])
            for j, value in zip(state.aggregator[t], state.aggregates[t], strict=True)
            if j >= 0
        }
        assert held == pytest.approx(did["models"], rel=1e-4)
        for i, view in enumerate(did["views"]):
            known = np.flatnonzero(state.views.counter[t, i] >= 0)
            assert sorted(view) == known.tolist(), (t, i)
            for j, (last, counter, joined) in view.items():
                found = tuple(leaf[t, i, j] for leaf in state.views)
                assert found == (last, counter, joined), (t, i, j)
    total = sum(did["model"] for did in log)
    np.testing.assert_allclose(state.ledger.total.model[-1], total)
    assert any(did["failures"] for did in log)
    assert len({tuple(sorted(did["sampled"])) for did in log}) > 10


def test_with_all_agents_online_it_is_federated_averaging():
    """One aggregator and equal views: the same samples, hence the same model as the server's."""
    schedule = modest.always_online(20, N)
    records = run(schedule, aggregators=1)
    state = last(records.evaluation)
    server = modest.federated(
        quadratic, N, local=optax.sgd(0.25), sample_size=4, sample=data.full_batches()
    )
    expected, _ = jax.jit(
        lambda: rollout(
            server.step, server.init(jnp.zeros(1)), 20, key=jax.random.key(0),
            inputs=(shards_of(), schedule),
        )
    )()  # fmt: skip
    held = state.aggregator >= 0
    assert int(held.sum()) == 1
    np.testing.assert_allclose(state.aggregates[held], expected.model, rtol=1e-5)
    assert not bool(records.info.stalled.any())
    assert (records.info.trained == 4).all()


@pytest.mark.slow
def test_a_sample_of_all_agents_is_fedavg_of_the_learning_package():
    """Every agent draws its batches from its own stream, whatever slot it trains in."""
    shards = data.stacked(
        np.random.default_rng(0).normal(size=(N, 9, 1)).astype(np.float32),
        np.zeros((N, 9), np.int32),
    )
    drawn = data.minibatches(3)
    protocol = modest.modest(
        quadratic, N, local=optax.sgd(0.25), sample=drawn, sample_size=N, aggregators=2,
        local_steps=2,
    )  # fmt: skip
    inputs = (shards, modest.always_online(6, N))
    state, _ = jax.jit(
        lambda: rollout(
            protocol.step, protocol.init(jnp.zeros(1)), 6, key=jax.random.key(0), inputs=inputs
        )
    )()
    learner = learning.fedavg(quadratic, local=optax.sgd(0.25), local_steps=2, sample=drawn)
    expected, _ = jax.jit(
        lambda: rollout(
            learner.step, learner.init(jnp.zeros((N, 1))), 6, key=jax.random.key(0), inputs=shards
        )
    )()
    held = state.aggregates[state.aggregator >= 0]
    np.testing.assert_allclose(held, expected.params[: len(held)], atol=1e-5)


@pytest.mark.slow
def test_what_a_sweep_varies_is_traced():
    calm = modest.always_online(4, N)
    some, all = (run(calm, success=share, inactivity=9) for share in (0.5, 1.0))
    assert (some.evaluation.aggregates[-1] != all.evaluation.aggregates[-1]).any()
    assert program(4, 2).traces == 1


@pytest.mark.slow
def test_without_patience_a_stalled_round_waits(key):
    protocol = modest.modest(
        quadratic, N, local=optax.sgd(0.25), sample=data.full_batches(), sample_size=4
    )
    state = protocol.init(jnp.zeros(1))._replace(waiting=jnp.int32(3))
    new, info = jax.jit(protocol.step)(key, state, (shards_of(), modest.always_online(4, N)))
    assert bool(info.stalled)
    assert int(new.waiting) == 4


@pytest.mark.slow
def test_agents_without_a_connection_do_not_answer_each_other(key):
    protocol = modest.modest(
        quadratic, N, local=optax.sgd(0.25), sample=data.full_batches(), sample_size=4, success=0.5
    )
    state = protocol.init(jnp.zeros(1))
    holder = int(state.aggregator[0])
    reachable = np.ones((N, N), bool)
    cut = [i for i in range(N) if i != holder][:6]
    reachable[holder, cut] = reachable[cut, holder] = False
    calm = modest.always_online(4, N)
    step = jax.jit(protocol.step)
    _, info = step(key, state, (shards_of(), calm._replace(reachable=jnp.asarray(reachable))))
    assert not np.asarray(info.sampled)[cut].any()
    assert int(info.trained) == 4
    everywhere = calm._replace(reachable=jnp.ones((N, N), bool))
    chex.assert_trees_all_equal(
        step(key, state, (shards_of(), everywhere)), step(key, state, (shards_of(), calm))
    )
    with pytest.raises(ValueError, match=r"membership\.reachable: expected"):
        protocol.step(key, state, (shards_of(), calm._replace(reachable=jnp.ones((2, 2), bool))))


@pytest.mark.slow
def test_jit_equals_eager(key):
    calm = modest.always_online(4, N)
    protocol = modest.modest(
        quadratic, N, local=optax.sgd(0.25), sample=data.full_batches(), sample_size=4
    )
    state, inputs = protocol.init(jnp.zeros(1)), (shards_of(), calm)
    chex.assert_trees_all_close(
        protocol.step(key, state, inputs), jax.jit(protocol.step)(key, state, inputs), atol=1e-6
    )


@pytest.mark.slow
def test_bytes_are_what_was_sent():
    schedule = modest.always_online(5, N)
    records = run(schedule)
    sent = records.evaluation.sent
    for k in range(5):  # 2 aggregators wake 4 trainers, which hand over to 2 aggregators
        order, then = (np.asarray(modest.sample_order(jnp.arange(N), k + i)) for i in (0, 1))
        models = 2 * 4 - 2 + 4 * 2 - len(set(order[:4]) & set(then[:2]))  # none to itself
        before = {kind: getattr(sent, kind)[k - 1] if k else 0.0 for kind in sent._fields}
        assert sent.model[k] - before["model"] == models * 4
        assert sent.view[k] - before["view"] == models * N * ENTRY_BYTES
        assert sent.ping[k] - before["ping"] == 2 * models * PING_BYTES
    assert (np.asarray(records.info.failures) == 0).all()
    assert (sent.membership == 0).all()


def crash(victims, at, rounds, **options):
    plan = network.fault_plan([(at, "crash", int(v)) for v in victims], N)
    return modest.membership(plan, rounds, **options)


@pytest.mark.slow
def test_dead_agents_are_pinged_until_they_are_inactive_for_too_long():
    victims = np.arange(6)
    schedule = crash(victims, 5, 40)
    records = run(schedule, aggregators=3, success=0.25, inactivity=10)
    failures = np.asarray(records.info.failures)
    assert not bool(records.info.stalled.any())
    assert (failures[:4] == 0).all()  # the last hand-over before the crash already finds them gone
    assert failures[4:15].sum() > 0
    assert (failures[20:] == 0).all()
    sampled = np.asarray(records.info.sampled)
    assert not sampled[5:, :6].any()
    final = last(records.evaluation.views)
    k = int(records.evaluation.round[-1])
    for owner in range(6, N):
        row = jax.tree.map(lambda leaf, o=owner: leaf[o], final)
        assert not np.asarray(modest.candidates(row, jnp.int32(owner), k, 10))[:6].any()


@pytest.mark.slow
def test_crashes_in_flight_stall_a_round_unless_fewer_models_suffice():
    victims = np.arange(8)
    rounds = 12
    between = crash(victims, 4, rounds)
    flying = crash(victims, 4, rounds, in_flight=True)
    options = {"sample_size": 6, "aggregators": 3}
    assert not bool(run(between, **options).info.stalled[3])
    stuck = run(flying, **options)
    stalled = stuck.info.stalled
    assert not stalled[:3].any()
    assert stalled[3:].all()  # forever, as published
    assert np.isfinite(stuck.evaluation.aggregates).all()
    assert stuck.evaluation.round[-1] == 3
    assert (stuck.info.sent.total[4:] == 0.0).all()  # waiting agents send no messages
    again = run(flying, success=0.3, patience=2, **options)
    assert again.evaluation.round[-1] > 6


def test_an_empty_network_stalls_without_a_nan():
    online = jnp.zeros((6, N), bool)
    schedule = modest.always_online(5, N)._replace(online=online)
    records = run(schedule, present=np.ones(N, bool))
    state = last(records.evaluation)
    assert records.info.stalled.all()
    assert np.isfinite(state.aggregates).all()
    assert float(state.sent.total) == 0.0


@pytest.mark.slow
def test_a_joining_agent_is_sampled_once_its_announcement_has_spread():
    joiner, at, rounds = 3, 6, 50
    plan = network.fault_plan([(at, "join", joiner)], N)
    schedule = modest.membership(plan, rounds)
    records = run(schedule, aggregators=3)
    views, pending = records.evaluation.views, records.evaluation.pending.joined
    known = np.asarray(views.joined)[:, :, joiner]
    sampled = np.asarray(records.info.sampled)[:, joiner]
    others = np.arange(N) != joiner
    assert not known[:at, others].any()
    assert pending[at][:, joiner].any()
    out = np.argmax(known[:, others].any(axis=1))
    assert out >= at
    assert not sampled[:out].any()
    assert sampled[out:].any()
    assert known[at + 20, others].mean() >= 0.95


def test_a_leave_takes_effect_at_once_at_its_receivers():
    plan = network.fault_plan([(5, "leave", 2)], N)
    schedule = modest.membership(plan, 20)
    records = run(schedule)
    joined = np.asarray(records.evaluation.views.joined)[:, :, 2]
    assert joined[3].all()
    assert (~joined[4]).sum() >= 4
    assert not np.asarray(records.info.sampled)[5:, 2].any()


def test_an_agent_may_join_again_and_a_pending_join_does_not_undo_a_leave():
    # Agent 2 leaves and returns; agents 3 and 7 join and leave before their JOIN takes effect.
    back, soon = [(4, "leave", 2), (12, "join", 2)], [(4, "join", 3), (5, "leave", 3)]
    plan = network.fault_plan([*back, *soon, (4, "join", 7), (6, "leave", 7)], N)
    schedule = modest.membership(plan, 50)
    records = run(schedule)
    views = records.evaluation.views
    others = np.setdiff1d(np.arange(N), [2, 3, 7])
    assert not views.joined[11, others, 2].any()
    assert views.joined[-1, others, 2].all()
    assert (views.counter[-1, others, 2] == 2).all()
    assert np.asarray(records.info.sampled)[12:, 2].any()
    for gone, left in ((3, 5), (7, 6)):
        assert not views.joined[-1, others, gone].any()
        assert not np.asarray(records.info.sampled)[left:, gone].any()


def test_announcements_go_to_known_agents_and_may_not_arrive():
    views = modest.initial_views(N)
    online = jnp.arange(N) < 6
    joins = jnp.zeros(N, bool).at[4].set(True)
    none = jnp.zeros(N, bool)
    send = jax.jit(announce, static_argnums=6)
    news = send(jax.random.key(1), views, empty_view(N, N), joins, none, online, 5)
    arrived = np.asarray(news.pending.joined)
    assert arrived[:, 4].sum() == arrived.sum()
    assert not arrived[6:].any()
    assert arrived.sum() < 5 == float(news.messages)  # some were offline; all were sent
    alone = views._replace(joined=jnp.eye(N, dtype=bool))
    news = send(jax.random.key(1), alone, empty_view(N, N), joins, none, online, 5)
    assert float(news.messages) == 0.0


def test_a_sample_larger_than_the_live_set_stalls():
    schedule = crash(np.arange(9), 4, 10)
    records = run(schedule)
    stalled = np.asarray(records.info.stalled)
    assert not stalled[:3].any()
    assert stalled[4:].all()
    records = run(schedule, success=0.75, inactivity=20, aggregators=3)
    assert not bool(records.info.stalled.any())


def test_a_diverged_trainer_changes_only_averages_that_count_it():
    trained = jnp.array([[jnp.nan], [1.0], [3.0]])
    counted = jnp.array([[False, True, True], [False, False, False]])
    np.testing.assert_array_equal(averages(trained, counted), [[2.0], [0.0]])


@pytest.mark.slow
def test_no_model_is_stored_for_agents_that_do_not_train():
    protocol = modest.modest(quadratic, 500, local=optax.sgd(0.1), sample_size=10)
    state = jax.eval_shape(protocol.init, jnp.zeros(1000))
    assert state.aggregates.shape == (2, 1000)
    shards = jax.eval_shape(lambda: shards_of(500))
    schedule = jax.eval_shape(lambda: modest.always_online(3, 500))
    compiled = jax.jit(
        modest.modest(
            quadratic, 500, local=optax.sgd(0.1), sample_size=10, sample=data.full_batches()
        ).step
    ).lower(jax.random.key(0), state, (shards, schedule)).compile()  # fmt: skip
    views = 2 * 500 * 500 * (4 + 4 + 1)
    assert compiled.memory_analysis().temp_size_in_bytes < 12 * views + 40 * 1000 * 4 * 10


BAD = {
    "sample": ({"sample_size": 13}, "sample_size"),
    "none": ({"sample_size": 0}, "sample_size"),
    "aggregators": ({"sample_size": 3, "aggregators": 4}, "aggregators"),
    "no aggregator": ({"aggregators": 0}, "aggregators"),
    "success": ({"success": 0.0}, "success"),
    "inactivity": ({"inactivity": 0}, "inactivity"),
    "steps": ({"local_steps": 0}, "local_steps"),
    "patience": ({"patience": 0}, "patience"),
    "attempts": ({"attempts": 0}, "attempts"),
    "present": ({"present": np.ones(3, bool)}, "present: expected bool"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_are_named(case):
    options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        modest.modest(quadratic, N, local=optax.sgd(0.1), **options)


def one_step(schedule, shards=None):
    protocol = modest.modest(quadratic, N, local=optax.sgd(0.1), sample_size=2)
    return protocol.step(jax.random.key(0), None, (shards or shards_of(), schedule))


WRONG = {
    "too many": (lambda: modest.initial_views(5000), "smaller network"),
    "schedule": (
        lambda: one_step(modest.always_online(3, N + 1)),
        "membership.online",
    ),
    "joins": (
        lambda: one_step(modest.always_online(3, N)._replace(joins=jnp.zeros((3, N)))),
        "membership.joins: expected bool",
    ),
    "shards": (
        lambda: one_step(modest.always_online(3, N), shards_of(N - 1)),
        "shards: expected those of 12 agents",
    ),
    "empty shard": (
        lambda: one_step(
            modest.always_online(3, N),
            replace(shards_of(), counts=jnp.ones(N, jnp.int32).at[4].set(0)),
        ),
        "empty shard of 4",
    ),
    "self": (
        lambda: modest.check_view(
            modest.initial_views(3)._replace(last_active=jnp.full((3, 3), -1))
        ),
        "agent 0 is absent",
    ),
    "backwards": (
        lambda: modest.check_view(
            modest.initial_views(3),
            modest.initial_views(3)._replace(counter=jnp.ones((3, 3), jnp.int32)),
        ),
        "backwards",
    ),
    "leave": (
        lambda: modest.membership(network.fault_plan([(0, "leave", 1)], N), 3),
        "leaves from round 1 on",
    ),
    "rounds": (lambda: modest.membership(network.fault_plan([], N), 0), "rounds"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_named(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()
