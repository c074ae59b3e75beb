"""What is absent, not chosen, not valid, free or padded has no influence, even if it is NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import coordination, gossip, network, topology
from jaxswarm.coordination import bandits, memory

D, ARMS = 3, 4
KEY = jax.random.key(0)
RULES = {
    f"{name}, {arms} arms, discount {discount}": make(D, num_arms=arms, discount=discount)
    for name, make in (("linucb", bandits.linucb), ("thompson", bandits.thompson))
    for arms in (None, ARMS)
    for discount in (1.0, 0.9)
}
WIDE = {"linucb with a radius": bandits.linucb(D, radius=0.5)}


def experienced(rule, count=6):
    rng = np.random.default_rng(0)
    sums = rule.init()
    for i in range(count):
        x = jnp.asarray(rng.uniform(0, 0.5, D), jnp.float32)
        sums = rule.learn(sums, x, jnp.float32(rng.uniform()), i % ARMS)
    return sums


def same(one, two):
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_every_rule_is_tried():
    made = {
        name for name in bandits.__all__
        if getattr(getattr(bandits, name), "__annotations__", {}).get("return") is bandits.Bandit
    }  # fmt: skip
    assert made == {label.split(",")[0] for label in RULES}


@pytest.mark.parametrize("label", [*RULES, *WIDE])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_dispatch_of_weight_0_or_without_candidate_teaches_nothing(label, compiled):
    rule = (RULES | WIDE)[label]
    sums = experienced(rule)
    learn = jax.jit(rule.learn) if compiled else rule.learn
    for bad in (jnp.nan, jnp.inf, 1.0):
        x, reward = jnp.full(D, bad), jnp.float32(bad)
        same(learn(sums, x, reward, 1, 0.0), sums)
        same(learn(sums, x, reward, bandits.NO_CANDIDATE, 1.0), sums)
    both = learn(sums, jnp.ones(D) / 2, jnp.float32(1.0), 1, 1.0)
    assert float(jnp.sum(both.count)) > float(0.5 * jnp.sum(sums.count))


@pytest.mark.parametrize("label", [*RULES, *WIDE])
def test_a_candidate_that_is_not_valid_changes_no_score_and_is_never_chosen(label):
    rule = (RULES | WIDE)[label]
    sums, arms = experienced(rule), jnp.arange(ARMS)
    features = jnp.asarray(np.random.default_rng(1).uniform(0, 0.5, (ARMS, D)), jnp.float32)
    want = rule.score(KEY, sums, features, arms)
    for bad in (jnp.nan, jnp.inf):
        odd = features.at[2].set(bad)
        got = jax.jit(rule.score)(KEY, sums, odd, arms)
        np.testing.assert_allclose(np.delete(got, 2), np.delete(want, 2), rtol=1e-5)
        for valid in ([True, True, False, True], [False, False, False, True]):
            chosen = int(bandits.choose(got, jnp.array(valid)))
            assert chosen != 2
            assert valid[chosen]
    unknown = want.at[2].set(jnp.nan)  # a valid candidate of which nothing is known
    assert int(bandits.choose(unknown, jnp.ones(ARMS, bool))) != 2
    assert int(bandits.choose(jnp.full(3, jnp.nan), jnp.array([False, True, False]))) == 1
    assert int(bandits.choose(jnp.full(3, -jnp.inf), jnp.array([False, False, True]))) == 2
    assert int(bandits.choose(jnp.full(3, jnp.nan), jnp.zeros(3, bool))) == bandits.NO_CANDIDATE


def test_regret_reads_valid_candidates_only():
    means = jnp.array([jnp.nan, -0.5, -0.2])
    valid = jnp.array([False, True, True])
    assert float(bandits.step_regret(means, valid, 1)) == pytest.approx(0.3)
    assert float(bandits.step_regret(means, jnp.zeros(3, bool), bandits.NO_CANDIDATE)) == 0.0


N = 6
RING = topology.ring(N)
W = gossip.mixing(RING)
OUT = jnp.arange(N) == 2
QUIET = {
    "alive": (gossip.averaging(W), {"alive": ~OUT}, OUT),
    "participates": (gossip.averaging(W), {"participates": ~OUT}, OUT),
    "every message lost": (
        gossip.averaging(W), {"delivered": jnp.zeros(RING.num_edge_slots, bool)}, jnp.ones(N, bool),
    ),
    "no gossip": (gossip.identity(), {}, jnp.ones(N, bool)),
    "silent round": (
        gossip.scheduled(gossip.averaging(W), gossip.every_k_rounds(5)), {}, jnp.ones(N, bool),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", QUIET)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_learner_that_does_not_exchange_keeps_its_sums(case, compiled):
    rule, masks, absent = QUIET[case]
    state = bandits.init_pooled(bandits.empty_sums(D, (N,)), rule)
    rng = np.random.default_rng(0)
    for index in range(3):
        x = jnp.asarray(rng.uniform(0, 0.5, (N, D)), jnp.float32)
        fresh = bandits.add_observation(state.fresh, x, jnp.ones(N))
        state = state._replace(fresh=fresh)
        if index < 2:  # rounds 0 and 1; round 1 is silent in the schedule
            opening = gossip.averaging(W)
            _, other = bandits.exchange_sums(KEY, state, opening, gossip.Exchange(index))
            assert float(other.messages) > 0

    def exchange(state):
        return bandits.exchange_sums(KEY, state, rule, gossip.Exchange(jnp.int32(1), **masks))[0]

    after = (jax.jit(exchange) if compiled else exchange)(state)
    for one, two in ((after.mixed, state.mixed), (after.fresh, state.fresh)):
        same(*(jax.tree.map(lambda x: np.asarray(x)[np.asarray(absent)], y) for y in (one, two)))
    total = [float(jnp.sum(y.mixed.count) + jnp.sum(y.fresh.count)) for y in (after, state)]
    assert total[0] == pytest.approx(total[1], rel=1e-5)


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_an_absent_learner_s_nan_stays_with_it(bad):
    rule = gossip.averaging(W)
    state = bandits.init_pooled(bandits.empty_sums(D, (N,)), rule)
    state = state._replace(
        fresh=bandits.add_observation(state.fresh, jnp.ones((N, D)), jnp.ones(N))
    )
    lost = state._replace(fresh=jax.tree.map(lambda x: x.at[2].set(bad), state.fresh))
    for field in ("alive", "participates"):
        exchange = gossip.Exchange(0, **{field: ~OUT})
        want, _ = bandits.exchange_sums(KEY, state, rule, exchange)
        got, _ = bandits.exchange_sums(KEY, lost, rule, exchange)
        same(*(jax.tree.map(lambda x: np.delete(x, 2, axis=0), y) for y in (got, want)))


def test_empty_slots_of_a_batch_of_calls_change_nothing():
    pool = coordination.workers([[0.9, 0.1], [0.2, 0.8]])
    backend = coordination.stochastic_backend(pool)
    ids = jnp.arange(3, dtype=jnp.int32)
    calls = coordination.Request(
        jnp.array([0, 1, 1], jnp.int32), ids, ids * 0, jnp.ones((3, 2)) / 2, jnp.zeros(3),
        jnp.ones(3, jnp.int32), jnp.array([True, False, True]),
    )  # fmt: skip
    state, want = backend.answer(KEY, backend.init(), calls)
    odd = calls._replace(
        worker=calls.worker.at[1].set(-1), demand=calls.demand.at[1].set(jnp.nan),
        context=calls.context.at[1].set(jnp.nan),
    )  # fmt: skip
    after, got = jax.jit(backend.answer)(KEY, backend.init(), odd)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), (after, got), (state, want)
    )
    assert float(after.load[1]) == pytest.approx(0.3)


def test_empty_slots_of_a_batch_of_messages_change_nothing():
    queues = coordination.empty_queues(2, 4, jnp.float32(0.0))
    active = jnp.array([True, False, True])
    values = jnp.array([1.0, jnp.nan, 2.0])
    for owner in ([0, -1, 0], [0, 1, 0], [0, 99, 0]):
        after = jax.jit(coordination.push)(queues, jnp.array(owner), values, active)
        assert after.size.tolist() == [2, 0]
        assert after.dropped.tolist() == [0, 0]
        assert bool(jnp.isfinite(after.messages).all())


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_a_fragment_that_is_nan_is_found_by_none_and_evicted_first(bad):
    fragments = memory.empty_memory(3, 2)
    store = jax.jit(memory.store)
    for content, x in ((1, [1.0, 0.0]), (2, [0.0, 1.0])):
        fragments = store(fragments, jnp.array(x), content, 1.0, 0.0)
    want = memory.utility(fragments, 1.0)
    same(store(fragments, jnp.full(2, bad), 9, bad, bad, active=False), fragments)
    odd = store(fragments, jnp.full(2, jnp.nan), 3, 1.0, 0.0)
    np.testing.assert_allclose(memory.utility(odd, 1.0)[:2], want[:2])
    slot, similarity = memory.retrieve(odd, jnp.array([1.0, 0.0]), 3)
    assert int(odd.content[slot[0]]) == 1
    assert float(similarity[0]) == 1.0
    again = store(odd, jnp.array([1.0, 0.0]), 4, 1.0, 1.0)
    assert sorted(again.content.tolist()) == [1, 2, 4]


@pytest.mark.parametrize("padding", [0, 3])
def test_padding_of_a_task_graph_has_no_influence(padding):
    graph = coordination.task_graph(np.ones((3, 2)), [(0, 1), (1, 2)], capacity=3 + padding)
    durations = np.r_[np.arange(1.0, 4.0), np.full(padding, np.nan)]
    assert float(coordination.critical_path(graph, durations)) == 6.0
    assert float(jax.jit(coordination.critical_path)(graph, durations)) == 6.0
    assert int(coordination.num_subtasks(graph)) == 3
    ready = coordination.ready_subtasks(graph, np.zeros(3 + padding, bool))
    assert ready.tolist() == [True] + [False] * (2 + padding)


@pytest.mark.parametrize("workers", [1, 2])
def test_availability_of_few_workers(workers):
    plan = network.fault_plan([(1, "crash", 0)], workers)
    tables = coordination.availability(plan, 3)
    assert tables.alive.shape == (3, workers)
    assert tables.alive[:, 0].tolist() == [True, False, False]
