"""Public functions of modest, bristle, sybilwall and disrupted refuse bad values, naming them."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import data, gossip, models, network, topology
from jaxswarm.systems import bristle, disrupted, modest, sybilwall
from tests.bad_input import (
    FLAG,
    FUNCTION,
    KEY,
    NAME,
    NAN,
    NOT_NEGATIVE,
    OBJECT,
    SHARE,
    SIZE,
    Call,
    accepts,
    cases,
    refuses,
)
from tests.later import Later, built

RANDOM = jax.random.key(0)
RING = topology.ring(4)
SGD = optax.sgd(0.1)
TRAIN = data.load("iris").train
BODY = Later(lambda: models.functional(models.mlp(6), TRAIN.features[:1]))
NORMED = Later(lambda: models.functional(models.mlp(6, 5, norm="batch"), TRAIN.features[:1]))
HEADED = Later(lambda: bristle.with_head(BODY.value, 6, 3))
HALVES = [data.from_rows([np.arange(i, 120, 4), np.arange(i + 1, 120, 4)], 120) for i in (0, 2)]
MASK = np.ones(4, bool)
BAD_MASK = (np.ones(3, bool), np.ones(4), [0, 1], "x", None)
ALPHA = SHARE
RULE = bristle.performance_based(RING)
WALL = sybilwall.sybilwall(RING)
HEADS = np.zeros((4, 3, 2), np.float32)


def loss(params, batch):
    return jnp.sum((params[None] - batch.x) ** 2)


def wall_mix(params, withholds=None):
    exchange = gossip.Exchange(0)
    if withholds is not None:
        exchange = exchange.with_extras(withholds=withholds)
    return WALL.mix(RANDOM, params, WALL.init(params), exchange)


def modest_step(inputs):
    protocol = modest.modest(loss, 4, local=SGD, sample_size=2, sample=data.full_batches())
    return protocol.step(RANDOM, protocol.init(jnp.zeros(2)), inputs)


def federated_step(inputs):
    server = modest.federated(loss, 4, local=SGD, sample_size=2, sample=data.full_batches())
    return server.step(RANDOM, server.init(jnp.zeros(2)), inputs)


SHARDS = Later(lambda: data.stacked(np.zeros((4, 3, 2), np.float32), np.zeros((4, 3), np.int32)))
ONLINE = Later(lambda: modest.always_online(3, 4))
BAD_INPUTS = (
    None,
    3,
    (SHARDS,),
    (SHARDS, None),
    (None, ONLINE),
    (SHARDS, Later(modest.always_online, 3, 5)),
    (SHARDS, Later(ONLINE._replace, joins=np.zeros((3, 4)))),
)

CALLS = {
    "modest.modest": Call(
        modest.modest,
        {"loss": loss, "num_agents": 4, "local": SGD, "sample_size": 2},
        {
            "loss": FUNCTION,
            "num_agents": (*SIZE, 1),
            "local": OBJECT,
            "sample_size": (*SIZE, 5),
            "aggregators": (*SIZE, 3),
            "success": (0.0, *ALPHA),
            "inactivity": (0, 1.5, NAN, "x", None, jnp.int32(0)),
            "patience": (0, 1.5, NAN, "x"),
            "local_steps": SIZE,
            "attempts": SIZE,
            "sample": (3, "x"),
            "present": BAD_MASK[:-1],
        },
    ),
    "modest.federated": Call(
        modest.federated,
        {"loss": loss, "num_agents": 4, "local": SGD, "sample_size": 2},
        {
            "loss": FUNCTION,
            "num_agents": SIZE,
            "local": OBJECT,
            "sample_size": (*SIZE, 5),
            "local_steps": SIZE,
            "sample": (3, "x"),
        },
    ),
    "modest step": Call(
        modest_step,
        {"inputs": (SHARDS, ONLINE)},
        {"inputs": BAD_INPUTS},
        {"inputs": "inputs|shards|membership"},
    ),
    "federated step": Call(
        federated_step,
        {"inputs": (SHARDS, ONLINE)},
        {"inputs": BAD_INPUTS},
        {"inputs": "inputs|shards|membership"},
    ),
    "modest.always_online": Call(
        modest.always_online, {"rounds": 3, "num_agents": 4}, {"rounds": SIZE, "num_agents": SIZE}
    ),
    "modest.membership": Call(
        modest.membership,
        {"plan": Later(network.fault_plan, [(1, "crash", 0)], 4), "rounds": 3},
        {"plan": OBJECT, "rounds": SIZE, "present": BAD_MASK[:-1], "in_flight": FLAG},
    ),
    "modest.initial_views": Call(
        modest.initial_views,
        {"num_agents": 4},
        {"num_agents": (*SIZE, 1, 5000), "present": BAD_MASK[:-1]},
    ),
    "modest.check_view": Call(
        modest.check_view,
        {"view": Later(modest.initial_views, 4)},
        {"view": OBJECT, "before": (3, "x")},
    ),
    "modest.sample_order": Call(
        modest.sample_order,
        {"ids": np.arange(4, dtype=np.int32), "round": 0},
        {"ids": ("x", None, 3, np.zeros(3)), "round": (1.5, "x", None)},
    ),
    "modest.resolve_sample": Call(
        modest.resolve_sample,
        {
            "order": np.arange(4, dtype=np.int32),
            "candidate": MASK,
            "online": MASK,
            "own": jnp.int32(-1),
            "wanted": 2,
        },
        {"candidate": BAD_MASK, "online": BAD_MASK, "wanted": SIZE},
    ),
    "bristle.performance_based": Call(
        bristle.performance_based,
        {"topology": RING},
        {
            "topology": OBJECT,
            "quota": SIZE,
            "alpha": ALPHA,
            "num_certain": SIZE,
            "selection": NAME,
            "chunk": SIZE,
        },
    ),
    "bristle.bristle": Call(
        bristle.bristle,
        {"gossip": RULE, "sample": data.full_batches()},
        {
            "gossip": (*OBJECT, gossip.identity),
            "local": OBJECT[1:],
            "sample": FUNCTION,
            "local_steps": SIZE,
            "weight_decay": NOT_NEGATIVE,
            "network": OBJECT[1:],
        },
        {"gossip": "gossip|rule"},
    ),
    "bristle step": Call(
        lambda inputs: accepts(CALLS["bristle.bristle"]).step(
            RANDOM, bristle.bristle(RULE, sample=data.full_batches()).init(HEADS), inputs
        ),
        {},
        {"inputs": OBJECT},
    ),
    "bristle.head_loss": Call(bristle.head_loss, {}, {"weight_decay": NOT_NEGATIVE}),
    "bristle.peers": Call(
        bristle.peers,
        {"dataset": TRAIN, "train": HALVES[0], "test": HALVES[1]},
        {"dataset": OBJECT, "train": OBJECT, "test": OBJECT, "num_certain": (*SIZE, 4)},
    ),
    "bristle.with_head": Call(
        bristle.with_head,
        {"body": BODY, "num_features": 6, "num_classes": 3},
        {"body": (*OBJECT, NORMED), "num_features": SIZE, "num_classes": SIZE},
    ),
    "bristle.pretrained": Call(
        bristle.pretrained,
        {"key": RANDOM, "model": HEADED, "dataset": TRAIN, "steps": 1},
        {
            "key": KEY,
            "model": OBJECT,
            "dataset": OBJECT,
            "steps": SIZE,
            "batch": SIZE,
            "local": OBJECT[1:],
        },
    ),
    "bristle.centered": Call(
        bristle.centered, {"heads": HEADS}, {"heads": (np.zeros(3), 3.0, None, "x")}
    ),
    "bristle.keep_familiar": Call(
        bristle.keep_familiar,
        {"consolidated": HEADS, "trained": HEADS, "familiar": np.ones((4, 2), bool)},
        {"familiar": (None, "x", np.ones((4, 2)), np.ones((4, 3), bool))},
    ),
    "bristle.prioritize": Call(
        bristle.prioritize,
        {"key": RANDOM, "distances": np.ones(4, np.float32), "valid": MASK, "quota": 2},
        {
            "distances": (np.ones((2, 2)), jnp.float32(3.0)),
            "valid": BAD_MASK,
            "quota": SIZE,
            "alpha": ALPHA,
            "selection": NAME,
        },
    ),
    "sybilwall.sybilwall": Call(
        sybilwall.sybilwall,
        {"topology": RING},
        {
            "topology": OBJECT,
            "decay": (0.0, 1.5, -1.0, NAN, "x", [0.5], jnp.float32(2.0)),
            "traveled": SIZE,
            "history": NAME,
            "gossip_histories": FLAG,
            "member": (1, -1, 99, 0.5, NAN, "x", jnp.int32(99)),
            "chunk": SIZE,
        },
    ),
    "sybilwall mix": Call(
        wall_mix,
        {"params": jnp.ones((4, 2))},
        {
            "params": (jnp.ones((4, 2), int), jnp.ones((3, 2)), jnp.ones((4, 2), bool)),
            "withholds": BAD_MASK[:2],
        },
    ),
    "sybilwall.with_sybils": Call(
        sybilwall.with_sybils,
        {"honest": RING, "density": 1.0},
        {
            "honest": (*OBJECT, topology.stack([RING, RING])),
            "density": NOT_NEGATIVE,
            "max_degree": SIZE,
            "victims": ([0.5], [99], [-1], [], "x", [NAN]),
            "total": (*SIZE, 4),
        },
    ),
    "disrupted.decavg_mixing": Call(
        disrupted.decavg_mixing,
        {"topology": RING},
        {
            "topology": OBJECT,
            "weighting": NAME,
            "sizes": (np.ones(3), np.full(4, NAN), np.full(4, -1.0), "x", 3.0),
        },
    ),
    "disrupted.decavg": Call(
        disrupted.decavg,
        {"loss": loss, "W": disrupted.decavg_mixing(RING), "local": SGD},
        {
            "loss": FUNCTION,
            "W": (*OBJECT, RING),
            "local": OBJECT,
            "local_steps": SIZE,
            "sample": (3, "x"),
            "network": OBJECT[1:],
        },
    ),
    "disrupted.renormalized_averaging": Call(
        disrupted.renormalized_averaging,
        {"W": disrupted.decavg_mixing(RING)},
        {"W": (*OBJECT, RING)},
    ),
}
PARTS = {
    "modest.candidates",
    "modest.merge_views",
    "bristle.best_classes",
    "bristle.certainty",
    "bristle.f1_scores",
    "bristle.features",
    "bristle.integrate",
    "bristle.performance_weights",
    "bristle.thirds",
}
"""Steps of a rule on arrays that the rule has checked."""


STEPS = ("bristle step", "modest step", "sybilwall mix")
"""Whole rounds, which other tests run."""


@pytest.mark.parametrize("name", [name for name in CALLS if name not in STEPS])
def test_good_arguments_are_accepted(name):
    accepts(CALLS[name])


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_arguments_are_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


def test_every_public_function_is_in_the_battery():
    packages = {
        "modest": modest, "bristle": bristle, "sybilwall": sybilwall, "disrupted": disrupted
    }  # fmt: skip
    found = {
        f"{short}.{name}"
        for short, package in packages.items()
        for name in package.__all__
        if inspect.isfunction(getattr(package, name))
    }
    assert found - PARTS == {name for name in CALLS if "." in name}


@functools.cache
def with_history(history):
    rule = sybilwall.sybilwall(topology.complete(5), history=history)
    return rule, jax.jit(rule.mix)


@pytest.mark.parametrize("history", sybilwall.HISTORIES)
@pytest.mark.parametrize("size", [3e38, -3e38, 1e25, float("inf"), NAN])
def test_finite_models_of_any_size_give_finite_averages(history, size):
    """Two senders with models near the largest float: no overflow, no NaN, no lost mass."""
    rule, mix = with_history(history)
    start = jnp.ones((5, 6)) * jnp.arange(1.0, 6.0)[:, None] * 0.1
    state = rule.init(start)
    params = start.at[3:].set(size) * jnp.linspace(0.5, 1.0, 6)[None]
    for index in range(3):
        mixed, state, _ = mix(RANDOM, params, state, gossip.Exchange(jnp.int32(index)))
        assert np.isfinite(np.asarray(mixed)[:3]).all()
        for leaf in jax.tree.leaves(state):
            assert np.isfinite(np.asarray(leaf)).all()
    models = np.asarray(params, np.float64)
    models = models[np.isfinite(models).all(axis=1)]
    low, high = models.min(axis=0), models.max(axis=0)
    slack = 1e-5 * (high - low) + 1e-6
    assert (np.asarray(mixed)[:3] >= low - slack).all()
    assert (np.asarray(mixed)[:3] <= high + slack).all()


def test_decavg_on_a_sequence_renormalizes_each_member():
    graphs = topology.stack([RING, topology.star(4)])
    W = disrupted.decavg_mixing(graphs)
    rule = disrupted.renormalized_averaging(W)
    x = jnp.arange(4.0)[:, None]
    alive = jnp.array([True, True, True, False])
    for index, graph in enumerate((RING, topology.star(4))):
        single = disrupted.renormalized_averaging(disrupted.decavg_mixing(graph))
        one, _, _ = single.mix(RANDOM, x, (), gossip.Exchange(0, alive=alive))
        other, _, _ = rule.mix(RANDOM, x, (), gossip.Exchange(index, alive=alive))
        np.testing.assert_allclose(one, other, atol=1e-6)


def _tests_of(n):
    x = jnp.asarray(np.random.default_rng(1).normal(size=(n, 6, 3)), jnp.float32)
    y = jnp.arange(n * 6).reshape(n, 6) % 2
    return bristle.Tests(x, y, jnp.ones((n, 6)), jnp.ones((n, 2), bool))


COMPLETE = topology.complete(4)
RULES = {
    "sybilwall": (sybilwall.sybilwall(COMPLETE), {}),
    "sybilwall, displacement": (sybilwall.sybilwall(RING, history="displacement"), {}),
    "performance_based": (bristle.performance_based(COMPLETE), {"context": Later(_tests_of, 4)}),
    "renormalized_averaging": (
        disrupted.renormalized_averaging(disrupted.decavg_mixing(COMPLETE)),
        {},
    ),
}


@pytest.mark.parametrize("field", ["alive", "participates"])
@pytest.mark.parametrize("name", RULES)
def test_absent_agents_change_nothing_and_send_nothing_under_a_rule(name, field):
    rule, extras = built(RULES[name])
    rng = np.random.default_rng(0)
    params = jnp.asarray(rng.normal(size=(4, 3, 2)), jnp.float32)
    mix = jax.jit(rule.mix)
    state = rule.init(params)
    params, state, _ = mix(RANDOM, params, state, gossip.Exchange(0).with_extras(**extras))
    here = jnp.array([True, True, True, False])
    absent = gossip.Exchange(1)._replace(**{field: here}).with_extras(**extras)
    after, new_state, _ = mix(RANDOM, params, state, absent)
    spoiled = params.at[3].set(jnp.nan)
    other, other_state, _ = mix(RANDOM, spoiled, state, absent)
    np.testing.assert_array_equal(after[3], params[3])
    np.testing.assert_array_equal(after[:3], other[:3])
    leaves = map(jax.tree.leaves, (state, new_state, other_state))
    for before, now, with_nan in zip(*leaves, strict=True):
        if before.shape[:1] == (4,):
            np.testing.assert_array_equal(before[3], now[3])
            np.testing.assert_array_equal(now[:3], with_nan[:3])
