"""Learners against closed forms, each other, and real data."""

import re

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, data, gossip, learning, models, network, rollout, topology
from jaxswarm.data import synthetic
from jaxswarm.gossip import Exchange, Traffic

N, D = 10, 4
PROBLEM = synthetic.quadratics(N, D, seed=1, condition_number=5.0, heterogeneity=1.0)
W = gossip.mixing(topology.ring(N), "lazy")
START = jnp.asarray(np.random.default_rng(0).normal(size=(N, D)), jnp.float32)
RATE = 0.2 / PROBLEM.smoothness
KEY = jax.random.key(0)

LEARNERS = {
    "diffusion": lambda **k: learning.decentralized(PROBLEM.loss, **k),
    "combine then adapt": lambda **k: learning.decentralized(
        PROBLEM.loss, order="combine_then_adapt", **k
    ),
    "parallel": lambda **k: learning.decentralized(PROBLEM.loss, order="parallel", **k),
    "gradient tracking": lambda **k: learning.gradient_tracking(PROBLEM.loss, **k),
    "exact diffusion": lambda **k: learning.exact_diffusion(PROBLEM.loss, **k),
    "d2": lambda **k: learning.d2(PROBLEM.loss, **k),
}
EXACT = ("gradient tracking", "exact diffusion", "d2")


def make(name, **overrides):
    parts = {"local": optax.sgd(RATE), "gossip": gossip.averaging(W)} | overrides
    return LEARNERS[name](**parts)


def run(learner, params, rounds, inputs=PROBLEM.data, key=None, **keywords):
    key = jax.random.key(0) if key is None else key
    go = jax.jit(lambda s: rollout(learner.step, s, rounds, key=key, inputs=inputs, **keywords))
    return go(learner.init(params))


@pytest.mark.parametrize("name", LEARNERS)
def test_battery(name, key):
    learner = make(name)
    state = learner.init(START)
    spec = jax.eval_shape(learner.step, key, state, PROBLEM.data)[0]
    chex.assert_trees_all_equal_shapes_and_dtypes(spec, state)
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(learner.step, n=1))
    new, info = step(key, state, PROBLEM.data)
    newer, _ = step(key, new, PROBLEM.data)
    chex.assert_tree_all_finite((newer, info))
    eager, _ = learner.step(key, state, PROBLEM.data)
    chex.assert_trees_all_close(eager.params, new.params, atol=1e-6)
    assert int(newer.round) == 2
    assert info.loss.shape == (N,)
    size = D * 4 * (2 if name == "gradient tracking" else 1)
    np.testing.assert_allclose(newer.traffic.total.messages, 2 * 2 * N)
    np.testing.assert_allclose(newer.traffic.total.bytes, 2 * 2 * N * size)


@pytest.mark.slow
def test_exact_methods_reach_the_optimum_where_plain_sgd_stalls():
    errors = {}
    for name in LEARNERS:
        state, _ = run(make(name), START, 1500)
        errors[name] = float(np.abs(np.asarray(state.params) - PROBLEM.optimum).max())
    assert errors["diffusion"] > 1e-2  # the control: a constant step is biased
    for name, error in errors.items():
        if name in EXACT:
            assert error < 0.03 * errors["diffusion"], (name, errors)
        else:
            assert error > 1e-2, (name, errors)


def test_gradient_tracking_tracks_the_mean_gradient():
    learner = make("gradient tracking")
    state = learner.init(START)
    step = jax.jit(learner.step)
    for index in range(8):
        state, _ = step(jax.random.key(index), state, PROBLEM.data)
        tracker = state.correction
        np.testing.assert_allclose(
            agents.mean(tracker.direction), agents.mean(tracker.gradient), atol=1e-5
        )


def gradients(x):
    return np.asarray(jax.vmap(jax.grad(PROBLEM.loss))(jnp.asarray(x, jnp.float32), PROBLEM.data))


def test_orders_equal_their_numpy_recursions(key):
    matrix, x = np.asarray(W.dense()), np.asarray(START)
    adapted = x - RATE * gradients(x)
    mixed = matrix @ x
    wanted = {
        "diffusion": matrix @ adapted,
        "combine then adapt": mixed - RATE * gradients(mixed),
        "parallel": mixed - RATE * gradients(x),
        "exact diffusion": (np.eye(N) + matrix) / 2 @ adapted,
        "d2": matrix @ adapted,
    }
    for name, result in wanted.items():
        learner = make(name)
        state, _ = learner.step(key, learner.init(START), PROBLEM.data)
        np.testing.assert_allclose(state.params, result, atol=1e-5, err_msg=name)


NAMED = {
    "dpsgd": (
        lambda **k: learning.dpsgd(PROBLEM.loss, W, **k),
        {"gossip": gossip.averaging(W), "order": "parallel"},
    ),
    "local_sgd": (
        lambda **k: learning.local_sgd(PROBLEM.loss, W, **k),
        {"gossip": gossip.averaging(W)},
    ),
    "fedavg": (
        lambda **k: learning.fedavg(PROBLEM.loss, weights=jnp.arange(1.0, N + 1), **k),
        {"gossip": gossip.server(jnp.arange(1.0, N + 1))},
    ),
    "isolated": (lambda **k: learning.isolated(PROBLEM.loss, **k), {"gossip": gossip.identity()}),
}


def program(learner):
    """The traced step as text, and its constants: equal programs need not be run."""
    step = jax.make_jaxpr(lambda state: learner.step(KEY, state, PROBLEM.data))
    traced = step(learner.init(START))
    return re.sub(r"0x[0-9a-f]+", "", str(traced.jaxpr)), traced.consts


@pytest.mark.parametrize("name", NAMED)
def test_a_named_learner_is_a_choice_of_the_general_one(name):
    make_named, choice = NAMED[name]
    common = {
        "local": optax.sgd(RATE, 0.9),
        "local_steps": 3,
        "network": network.churn(N, crash=0.3, recover=0.5),
        "chunk": 4,
    }
    text, constants = program(make_named(**common))
    general = program(learning.decentralized(PROBLEM.loss, **common, **choice))
    assert text == general[0]
    chex.assert_trees_all_equal(constants, general[1])
    assert text != program(make("combine then adapt"))[0]  # the control


def test_full_averaging_from_one_start_is_centralised_descent():
    shared = agents.broadcast(START[0], N)
    full = gossip.averaging(gossip.mixing(topology.complete(N)))
    averaged, _ = run(make("diffusion", gossip=full), shared, 20)
    served, _ = run(make("diffusion", gossip=gossip.server()), shared, 20)
    center = learning.centralized(PROBLEM.loss, local=optax.sgd(RATE))
    pooled, _ = run(center, START[:1], 20)
    wanted = np.broadcast_to(pooled.params, (N, D))
    np.testing.assert_allclose(averaged.params, wanted, atol=1e-5)
    np.testing.assert_allclose(served.params, wanted, atol=1e-5)
    assert float(pooled.traffic.total.messages) == 0


def test_isolated_agents_reach_their_own_minimisers():
    state, _ = run(make("diffusion", gossip=gossip.identity(), local_steps=5), START, 400)
    np.testing.assert_allclose(gradients(state.params), 0.0, atol=1e-4)
    assert float(agents.disagreement(state.params)) > 0.1


def test_permuting_agents_permutes_the_run():
    order = np.random.default_rng(0).permutation(N)
    rank = np.argsort(order)
    ring = topology.ring(N)
    edges = np.stack([rank[ring.senders], rank[ring.receivers]], axis=1)
    moved = gossip.mixing(topology.from_edges(edges, N, directed=True), "lazy")
    here, _ = run(make("diffusion"), START, 10)
    there, _ = run(
        make("diffusion", gossip=gossip.averaging(moved)),
        START[order],
        10,
        inputs=jax.tree.map(lambda x: jnp.asarray(x)[order], PROBLEM.data),
    )
    np.testing.assert_allclose(there.params, here.params[order], atol=1e-5)


def test_absent_agents_keep_their_state_and_dead_ones_have_no_influence(key):
    alive = jnp.arange(N) != 3

    def step(key, state, index):
        return state, Exchange(index, alive=alive)

    world = learning.Network(lambda: (), step)
    learner = make("diffusion", network=world, local=optax.adam(0.01))
    state, _ = run(learner, START, 5)
    np.testing.assert_array_equal(state.params[3], START[3])
    assert int(state.opt_state[0].count[3]) == 0
    assert int(state.opt_state[0].count[4]) == 5
    changed = START.at[3].set(1e6)
    other, _ = run(learner, changed, 5)
    keep = np.arange(N) != 3
    np.testing.assert_array_equal(other.params[keep], state.params[keep])


def test_ledger_keeps_small_amounts():
    ledger = learning.Ledger.empty()
    amount = Traffic(jnp.float32(3.0), jnp.float32(12345.0))
    ledger, _ = jax.lax.scan(lambda c, _: (c.add(amount), None), ledger, length=200_000)
    assert float(ledger.total.bytes) == pytest.approx(12345.0 * 200_000, rel=2e-7)
    naive, _ = jax.lax.scan(lambda c, _: (c + amount.bytes, None), jnp.float32(0), length=200_000)
    assert abs(float(naive) / (12345.0 * 200_000) - 1) > 1e-5  # the control


@pytest.fixture(scope="module")
def digits():
    split = data.load("digits")
    partition = data.dirichlet_over_agents(split.train.labels, 16, seed=0, alpha=0.5)
    return split, data.shards(split.train, partition)


def test_agents_learn_digits_together_better_than_alone(digits):
    split, shards = digits
    model = models.functional(models.mlp(32, 10), split.train.features[:1])
    params = agents.initialize(jax.random.key(1), model.init, 16)
    evaluate = learning.evaluation(model, split.test)
    final = {}
    for name, rule in {
        "together": gossip.averaging(gossip.mixing(topology.exponential(16))),
        "alone": gossip.identity(),
    }.items():
        learner = learning.decentralized(
            learning.classification_loss(model),
            local=optax.sgd(0.2),
            gossip=rule,
            sample=data.minibatches(16),
        )
        state, _ = run(learner, params, 300, inputs=shards)
        final[name] = evaluate(state)
    assert float(final["together"].accuracy.mean()) > 0.85
    assert float(final["together"].accuracy.mean()) > float(final["alone"].accuracy.mean()) + 0.2
    assert float(final["together"].disagreement) < float(final["alone"].disagreement)
    assert float(final["alone"].megabytes) == 0.0


@pytest.mark.slow
def test_normalisation_statistics_are_not_sent_and_are_recomputed_after_a_merge(digits):
    split, shards = digits
    model = models.functional(models.mlp(16, 10, norm="batch"), split.train.features[:2])
    params = agents.initialize(jax.random.key(1), model.init, 16, shared=True)
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(0.1),
        gossip=gossip.server(),
        sample=data.minibatches(16),
        stateful=True,
    )
    stats = agents.broadcast(model.init_stats(), 16)
    go = jax.jit(lambda s: rollout(learner.step, s, 60, key=jax.random.key(0), inputs=shards)[0])
    state = go(learner.init(params, stats))
    assert float(agents.disagreement(state.params)) < 1e-10
    assert float(agents.disagreement(state.model_state)) > 1e-4
    batches = jnp.asarray(split.train.features[:512]).reshape(8, 64, -1)
    scores = learning.evaluation(model, split.test, calibration=batches)(state)
    assert float(scores.merged_accuracy) > float(scores.accuracy.mean())
    with pytest.raises(ValueError, match="calibration"):
        learning.evaluation(model, split.test)


def test_a_step_of_forty_thousand_agents_agrees_with_numpy(key):
    n = 40_000
    problem_a = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3)), jnp.float32)
    x = jax.random.normal(key, (n, 3))
    ring = gossip.mixing(topology.ring(n))
    learner = learning.decentralized(
        lambda p, batch: jnp.sum((problem_a @ p - batch) ** 2),
        local=optax.sgd(0.01),
        gossip=gossip.averaging(ring),
    )
    target = jax.random.normal(jax.random.key(1), (n, 3))
    state, info = jax.jit(learner.step)(key, learner.init(x), target)
    a, x64, t64 = (np.asarray(v, np.float64) for v in (problem_a, x, target))
    residual = x64 @ a.T - t64
    adapted = x64 - 0.01 * 2 * residual @ a
    wanted = (adapted + np.roll(adapted, 1, 0) + np.roll(adapted, -1, 0)) / 3
    np.testing.assert_allclose(info.loss, (residual**2).sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state.params, wanted, atol=1e-5)


BAD = {
    "loss": (
        lambda: learning.decentralized(3, local=optax.sgd(1.0), gossip=gossip.identity()),
        "loss",
    ),
    "local": (
        lambda: make("diffusion", local=0.1),
        "local: expected an optax optimizer such as .*, got 0.1",
    ),
    "gossip": (lambda: make("diffusion", gossip=W), "gossip: expected a rule"),
    "steps": (lambda: make("diffusion", local_steps=0), "local_steps"),
    "order": (
        lambda: learning.decentralized(
            PROBLEM.loss, local=optax.sgd(1.0), gossip=gossip.identity(), order="adapt_than_combine"
        ),
        "did you mean 'adapt_then_combine'",
    ),
    "params": (
        lambda: make("diffusion").step(
            jax.random.key(0), make("diffusion").init(START[:7]), PROBLEM.data
        ),
        "must lead with 7 agents",
    ),
    "scalar": (
        lambda: run(
            learning.decentralized(lambda p, b: p, local=optax.sgd(1.0), gossip=gossip.identity()),
            START,
            1,
        ),
        "scalar per agent",
    ),
    "centralized": (
        lambda: learning.centralized(PROBLEM.loss, local=optax.sgd(1.0)).init(START),
        "must lead with 1 agents",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
