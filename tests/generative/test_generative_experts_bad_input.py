"""Every argument of the public functions of experts and routers refuses bad values by name."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import data, generative
from jaxswarm.models import flow
from tests.bad_input import (
    FLAG,
    KEY,
    NAME,
    NAN,
    NUMBER,
    OBJECT,
    SEED,
    SHARE,
    SIZE,
    Call,
    accepts,
    cases,
    refuses,
)
from tests.later import Later

X = np.random.default_rng(0).normal(size=(12, 2)).astype(np.float32)
LABELS = np.arange(12) % 3
CLASSES = np.arange(12) % 2
MODEL = flow.from_network(flow.MLP(width=4, depth=1, num_classes=2), (2,), num_classes=2)
FREE = flow.from_network(flow.MLP(width=4, depth=1), (2,))
LONG = flow.from_network(flow.MLP(width=4, depth=1, num_classes=2), (3,), num_classes=2)
WIDE = flow.from_network(flow.MLP(width=6, depth=1, num_classes=2), (2,), num_classes=2)
CURVED = flow.from_network(
    flow.MLP(width=4, depth=1, num_classes=2), (2,), num_classes=2, path=flow.cosine_path()
)
BACKBONE = flow.MLP(width=4, depth=1, num_classes=2)
ROUTER = Later(generative.router, BACKBONE, (2,), 3, num_classes=2)
OTHER_ROUTER = Later(generative.router, BACKBONE, (2,), 4, num_classes=2)
FREE_ROUTER = Later(generative.router, flow.MLP(width=4, depth=1), (2,), 3)
DDM = Later(generative.experts, MODEL, LABELS, router=ROUTER, batch_size=2)
STATE = Later(lambda: jax.jit(DDM.init.value)(jax.random.key(0)))
TRAINED = Later(DDM.ensemble, STATE)
INIT = jax.jit(MODEL.init)
TREES = [Later(INIT, jax.random.key(k)) for k in range(3)]
LOGITS = np.zeros((4, 3), np.float32)
RANDOM = jax.random.key(0)
POINTS = np.zeros((4, 2), np.float32)

BAD_PARTITIONS = (
    *OBJECT,
    "x",
    LABELS * 1.0,
    LABELS - 1,  # a negative label
    LABELS * 2,  # clusters 1 and 3 are empty
    LABELS + 100,  # outside [0, K)
    LABELS[:, None],
    np.zeros(0, int),
    Later(data.from_rows, [[0, 1], [1, 2]], 3, overlap=True),  # not disjoint
    Later(data.from_rows, [[0, 1], [3, 4]], 5),  # not covering
    Later(data.from_rows, [[0, 1], []], 2, allow_empty=True),
)
OPTIMIZER = (3, "adam", [1.0])
SAMPLE = {"key": RANDOM, "num_samples": 4, "condition": 0, "num_steps": 2}
BAD_EXPERTS = (np.array([0, 1, 2, 3]), np.array([-1, 0, 0, 0]), np.zeros(4), "x")
BAD_AVAILABLE = (np.zeros(3, bool), np.ones(4, bool), np.ones(3), "x")
NAN_ROUTER = Later(jax.tree.map, lambda leaf: np.full_like(leaf, NAN), TRAINED.router_params)
BROKEN = Later(generative.Ensemble, TRAINED.params, NAN_ROUTER, TRAINED.models, TRAINED.router)

CALLS = {
    "cluster": Call(
        generative.cluster,
        {"features": X, "num_clusters": 3},
        {
            "features": ("x", None, 3.0, X[:, 0], X * NAN, np.zeros((0, 2))),
            "num_clusters": (*SIZE, 13),
            "num_centroids": (*SIZE, 2),
            "num_components": (0, 3, 1.5, "x", True),
            "seed": SEED,
        },
    ),
    "cluster, equal samples": Call(
        generative.cluster,
        {"features": np.ones((12, 2)), "num_clusters": 1},
        {"num_clusters": (2,)},
    ),
    "experts": Call(
        generative.experts,
        {"model": MODEL, "partition": LABELS, "router": ROUTER},
        {
            "model": (*OBJECT, [MODEL] * 2, [MODEL, 3, MODEL], FREE, LONG, [MODEL, MODEL, CURVED]),
            "partition": BAD_PARTITIONS,
            "router": (3, "x", MODEL, OTHER_ROUTER, FREE_ROUTER),
            "optimizer": OPTIMIZER,
            "router_optimizer": OPTIMIZER,
            "batch_size": SIZE,
            "router_batch_size": [bad for bad in SIZE if bad is not None],
            "drop_rate": SHARE,
            "ema_decay": (1.0, *SHARE),
        },
        {"model": "model|router"},
    ),
    "Experts.shards": Call(
        DDM.shards,
        {"features": X, "condition": CLASSES},
        {
            "features": (X[:11], np.ones((12, 3)), X * NAN, "x", None, np.ones((13, 2))),
            "condition": (None, CLASSES[:11], CLASSES + 1, CLASSES - 1, CLASSES * 1.0, "x"),
        },
    ),
    "Experts.shards, no classes": Call(
        Later(generative.experts, FREE, LABELS, router=FREE_ROUTER).shards,
        {"features": X},
        {"condition": (CLASSES,)},
    ),
    "Experts.init": Call(DDM.init, {"key": RANDOM}, {"key": KEY}),
    "Experts.ensemble": Call(DDM.ensemble, {"state": STATE}, {"state": OBJECT, "averaged": FLAG}),
    "router": Call(
        generative.router,
        {"backbone": BACKBONE, "shape": (2,), "num_experts": 3, "num_classes": 2},
        {
            "backbone": (*OBJECT, flow.DiT(num_classes=2)),
            "shape": ((), (0,), 2, "x", None),
            "num_experts": SIZE,
            "num_classes": (0, 1.5, 3, None, "x"),
            "features": SIZE,
        },
    ),
    "router_loss": Call(
        generative.router_loss,
        {
            "router": ROUTER,
            "params": STATE.router.params,
            "key": RANDOM,
            "data": X,
            "experts": LABELS,
            "condition": CLASSES,
        },
        {
            "router": OBJECT,
            "key": KEY,
            "data": (X[:, :1], "x", None),
            "experts": (LABELS[:3], LABELS + 1, LABELS - 1, LABELS * 1.0, "x"),
            "condition": (CLASSES + 2, CLASSES[:3], "x"),
            "path": (3, "linear"),
        },
    ),
    "expert_weights": Call(
        generative.expert_weights,
        {"logits": LOGITS},
        {
            "logits": ("x", None, LOGITS[0], LOGITS * NAN, LOGITS - np.inf, LOGITS + np.inf),
            "mode": (*NAME, "oracle", "once"),
            "available": BAD_AVAILABLE,
        },
    ),
    "expert_weights, top_k": Call(
        generative.expert_weights, {"logits": LOGITS, "mode": "top_k"}, {"k": (*SIZE, 4)}
    ),
    "expert_weights, threshold": Call(
        generative.expert_weights,
        {"logits": LOGITS, "mode": "threshold"},
        {"threshold": (0.0, *SHARE)},
    ),
    "expert_weights, sampled": Call(
        generative.expert_weights,
        {"logits": LOGITS, "mode": "sampled", "key": RANDOM},
        {"key": KEY},
    ),
    "Ensemble.sample": Call(
        TRAINED.sample,
        SAMPLE,
        {
            "key": KEY,
            "num_samples": SIZE,
            "condition": (3, -1, 0.5, "x", np.zeros(3, int)),
            "mode": NAME,
            "k": (*SIZE, 4),
            "threshold": (0.0, *SHARE),
            "expert": (np.zeros(4, int),),  # only mode "oracle" takes them
            "available": BAD_AVAILABLE,
            "guidance": NUMBER,
            "num_steps": SIZE,
            "method": NAME,
        },
        {"method": "method|unknown"},
    ),
    "Ensemble.sample, oracle": Call(
        TRAINED.sample,
        {**SAMPLE, "mode": "oracle", "expert": np.zeros(4, int)},
        {"expert": (None, *BAD_EXPERTS)},
    ),
    "Ensemble.sample, once": Call(
        TRAINED.sample, {**SAMPLE, "mode": "once"}, {"expert": (np.zeros(4, int),)}
    ),
    "Ensemble.field": Call(
        TRAINED.field,
        {"condition": 0},
        {"mode": (*NAME, "once"), "k": (*SIZE, 4), "available": BAD_AVAILABLE, "guidance": NUMBER},
    ),
    "Ensemble.field, sampled": Call(
        TRAINED.field, {"condition": 0, "mode": "sampled", "key": RANDOM}, {"key": KEY}
    ),
    "Ensemble.weights": Call(
        TRAINED.weights,
        {"x": POINTS, "t": 0.5, "condition": 0},
        {"x": (POINTS[:, :1], "x"), "t": (-0.1, 1.1, NAN, "x"), "condition": (3, -1, "x")},
    ),
    "Ensemble.velocities": Call(
        TRAINED.velocities,
        {"x": POINTS, "t": 0.5, "condition": 0},
        {"x": (POINTS[:, :1], "x"), "t": (-0.1, 1.1, NAN, "x"), "condition": (3, -1, "x")},
    ),
    "ensemble": Call(
        generative.ensemble,
        {
            "models": MODEL,
            "params": TREES,
            "router": ROUTER,
            "router_params": TRAINED.router_params,
        },
        {
            "models": (*OBJECT, [MODEL] * 2, FREE, LONG, [MODEL, WIDE, MODEL]),
            "params": (
                3,
                TREES[0],
                TREES[:2],
                [TREES[0], Later(FREE.init, RANDOM), TREES[2]],  # another structure
                [TREES[0], Later(WIDE.init, RANDOM), TREES[2]],  # other shapes
            ),
            "router": (3, "x", OTHER_ROUTER, FREE_ROUTER),
            "router_params": ({}, TREES[0]),
        },
        {"models": "model|router|expert 1", "params": "params", "router": "router|experts"},
    ),
    "distillation": Call(
        generative.distillation,
        {"teacher": TRAINED, "student": MODEL},
        {
            "teacher": OBJECT,
            "student": (*OBJECT, FREE, LONG, CURVED),
            "optimizer": OPTIMIZER,
            "batch_size": SIZE,
            "ema_decay": (1.0, *SHARE),
        },
        {"student": "student|model|router"},
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_refuses(name, argument):
    refuses(CALLS[name], argument)


@pytest.mark.parametrize("name", CALLS)
def test_accepts_what_is_good(name):
    accepts(CALLS[name])


@pytest.mark.parametrize("mode", ["full", "top_k", "threshold", "sampled", "once"])
def test_nan_logits_of_the_router_are_refused(mode):
    with pytest.raises(ValueError, match="logits: expected numbers, got NaN for expert 0 in row 0"):
        BROKEN.value.sample(**SAMPLE, mode=mode)


def test_guidance_needs_classes():
    free = generative.experts(FREE, LABELS, router=FREE_ROUTER.value)
    with pytest.raises(ValueError, match="guidance"):
        free.ensemble(free.init(RANDOM)).sample(RANDOM, 2, guidance=2.0)
    with pytest.raises(ValueError, match="condition: expected classes for guidance"):
        TRAINED.value.field(None, guidance=2.0)(POINTS, jnp.zeros(4))


def test_defaults_fit():
    ddm = generative.experts(MODEL, LABELS, optimizer=optax.sgd(0.1))
    assert ddm.router_optimizer is ddm.optimizer
    assert ddm.router_batch_size == ddm.batch_size == 64
