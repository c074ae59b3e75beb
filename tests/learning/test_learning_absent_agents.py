"""Agents that are dead or do not take part change nothing, in any learner of the package."""

import functools
import inspect
import typing
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, data, gossip, learning, models, network, rollout, topology
from jaxswarm.algorithm import Algorithm
from jaxswarm.data import synthetic
from jaxswarm.gossip import Exchange
from jaxswarm.learning import asynchronous, matching
from jaxswarm.learning.asynchronous._dadao import start as dadao_start
from jaxswarm.learning.asynchronous.constants import constants
from jaxswarm.systems import bristle, disrupted, modest

N, ABSENT, FIRST, LAST = 4, 3, 2, 4  # agent 3 is absent in the rounds from FIRST to LAST
ROUNDS = LAST + 2
GRAPH = topology.ring(N)
W = gossip.mixing(GRAPH)
KEY = jax.random.key(0)
LOCAL = optax.chain(optax.add_noise(1e-3, 0.5, key=0), optax.adam(0.1))
MODEL = models.functional(models.mlp(8, 3, norm="batch"), jnp.zeros((1, 4)))
START = jnp.asarray(np.random.default_rng(0).normal(size=(N, 5)), jnp.float32)
TARGETS = jnp.arange(N * 1.0)[:, None] * jnp.ones((1, 5))


class Case(NamedTuple):
    """A learner with its start and the inputs of a round, leaves ``[N, ...]``."""

    learner: Algorithm
    state: Any
    inputs: Any


def loss(params, target):
    return 0.5 * jnp.sum((params - target) ** 2)


def vectors(learner):
    return Case(learner, learner.init(START), TARGETS)


def make(factory, *args, **options):
    return lambda net: vectors(factory(loss, *args, local=LOCAL, network=net, **options))


def merging(net):
    learner = matching.merge_and_train(
        learning.classification_loss(MODEL),
        model=MODEL,
        local=LOCAL,
        gossip=gossip.averaging(W),
        local_steps=1,
        match_data=lambda key, inputs: matching.SharedInputs(jax.random.normal(key, (2, 6, 4))),
        network=net,
    )
    return Case(learner, learner.init(agents.initialize(KEY, MODEL.init, N)), batches())


def normalized(net):
    learner = learning.decentralized(
        learning.classification_loss(MODEL),
        local=LOCAL,
        gossip=gossip.averaging(W),
        network=net,
        stateful=True,
    )
    stats = agents.broadcast(MODEL.init_stats(), N)
    return Case(learner, learner.init(agents.initialize(KEY, MODEL.init, N), stats), batches())


def batches():
    x = jax.random.normal(KEY, (N, 5, 4))
    return data.Batch(x, jnp.arange(N * 5).reshape(N, 5) % 3, jnp.ones((N, 5)))


def heads(net):
    rule = bristle.performance_based(topology.complete(N))
    learner = bristle.bristle(rule, local=LOCAL, sample=data.full_batches(), network=net)
    x = jnp.asarray(np.random.default_rng(1).normal(size=(N, 6, 4)), jnp.float32)
    y = jnp.arange(N * 6).reshape(N, 6) % 3
    tests = bristle.Tests(x, y, jnp.ones((N, 6)), jnp.ones((N, 3), bool))
    return Case(
        learner, learner.init(jnp.ones((N, 4, 3))), bristle.Peers(data.stacked(x, y), tests)
    )


CASES = {
    "decentralized": make(learning.decentralized, gossip=gossip.averaging(W)),
    "decentralized, combine then adapt": make(
        learning.decentralized, gossip=gossip.averaging(W), order="combine_then_adapt"
    ),
    "decentralized, parallel": make(
        learning.decentralized, gossip=gossip.averaging(W), order="parallel", local_steps=2
    ),
    "decentralized, batch normalization": normalized,
    "dpsgd": make(learning.dpsgd, W),
    "local_sgd": make(learning.local_sgd, W, local_steps=2),
    "fedavg": make(learning.fedavg, local_steps=2),
    "isolated": make(learning.isolated),
    "gradient_tracking": make(learning.gradient_tracking, gossip=gossip.averaging(W)),
    "exact_diffusion": make(learning.exact_diffusion, gossip=gossip.averaging(W)),
    "d2": make(learning.d2, gossip=gossip.averaging(W)),
    "cross_gradient": make(learning.cross_gradient, GRAPH, iterations=5),
    "merge_and_train": merging,
    "bristle": heads,
    "decavg": make(disrupted.decavg, disrupted.decavg_mixing(GRAPH)),
}
"""Learners of one round for all agents, ``network -> Case``."""

PROCESSES = ("point_process", "dadao_process", "continuized")
"""Learners on clocks: absent is an agent whose clocks do not tick."""

OF_SAMPLES = ("modest", "federated")
"""Learners that keep no model of an agent: absent is an agent that is offline."""

ONE_MODEL = ("centralized",)
"""One model, no network."""

ALL_AT_ONCE = ("dadao", "adom_plus", "msda")
"""All agents take part in every step; there is no network process."""

KINDS = ("dead", "does not participate", "straggler")


class Plan(NamedTuple):
    """Which agents are alive and take part in each round, bool ``[ROUNDS, N]``."""

    alive: jax.Array
    participates: jax.Array


def planned():
    """The network whose state is its plan: learners compile once for all kinds of absence."""
    always = jnp.ones((ROUNDS, N), bool)

    def step(key, plan, index):
        flags = {"alive": plan.alive[index], "participates": plan.participates[index]}
        return plan, Exchange(index, **flags)

    return network.Network(lambda: Plan(always, always), step)


@functools.cache
def absent_when(kind):
    gone, rounds = np.arange(N) == ABSENT, np.arange(ROUNDS)[:, None]
    always = jnp.ones((ROUNDS, N), bool)
    if kind == "straggler":
        process = network.stragglers(jnp.where(gone, 0.25, 1.0))
        state, flags = process.init(), []
        for index in range(ROUNDS):
            state, exchange = process.step(KEY, state, jnp.int32(index))
            flags.append(exchange.participates)
        return Plan(always, jnp.stack(flags))
    present = jnp.asarray(~(gone & (rounds >= FIRST) & (rounds <= LAST)))
    return Plan(present, always) if kind == "dead" else Plan(always, present)


@functools.cache
def compiled(name):
    case = CASES[name](planned())
    return case, jax.jit(case.learner.step)


def own(state, agent):
    """All that belongs to an agent: parameters, optimizer state, statistics, memory."""
    fields = {
        name: getattr(state, name) for name in ("params", "opt_state", "model_state", "correction")
    }

    def leaf(x):
        typed = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if typed else x)[agent]

    return {name: jax.tree.map(leaf, tree) for name, tree in fields.items()}


def changed(before, after):
    pairs = zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True)
    return [
        jax.tree_util.keystr(path)
        for (path, a), b in pairs
        if not np.array_equal(a, b, equal_nan=np.issubdtype(a.dtype, np.inexact))
    ]


def spoiled(x):
    """An array in which the row of the absent agent is NaN."""
    x = np.array(x)
    x[ABSENT] = np.nan
    return jnp.asarray(x)


def walk(name, plan, rounds, inputs=None, change=lambda state: state):
    case, step = compiled(name)
    states = [change(case.state._replace(network=plan))]
    for index in range(rounds):
        given = case.inputs if inputs is None else inputs(index)
        states.append(step(jax.random.fold_in(KEY, index), states[-1], given)[0])
    return states


def is_learner(value):
    if not inspect.isfunction(value):
        return False
    returned = typing.get_type_hints(value).get("return")
    return returned in (Algorithm, asynchronous.PointProcess)


def test_every_learner_is_in_the_battery():
    packages = (learning, asynchronous, matching, bristle, modest, disrupted)
    found = {name for p in packages for name in p.__all__ if is_learner(getattr(p, name))}
    covered = {name.split(",")[0] for name in CASES}
    assert found == covered | {*PROCESSES, *OF_SAMPLES, *ONE_MODEL, *ALL_AT_ONCE}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) if k == KINDS[-1] else k for k in KINDS]
)
@pytest.mark.parametrize("name", CASES)
def test_an_absent_agent_keeps_all_that_is_its_own(name, kind):
    straggles = kind == "straggler"
    first, last = (0, 2) if straggles else (FIRST, LAST)
    states = walk(name, absent_when(kind), last + 2)
    before = own(states[first], ABSENT)
    for state in states[first + 1 : last + 2]:
        different = changed(before, own(state, ABSENT))
        if name == "fedavg" and kind != "dead":  # the server sends its average to all living ones
            different = [path for path in different if "'params'" not in path]
        assert not different, different
    # It takes part again in the next round, and the others did in all.
    assert changed(before, own(states[-1], ABSENT))
    assert changed(own(states[first], 0), own(states[last + 1], 0))


@pytest.mark.parametrize("name", CASES)
def test_nothing_of_a_dead_agent_reaches_the_others(name):
    plan = absent_when("dead")
    case, _ = compiled(name)

    def poisoned(index):
        if not FIRST <= index <= LAST or name == "bristle":
            return case.inputs
        return jax.tree.map(lambda x: spoiled(x) if x.dtype == jnp.float32 else x, case.inputs)

    clean, odd = walk(name, plan, LAST + 1)[-1], walk(name, plan, LAST + 1, poisoned)[-1]
    for agent in range(N):
        assert not changed(own(clean, agent), own(odd, agent)), agent


@pytest.mark.parametrize("name", CASES)
def test_a_dead_agent_keeps_a_nan_and_a_zero_to_itself(name):
    """The dead agent's parameters are NaN, once the rounds begin: no finite agent turns NaN."""
    dead = jnp.broadcast_to(jnp.arange(N) != ABSENT, (ROUNDS, N))

    def spoil(state):
        params = jax.tree.map(spoiled, state.params)
        return state._replace(params=params)

    states = walk(name, Plan(dead, jnp.ones_like(dead)), 2, change=spoil)
    assert not changed(own(states[0], ABSENT), own(states[-1], ABSENT))
    for leaf in jax.tree.leaves(states[-1].params):
        assert np.isfinite(np.asarray(leaf)[:ABSENT]).all()


@pytest.mark.parametrize("name", PROCESSES)
def test_an_agent_whose_clocks_do_not_tick_keeps_its_state(name):
    gradient = lambda x, shard: x - shard  # noqa: E731
    zero = jnp.zeros((N, 5))
    if name == "dadao_process":
        found = constants(1.0, 1.0, 4.0, 1.0)
        process = learning.dadao_process(gradient, found)
        state = dadao_start(START)
    elif name == "continuized":
        process = learning.continuized(gradient, smoothness=1.0, convexity=1.0, chi1=4.0, chi2=1.0)
        state = asynchronous.ContinuizedAgent(zero, zero)
    else:
        process = learning.point_process(
            lambda x, elapsed: x * jnp.exp(-elapsed),
            [lambda key, pair, ids, inputs: pair + 1.0],
        )
        state = START
    start = process.init(state)
    pairs = jnp.array([[0, 1], [1, 2], [2, 0], [0, 2]], jnp.int32)
    events = asynchronous.Events(jnp.arange(1.0, 5.0), pairs, jnp.zeros(4, jnp.int32))
    after, _ = process.run(KEY, start, events, TARGETS)
    moved = []
    for before, now in zip(jax.tree.leaves(start), jax.tree.leaves(after), strict=True):
        if before.shape[:1] == (N,):
            np.testing.assert_array_equal(before[ABSENT], now[ABSENT])
            moved.append((np.asarray(now)[0] != np.asarray(before)[0]).any())
    assert any(moved)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_SAMPLES)
def test_an_agent_that_is_offline_neither_trains_nor_learns_of_others(name):
    n = 6
    features = np.ones((n, 2, 1), np.float32)
    features[ABSENT] = np.nan
    shards = data.stacked(features, np.zeros((n, 2), np.int32))
    plan = network.fault_plan([(0, "crash", ABSENT)], n)
    inputs = (shards, modest.membership(plan, 6))

    def distance(params, batch):
        return jnp.mean((params[None] - batch.x) ** 2)

    factory = modest.modest if name == "modest" else modest.federated
    learner = factory(distance, n, local=optax.sgd(0.3), sample_size=3, sample=data.full_batches())
    state = first = learner.init(jnp.zeros(1))
    step = jax.jit(learner.step)
    for index in range(6):
        state, info = step(jax.random.fold_in(KEY, index), state, inputs)
        assert not bool((info.sampled if name == "modest" else info.answered)[ABSENT])
    model = state.aggregates if name == "modest" else state.model
    assert np.isfinite(np.asarray(model)).all()
    assert int(state.round) == 6
    if name == "modest":
        for part in ("views", "pending"):
            was, now = getattr(first, part), getattr(state, part)
            for a, b in zip(was, now, strict=True):
                np.testing.assert_array_equal(a[ABSENT], b[ABSENT])


PROBLEM = synthetic.quadratics(10, 4, seed=1, condition_number=5.0, heterogeneity=1.0)
BIG_W = gossip.mixing(topology.ring(10), "lazy")
EXACT = ("gradient_tracking", "exact_diffusion", "d2")


def sampled(share):
    def step(key, state, index):
        return state, Exchange(index, participates=jax.random.uniform(key, (10,)) < share)

    return network.Network(lambda: (), step)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_corrected_methods_keep_their_identity_and_optimum_while_agents_come_and_go(name):
    learner = getattr(learning, name)(
        PROBLEM.loss,
        local=optax.sgd(0.2 / PROBLEM.smoothness),
        gossip=gossip.averaging(BIG_W),
        network=sampled(0.6),
    )
    start = jnp.asarray(np.random.default_rng(0).normal(size=(10, 4)), jnp.float32)
    state, records = rollout(
        learner.step,
        learner.init(start),
        3000,
        key=KEY,
        inputs=PROBLEM.data,
        every=1500,
        evaluate=lambda s: (s.params, s.correction),
    )
    params, memory = records.evaluation
    pair = memory if name == "gradient_tracking" else (params, memory)
    for one, other in zip(*pair, strict=True):
        np.testing.assert_allclose(one.mean(axis=0), other.mean(axis=0), atol=1e-4)
    np.testing.assert_allclose(state.params, np.tile(PROBLEM.optimum, (10, 1)), atol=2e-3)
