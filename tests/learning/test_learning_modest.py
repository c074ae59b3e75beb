"""MoDeST: views as a semilattice, samples by hash, bytes by count, stalls that are said."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import data, network
from jaxswarm.learning import modest
from jaxswarm.learning.modest.actors import distinct
from jaxswarm.learning.modest.protocol import PING_BYTES
from jaxswarm.learning.modest.views import ENTRY_BYTES
from jaxswarm.rollout import rollout

N = 12


def views(seed, n=5):
    rng = np.random.default_rng(seed)
    return modest.View(
        jnp.asarray(rng.integers(-1, 4, n), jnp.int32),
        jnp.asarray(rng.integers(0, 3, n), jnp.int32),
        jnp.asarray(rng.random(n) < 0.5),
    )


def same(one, other):
    return all(bool((a == b).all()) for a, b in zip(one, other, strict=True))


@given(a=st.integers(0, 10_000), b=st.integers(0, 10_000), c=st.integers(0, 10_000))
@settings(max_examples=40)
def test_views_are_a_semilattice(a, b, c):
    # As in a real run, a node that was never heard of has told nothing.
    x, y, z = (
        v._replace(
            counter=jnp.where(v.last_active < 0, 0, v.counter + 1),
            joined=v.joined & (v.last_active >= 0),
        )
        for v in map(views, (a, b, c))
    )
    merge = modest.merge_views
    assert same(merge(x, y), merge(y, x))
    assert same(merge(merge(x, y), z), merge(x, merge(y, z)))
    assert same(merge(x, x), x)
    joined = merge(x, y)
    assert same(merge(joined, x), joined)
    assert bool((joined.last_active >= x.last_active).all())


def test_a_leave_wins_and_a_later_join_wins_again():
    known = modest.everyone_known(3)
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


def test_every_node_is_sampled_as_often_as_any_other():
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


@given(seed=st.integers(0, 10_000), wanted=st.integers(1, 6))
@settings(max_examples=40)
def test_resolving_a_sample_is_a_walk_along_the_order(seed, wanted):
    rng = np.random.default_rng(seed)
    order, candidate = rng.permutation(N).astype(np.int32), rng.random(N) < 0.7
    online, own = rng.random(N) < 0.6, int(rng.integers(N))
    found = modest.resolve_sample(
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


def run(schedule, rounds, **options):
    protocol = modest.modest(
        quadratic, N, local=optax.sgd(0.25), sample=data.full_batches(), **options
    )
    return rollout(
        protocol.step, protocol.init(jnp.zeros(1)), rounds, key=jax.random.key(0),
        inputs=(shards_of(), schedule), evaluate=lambda state: state,
    )  # fmt: skip


def test_with_everyone_there_it_is_federated_averaging_to_the_letter():
    """One aggregator and equal views: the same samples, hence the same model as the server's."""
    schedule = modest.always_online(20, N)
    state, records = run(schedule, 20, sample_size=4)
    server = modest.federated(
        quadratic, N, local=optax.sgd(0.25), sample_size=4, sample=data.full_batches()
    )
    expected, _ = rollout(
        server.step, server.init(jnp.zeros(1)), 20, key=jax.random.key(0),
        inputs=(shards_of(), schedule),
    )  # fmt: skip
    held = state.aggregator >= 0
    assert int(held.sum()) == 1
    np.testing.assert_allclose(state.aggregates[held], expected.model, rtol=1e-5)
    assert not bool(records.info.stalled.any())
    assert (records.info.trained == 4).all()


def test_bytes_are_what_was_sent():
    schedule = modest.always_online(5, N)
    _, records = run(schedule, 5, sample_size=4, aggregators=2)
    sent = jax.tree.map(np.asarray, records.evaluation.sent)
    # First round: 2 aggregators to 4 trainers, and 4 trainers to 2 aggregators: 16 models of 4 B.
    assert sent.model[0] == (2 * 4 + 4 * 2) * 4
    assert sent.view[0] == 16 * N * ENTRY_BYTES
    pings, failures = (np.asarray(x) for x in (records.info.pings, records.info.failures))
    assert sent.ping[0] == (2 * pings[0] - failures[0]) * PING_BYTES
    assert (failures == 0).all()
    assert (np.diff(sent.model) == sent.model[0]).all()
    assert (sent.membership == 0).all()


def crash(victims, at, rounds, **options):
    plan = network.fault_plan([(at, "crash", int(v)) for v in victims], N)
    return modest.membership(plan, rounds, **options)


def test_the_dead_are_pinged_in_vain_until_they_are_forgotten():
    victims = np.arange(6)
    schedule = crash(victims, 5, 40)
    _, records = run(schedule, 40, sample_size=3, aggregators=3, success=0.3, inactivity=10)
    failures = np.asarray(records.info.failures)
    assert not bool(records.info.stalled.any())
    assert (failures[:4] == 0).all()  # the last hand-over before the crash already finds them gone
    assert failures[4:15].sum() > 0
    assert (failures[20:] == 0).all()
    sampled = np.asarray(records.info.sampled)
    assert not sampled[5:, :6].any()
    final = jax.tree.map(lambda leaf: leaf[-1], records.evaluation.views)
    k = int(records.evaluation.round[-1])
    for owner in range(6, N):
        row = jax.tree.map(lambda leaf, o=owner: leaf[o], final)
        assert not np.asarray(modest.candidates(row, jnp.int32(owner), k, 10))[:6].any()


def test_a_round_in_flight_stalls_and_says_so_unless_it_may_do_without():
    victims = np.arange(8)
    rounds = 12
    between = crash(victims, 4, rounds)
    flying = crash(victims, 4, rounds, in_flight=True)
    options = {"sample_size": 6, "aggregators": 3}
    protocol = modest.modest(
        quadratic, N, local=optax.sgd(0.25), sample=data.full_batches(), success=1.0, **options
    )
    play = jax.jit(
        lambda schedule: rollout(
            protocol.step, protocol.init(jnp.zeros(1)), rounds, key=jax.random.key(0),
            inputs=(shards_of(), schedule), evaluate=lambda state: state,
        )[1]
    )  # fmt: skip
    assert not bool(play(between).info.stalled[3])
    stuck = play(flying)
    stalled = np.asarray(stuck.info.stalled)
    assert not stalled[:3].any()
    assert stalled[3:].all()  # for good, as published
    assert bool(jnp.isfinite(stuck.evaluation.aggregates).all())
    assert int(stuck.evaluation.round[-1]) == 3
    _, again = run(flying, rounds, success=0.3, patience=2, **options)
    assert int(again.evaluation.round[-1]) > 6


def test_an_empty_network_stalls_without_a_nan():
    online = jnp.zeros((6, N), bool)
    schedule = modest.always_online(5, N)._replace(online=online)
    state, records = run(schedule, 5, sample_size=3)
    assert bool(records.info.stalled.all())
    assert bool(jnp.isfinite(state.aggregates).all())
    assert float(state.sent.total) == 0.0


def test_a_joiner_is_sampled_once_its_news_is_out():
    joiner, at, rounds = 3, 6, 60
    plan = network.fault_plan([(at, "join", joiner)], N)
    schedule = modest.membership(plan, rounds)
    _, records = run(
        schedule, rounds, sample_size=3, aggregators=3,
        present=np.asarray(schedule.online[0]),
    )  # fmt: skip
    views, pending = records.evaluation.views, np.asarray(records.evaluation.pending)
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


def test_a_leaver_is_gone_at_once_for_those_it_told():
    plan = network.fault_plan([(5, "leave", 2)], N)
    schedule = modest.membership(plan, 20)
    _, records = run(schedule, 20, sample_size=4, aggregators=2, inactivity=50)
    joined = np.asarray(records.evaluation.views.joined)[:, :, 2]
    assert joined[3].all()
    assert (~joined[4]).sum() >= 4
    assert not np.asarray(records.info.sampled)[5:, 2].any()


def test_nothing_is_stored_for_nodes_that_rest():
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
    views = 500 * 500 * (4 + 4 + 1 + 1)
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
}


@pytest.mark.parametrize("case", BAD)
def test_bad_options_are_named(case):
    options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        modest.modest(quadratic, N, local=optax.sgd(0.1), **options)


WRONG = {
    "too many": (lambda: modest.everyone_known(5000), "smaller network"),
    "schedule": (
        lambda: run(modest.always_online(3, N + 1), 3, sample_size=2),
        "membership.online",
    ),
    "self": (
        lambda: modest.check_view(
            modest.everyone_known(3)._replace(last_active=jnp.full((3, 3), -1))
        ),
        "node 0 is absent",
    ),
    "backwards": (
        lambda: modest.check_view(
            modest.everyone_known(3),
            modest.everyone_known(3)._replace(counter=jnp.ones((3, 3), jnp.int32)),
        ),
        "backwards",
    ),
    "leave": (
        lambda: modest.membership(network.fault_plan([(0, "leave", 1)], N), 3),
        "leaves in round 0",
    ),
    "rounds": (lambda: modest.membership(network.fault_plan([], N), 0), "rounds"),
}


@pytest.mark.parametrize("case", WRONG)
def test_bad_input_is_named(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=message):
        call()
