"""Every argument of a public function of learning and models refuses bad values, naming itself."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import agents, data, gossip, learning, models, topology
from jaxswarm.learning import asynchronous, matching
from jaxswarm.learning.asynchronous.constants import constants
from tests.bad_input import (
    COUNT,
    FLAG,
    FUNCTION,
    KEY,
    NAME,
    NAN,
    NOT_NEGATIVE,
    OBJECT,
    POSITIVE,
    SIZE,
    Call,
    accepts,
    cases,
    refuses,
)
from tests.later import Later

RANDOM = jax.random.key(0)
RING = topology.ring(4)
W = Later(lambda: gossip.mixing(RING))
TRAIN, TEST = data.load("iris")
MODULE = models.mlp(6, 3)
MODEL = Later(lambda: models.functional(MODULE, TRAIN.features[:1]))
NORMED = Later(lambda: models.functional(models.mlp(6, 3, norm="batch"), TRAIN.features[:1]))
PARAMS = Later(lambda: jax.jit(MODEL.value.init)(RANDOM))
STACKED = Later(lambda: jax.jit(lambda k: agents.initialize(k, MODEL.value.init, 4))(RANDOM))
SPEC = Later(lambda: matching.permutation_spec(MODULE, PARAMS.value))
X = np.asarray(TRAIN.features[:8]).reshape(1, 8, 4)
LOGITS, Y = np.zeros((3, 4), np.float32), np.array([0, 1, 2], np.int32)
BAD_LABELS = (
    [9, 0, 1],
    [-1, 0, 1],
    [0.0, 1.0, 2.0],
    [0, 1],
    [[0], [1], [2]],
    None,
    "abc",
    np.array([0, 1, 9]),
)
WEIGHTS = ([-1.0, 1.0, 1.0], [NAN, 1.0, 1.0], [1.0, 1.0], "abc", np.array([1.0, -1.0, 0.0]), 3.0)
NO_ARRAY = (None, "x", [[1, 2], [3]], {"a": 1})


def loss(params, batch):
    return jnp.sum((params - batch) ** 2)


def gradient(x, shard):
    return x - shard


LEARNER = {
    "local": (*OBJECT, optax.sgd),
    "network": (3, "x", [1], {"a": 1}, W),
}
DECENTRALIZED = {
    **LEARNER,
    "loss": FUNCTION,
    "local_steps": SIZE,
    "sample": (3, "x"),
    "stateful": FLAG,
    "stochastic": FLAG,
    "chunk": SIZE,
}
CORRECTED = {**LEARNER, "loss": FUNCTION, "gossip": (*OBJECT[1:], W, RING), "sample": (3, "x")}
RULE = Later(lambda: gossip.averaging(W.value))
SGD = optax.sgd(0.1)
PROBLEM = {"smoothness": 2.0, "convexity": 1.0}
BAD_PROBLEM = {"smoothness": (*POSITIVE[:5], 0.5), "convexity": (*POSITIVE[:5], 3.0)}
CLOCKS = Later(lambda: asynchronous.agent_clocks(4))
EVENTS = Later(lambda: learning.poisson_events(RANDOM, CLOCKS.value, 6))

CALLS = {
    "decentralized": Call(
        learning.decentralized,
        {"loss": loss, "local": SGD, "gossip": RULE},
        {**DECENTRALIZED, "gossip": (*OBJECT[1:], W, RING), "order": NAME},
    ),
    "dpsgd": Call(learning.dpsgd, {"loss": loss, "W": W, "local": SGD}, DECENTRALIZED),
    "local_sgd": Call(
        learning.local_sgd, {"loss": loss, "W": W, "local": SGD, "local_steps": 1}, DECENTRALIZED
    ),
    "fedavg": Call(learning.fedavg, {"loss": loss, "local": SGD, "local_steps": 1}, DECENTRALIZED),
    "isolated": Call(learning.isolated, {"loss": loss, "local": SGD}, DECENTRALIZED),
    "centralized": Call(
        learning.centralized,
        {"loss": loss, "local": SGD},
        {"loss": FUNCTION, "local": OBJECT, "local_steps": SIZE, "sample": (3, "x")},
    ),
    "gradient_tracking": Call(
        learning.gradient_tracking, {"loss": loss, "local": SGD, "gossip": RULE}, CORRECTED
    ),
    "exact_diffusion": Call(
        learning.exact_diffusion,
        {"loss": loss, "local": SGD, "gossip": RULE},
        {**CORRECTED, "lazy": FLAG},
    ),
    "d2": Call(learning.d2, {"loss": loss, "local": SGD, "gossip": RULE}, CORRECTED),
    "cross_gradient": Call(
        learning.cross_gradient,
        {"loss": loss, "topology": RING, "local": SGD},
        {**LEARNER, "loss": FUNCTION, "iterations": SIZE, "sample": (3, "x"), "topology": OBJECT},
    ),
    "mixed_precision": Call(
        learning.mixed_precision,
        {"loss": loss},
        {"loss": FUNCTION, "dtype": (None, "int8", 3, jnp.int32, "no dtype")},
    ),
    "classification_loss": Call(
        learning.classification_loss,
        {"model": MODEL},
        {"model": (*OBJECT, MODULE), "weight_decay": NOT_NEGATIVE},
    ),
    "evaluation": Call(
        learning.evaluation,
        {"model": MODEL, "test": TEST},
        {
            "model": (*OBJECT, MODULE),
            "test": (*OBJECT, Later(data.load, "digits").test, data.load("iris")),
            "chunk": SIZE,
            "calibration": (np.zeros(3), np.zeros((0, 2, 4))),
        },
        {"test": "test|model"},
    ),
    "merge": Call(
        learning.merge,
        {
            "params": Later(agents.initialize, RANDOM, NORMED.init, 2),
            "model": NORMED,
            "calibration": X,
        },
        {"model": (*OBJECT, MODULE), "calibration": (None, np.zeros(3))},
    ),
    "initial_state": Call(
        learning.initial_state,
        {
            "local": SGD,
            "gossip": RULE,
            "network": learning.reliable(),
            "params": np.zeros((4, 2), np.float32),
        },
        {
            "params": ({}, 3.0, {"a": np.zeros(3), "b": np.zeros(4)}, np.zeros((4, 2), int)),
            "model_state": (np.zeros(3),),
        },
        {"params": "leaf"},
    ),
    "check_parts": Call(
        learning.check_parts,
        {"local": SGD, "gossip": RULE},
        {"local": OBJECT, "gossip": OBJECT[1:]},
    ),
    "merge_and_train": Call(
        matching.merge_and_train,
        {"loss": loss, "model": MODEL, "local": SGD, "gossip": RULE, "local_steps": 1},
        {
            **LEARNER,
            "loss": FUNCTION,
            "model": (*OBJECT, MODULE),
            "gossip": (*OBJECT[1:], W),
            "local_steps": SIZE,
            "sample": (3, "x"),
            "match_data": (3, "x"),
            "watch": (3, "x"),
            "fresh_optimizer": FLAG,
        },
    ),
    "matched_averaging": Call(
        matching.matched_averaging,
        {"topology": RING, "spec": SPEC, "matcher": matching.no_matching()},
        {
            "topology": OBJECT,
            "spec": OBJECT,
            "matcher": OBJECT,
            "basis": NAME,
            "chunk": SIZE,
            "weights": (np.full(8, NAN), np.full(8, -0.1), np.ones(8), np.ones(3), "no scheme"),
        },
    ),
    "weight_matching": Call(matching.weight_matching, {}, {"sweeps": SIZE}),
    "activation_matching": Call(
        matching.activation_matching,
        {"features": matching.features_of(MODULE)},
        {"features": FUNCTION, "recalibrate": (3, "x")},
    ),
    "features_of": Call(matching.features_of, {"module": MODULE}, {"module": (*OBJECT, MODEL)}),
    "captured_features": Call(
        matching.captured_features,
        {"module": MODULE, "where": {"units": "Dense_0"}},
        {"module": OBJECT, "where": ({}, None, 3, ["Dense_0"]), "activation": (3, "relu")},
    ),
    "cross_correlation": Call(
        matching.cross_correlation,
        {"batches": [(np.ones((3, 2)), np.ones((3, 2)))]},
        {
            "batches": (
                [],
                [(np.ones((3, 2)), np.ones((3, 4)))],
                [(np.full((3, 2), NAN), np.ones((3, 2)))],
                [("a", "b")],
            )
        },
        {"batches": "batches|x"},
    ),
    "assign": Call(
        matching.assign,
        {"score": np.ones((2, 2))},
        {"score": (np.ones((2, 3)), np.ones(2), np.full((2, 2), NAN), "x", None), "maximize": FLAG},
    ),
    "permutation_spec": Call(
        matching.permutation_spec,
        {"module": MODULE, "params": PARAMS},
        {"module": (*OBJECT, models.mlp(3)), "params": (None, 3, {}, {"Dense_0": 1})},
    ),
    "sizes": Call(
        matching.sizes,
        {"spec": SPEC, "params": PARAMS},
        {"spec": OBJECT, "params": ({}, {"Dense_0": np.zeros(3)})},
        {"params": "spec"},
    ),
    "identity": Call(
        matching.identity,
        {"group_sizes": {"units": 3}},
        {"group_sizes": (None, 3, {"units": 2.5}, {"units": 0}, {"units": NAN})},
    ),
    "random_permutations": Call(
        matching.random_permutations,
        {"key": RANDOM, "group_sizes": {"units": 3}},
        {"key": KEY, "group_sizes": (None, 3, {"units": 2.5}, {"units": 0})},
    ),
    "check_permutations": Call(
        matching.check_permutations,
        {"permutations": {"units": np.arange(3)}, "group_sizes": {"units": 3}},
        {
            "permutations": (
                None,
                {"units": np.arange(4)},
                {"other": np.arange(3)},
                {"units": np.array([0, 0, 1])},
                {"units": np.array([0.0, 1.0, 2.0])},
            ),
            "group_sizes": (None, {"units": 2.5}, {}),
        },
        {"group_sizes": "group"},
    ),
    "permute": Call(
        matching.permute,
        {"tree": PARAMS, "permutations": {}, "axes": SPEC.params},
        {"axes": ({}, {"Dense_0": 3})},
        {"axes": "axes|spec"},
    ),
    "invert": Call(matching.invert, {"permutations": {}}, {"permutations": (None, 3, [1])}),
    "row_weights": Call(
        matching.row_weights,
        {"topology": RING, "weights": "metropolis"},
        {
            "weights": (
                np.full(8, NAN),
                np.full(8, -0.1),
                np.ones(8),
                np.ones((4, 4)) / 4,
                "nothing",
            )
        },
    ),
    "agent_clocks": Call(
        asynchronous.agent_clocks,
        {"num_agents": 4},
        {"num_agents": SIZE, "rate": (*POSITIVE, np.ones(3)), "kind": COUNT},
    ),
    "edge_clocks": Call(
        asynchronous.edge_clocks,
        {"topology": RING},
        {
            "topology": (*OBJECT, topology.star(4).adjacency()),
            "rates": (np.ones(3), np.full(8, NAN), np.full(8, -1.0), np.zeros(8), "x"),
            "total": POSITIVE,
            "kind": COUNT,
        },
    ),
    "switching_edge_clocks": Call(
        asynchronous.switching_edge_clocks,
        {"sequence": Later(topology.stack, [RING, RING]), "period": 1.0, "total": 1.0},
        {"sequence": (*OBJECT, RING), "period": POSITIVE, "total": POSITIVE, "kind": COUNT},
    ),
    "superpose": Call(
        lambda clocks: asynchronous.superpose(*clocks),
        {"clocks": (CLOCKS,)},
        {
            "clocks": (
                (),
                (3,),
                (Later(asynchronous.Clocks, np.full(4, NAN), CLOCKS.agents, CLOCKS.kinds),),
                (Later(asynchronous.Clocks, np.ones(3), CLOCKS.agents, CLOCKS.kinds),),
            )
        },
    ),
    "poisson_events": Call(
        learning.poisson_events,
        {"key": RANDOM, "clocks": CLOCKS, "num_events": 3},
        {
            "key": KEY,
            "clocks": OBJECT,
            "num_events": SIZE,
            "start": (NAN, "x"),
            "intensity": (3, "x"),
        },
    ),
    "matching_rounds": Call(
        asynchronous.matching_rounds,
        {"events": EVENTS, "num_agents": 4},
        {"events": OBJECT, "num_agents": (*SIZE, 2), "width": SIZE},
        {"num_agents": "num_agents|events"},
    ),
    "point_process": Call(
        learning.point_process,
        {"drift": lambda x, t: x, "jumps": [lambda key, pair, ids, inputs: pair]},
        {"drift": FUNCTION, "jumps": ([], None, [3], "x", 3)},
    ),
    "dadao": Call(
        learning.dadao,
        {"gradient": gradient, "topology": RING, **PROBLEM},
        {
            **BAD_PROBLEM,
            "gradient": FUNCTION,
            "topology": OBJECT,
            "gossip_rate": (*POSITIVE[:5], 1e-3),
            "rates": (np.ones(3), np.full(8, NAN), "x"),
            "period": (1.0,),
            "events_per_step": SIZE,
        },
    ),
    "dadao_process": Call(
        learning.dadao_process,
        {"gradient": gradient, "constants": Later(constants, 2.0, 1.0, 4.0, 1.0)},
        {"gradient": FUNCTION, "constants": OBJECT},
    ),
    "adom_plus": Call(
        learning.adom_plus,
        {"gradient": gradient, "topology": RING, **PROBLEM},
        {**BAD_PROBLEM, "gradient": FUNCTION, "topology": OBJECT, "multi_consensus": FLAG},
    ),
    "msda": Call(
        learning.msda,
        {"dual_gradient": gradient, "topology": RING, **PROBLEM},
        {**BAD_PROBLEM, "dual_gradient": FUNCTION, "topology": OBJECT},
    ),
    "continuized": Call(
        learning.continuized,
        {"dual_gradient": gradient, "chi1": 4.0, "chi2": 1.0, **PROBLEM},
        {
            **BAD_PROBLEM,
            "dual_gradient": FUNCTION,
            "chi1": POSITIVE[:5],
            "chi2": POSITIVE[:5],
        },
    ),
    "continuized_clocks": Call(
        asynchronous.continuized_clocks,
        {"topology": RING},
        {"topology": OBJECT, "rates": (np.ones(3), np.zeros(8))},
    ),
    "gossip_matrix": Call(
        asynchronous.gossip_matrix,
        {"topology": RING},
        {"topology": OBJECT, "multi_consensus": FLAG},
    ),
    "quadratic_dual_gradient": Call(
        learning.quadratic_dual_gradient,
        {"hessian_and_linear": lambda shard: shard},
        {"hessian_and_linear": FUNCTION},
    ),
    "models.functional": Call(
        models.functional,
        {"module": MODULE, "example_x": np.zeros((1, 4))},
        {"module": (*OBJECT, MODEL), "example_x": (None, 3, "x", np.zeros(4), np.zeros((1, 0)))},
    ),
    "models.mlp": Call(
        lambda widths, **options: models.mlp(*widths, **options),
        {"widths": (4, 2)},
        {
            "widths": ((), *((value,) for value in SIZE)),
            "activation": NAME,
            "initializer": NAME,
            "norm": NAME,
        },
    ),
    "models.logistic": Call(
        models.logistic, {"num_classes": 3}, {"num_classes": SIZE, "initializer": NAME}
    ),
    "models.cnn": Call(
        models.cnn,
        {"num_outputs": 3},
        {
            "num_outputs": SIZE,
            "channels": ((), 3, "x", None, *((value,) for value in SIZE)),
            "widths": (3, "x", None, *((value,) for value in SIZE)),
            "activation": NAME,
            "initializer": NAME,
            "norm": NAME,
        },
    ),
    "models.cross_entropy": Call(
        models.cross_entropy,
        {"logits": LOGITS, "y": Y},
        {"logits": (*NO_ARRAY, 3.0), "y": BAD_LABELS, "weight": WEIGHTS},
    ),
    "models.accuracy": Call(
        models.accuracy,
        {"logits": LOGITS, "y": Y},
        {"logits": (*NO_ARRAY, 3.0), "y": BAD_LABELS, "weight": WEIGHTS},
    ),
    "models.squared_error": Call(
        models.squared_error,
        {"output": np.zeros(3, np.float32), "y": np.zeros(3, np.float32)},
        {"output": (*NO_ARRAY, 3.0), "y": (*NO_ARRAY, np.zeros(2)), "weight": WEIGHTS},
    ),
    "models.weighted_mean": Call(
        models.weighted_mean,
        {"values": np.zeros(3, np.float32)},
        {"values": NO_ARRAY, "weight": WEIGHTS},
    ),
}

WITHOUT_CHECKS = {"keep_absent", "next_round", "reliable", "no_matching"}
"""Parts of a learner's own step, and functions that take nothing."""


@pytest.mark.parametrize("name", CALLS)
def test_good_arguments_are_accepted(name):
    accepts(CALLS[name])


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_arguments_are_refused_by_name(name, argument):
    refuses(CALLS[name], argument)


def test_every_public_function_is_in_the_battery():
    found = {
        prefix + name
        for prefix, package in (
            ("", learning), ("", matching), ("", asynchronous), ("models.", models)
        )
        for name in package.__all__
        if inspect.isfunction(getattr(package, name))
    }  # fmt: skip
    assert found - WITHOUT_CHECKS == set(CALLS)


def test_a_process_refuses_bad_events_and_times():
    process = learning.point_process(lambda x, t: x, [lambda key, pair, ids, inputs: pair])
    state = process.init(jnp.zeros(4))
    for call, word in (
        (lambda: process.init(jnp.zeros(4), NAN), "time"),
        (lambda: process.run(RANDOM, state, EVENTS.value, every=0), "every"),
        (lambda: process.run(RANDOM, state, EVENTS.value, every=1.5), "every"),
        (lambda: process.run(RANDOM, state, 3), "events"),
        (lambda: process.run_rounds(RANDOM, state, EVENTS.value), "rounds"),
    ):
        with pytest.raises(ValueError, match=word):
            call()


def test_traced_labels_and_weights_pass():
    value = jax.jit(models.cross_entropy)(LOGITS, Y, jnp.ones(3))
    assert float(value) == pytest.approx(np.log(4))
