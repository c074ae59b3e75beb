"""Every argument of a public function of jaxswarm.data refuses bad values, naming itself."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import data
from tests.bad_input import (
    COUNT,
    FLAG,
    FUNCTION,
    INDEX,
    INNER_SHARE,
    KEY,
    NAME,
    NAN,
    NOT_NEGATIVE,
    NUMBER,
    OBJECT,
    POSITIVE,
    SEED,
    SHARE,
    SIZE,
    Call,
    accepts,
    cases,
    refuses,
)
from tests.later import Later

LABELS = np.arange(40) % 4
FEATURES = np.random.default_rng(0).normal(size=(40, 6))
TRAIN = data.from_arrays(FEATURES, LABELS)
SPLIT = data.split_by_class(TRAIN)
PARTITION = data.iid(LABELS, 4)
SHARDS = Later(lambda: data.shards(TRAIN, PARTITION))
BATCH = Later(lambda: data.full_batches()(jax.random.key(0), SHARDS.value))
CLASS_SHARDS = Later(lambda: data.class_shards(TRAIN, np.full((3, 4), 0.25)))
RANDOM = jax.random.key(0)
BAD_LABELS = (
    [],
    [[0, 1]],
    [0.5, 1.0],
    [-1, 0],
    [NAN, 0.0],
    [2**40, 0],
    [0, 1j],
    "labels",
    None,
    np.array([2**63], np.uint64),
    [1e300, 0.0],
    3,
    [None, 1],
    ["a", "b"],
)
DEALT = {"labels": BAD_LABELS, "num_agents": (*SIZE, 41), "seed": SEED}
GOOD = {"labels": LABELS, "num_agents": 4}
ROWS = ([[0.7], [1.2]], [[0], [99]], [[-1], [0]], [], [[0], [0]], 3, None, "ab", [["a"], ["b"]])
PATCH = np.arange(6) < 2

CALLS = {
    "from_arrays": Call(
        data.from_arrays,
        {"features": FEATURES, "labels": LABELS},
        {
            "labels": BAD_LABELS,
            "num_classes": (*SIZE, 2),
            "features": ("x", None, [[NAN] * 6] * 40, [[1j] * 6] * 40, FEATURES[:3], 3.0, []),
        },
        {"num_classes": "num_classes|classes in", "features": "features|label"},
    ),
    "split_by_class": Call(
        data.split_by_class,
        {"dataset": TRAIN},
        {"dataset": OBJECT, "test_fraction": INNER_SHARE, "seed": SEED},
    ),
    "standardized": Call(data.standardized, {"split": SPLIT}, {"split": (*OBJECT, TRAIN)}),
    "load": Call(
        data.load,
        {"name": "iris"},
        {
            "name": (3, None, "", ".", "..", "../outside/x", "a/b", "a\\b", "/etc/x", "digit"),
            "test_fraction": INNER_SHARE,
            "seed": SEED,
            "standardize": (2, "yes"),
            "path": ("/tmp", 3),
        },
        {"name": "name|data set"},
    ),
    "load_files": Call(
        data.load_files,
        {"name": "mnist", "path": None},
        {"name": (3, None, "", "..", "../x", "a/b"), "path": (3, "", "no/such/folder", None)},
    ),
    "read_idx": Call(data.read_idx, {}, {"path": (3, None, "", "no/such/file")}),
    "iid": Call(data.iid, GOOD, {**DEALT, "balanced": FLAG}),
    "dirichlet_over_agents": Call(
        data.dirichlet_over_agents,
        GOOD,
        {**DEALT, "alpha": POSITIVE, "min_size": SIZE, "max_draws": SIZE},
    ),
    "dirichlet_over_classes": Call(
        data.dirichlet_over_classes, GOOD, {**DEALT, "alpha": POSITIVE, "size": SIZE}
    ),
    "disjoint_classes": Call(data.disjoint_classes, GOOD, DEALT),
    "consecutive_classes": Call(
        data.consecutive_classes, GOOD, {**DEALT, "classes_per_agent": (*SIZE, 5)}
    ),
    "label_shards": Call(data.label_shards, GOOD, {**DEALT, "shards_per_agent": SIZE}),
    "quantity_skew": Call(
        data.quantity_skew, GOOD, {**DEALT, "alpha": POSITIVE, "sizes": NAME, "min_size": SIZE}
    ),
    "feature_skew": Call(
        data.feature_skew, GOOD, {**DEALT, "kind": NAME, "strength": NOT_NEGATIVE}
    ),
    "with_feature_skew": Call(
        data.with_feature_skew,
        {"partition": PARTITION},
        {"partition": OBJECT, "seed": SEED, "kind": NAME, "strength": NOT_NEGATIVE},
    ),
    "deal": Call(
        data.deal,
        {"name": "iid", **GOOD},
        {"name": NAME, **DEALT, "balance": (True,)},
        {"name": "partitioner", "balance": "option of iid"},
    ),
    "from_rows": Call(
        data.from_rows,
        {"rows": [[0], [1]], "num_samples": 3},
        {"rows": ROWS, "num_samples": COUNT, "overlap": FLAG, "allow_empty": FLAG},
        {"rows": "row|agent"},
    ),
    "from_owners": Call(
        data.from_owners,
        {"owners": [0, 1, 1], "num_agents": 2},
        {"owners": ([0.5, 1, 1], [0, 9], [-1, 0], "ab", None, []), "num_agents": SIZE},
        {"owners": "owner|partition"},
    ),
    "truncated": Call(
        data.truncated,
        {"partition": PARTITION, "size": 5},
        {
            "partition": OBJECT,
            "size": tuple(v for v in SIZE if v is not None),
            "labels": (*BAD_LABELS[:-7], [0, 1]),
            "seed": SEED,
        },
    ),
    "without_data": Call(
        data.without_data,
        {"partition": PARTITION, "agents": [0]},
        {
            "partition": OBJECT,
            "agents": ([0.5], [99], [-1], "a", None, [True], [0, 1, 2, 3], [NAN]),
            "redeal": FLAG,
        },
    ),
    "shards": Call(
        data.shards,
        {"dataset": TRAIN, "partition": PARTITION},
        {"dataset": (*OBJECT, SPLIT), "partition": OBJECT},
    ),
    "from_samples": Call(
        data.from_samples,
        {"features": np.zeros((3, 2)), "targets": np.zeros((3, 1))},
        {
            "features": (None, "x", 3, np.zeros((0, 2)), np.full((3, 2), NAN)),
            "targets": ("x", 3, np.zeros((0, 2)), np.full((3, 2), NAN)),
        },
    ),
    "as_classes": Call(
        data.as_classes,
        {"values": [0.1, 0.2, 0.3], "num_bins": 2},
        {"values": (None, 3, [], [[1.0]], [NAN], [object()]), "num_bins": SIZE},
    ),
    "stacked": Call(
        data.stacked,
        {"features": np.zeros((2, 3, 4)), "labels": np.zeros((2, 3))},
        {"features": (None, "x", 3, np.zeros((3, 2))), "labels": (None, "x", 3, np.zeros((0, 3)))},
    ),
    "minibatches": Call(data.minibatches, {"batch_size": 2}, {"batch_size": SIZE, "replace": FLAG}),
    "epoch_batches": Call(data.epoch_batches, {"batch_size": 2}, {"batch_size": SIZE}),
    "class_batches": Call(data.class_batches, {"batch_size": 2}, {"batch_size": SIZE}),
    "sampler of minibatches": Call(
        data.minibatches(2),
        {"key": RANDOM, "shards": SHARDS},
        {"key": KEY, "shards": (*OBJECT, TRAIN, CLASS_SHARDS)},
    ),
    "sampler of epoch_batches": Call(
        data.epoch_batches(2),
        {"key": RANDOM, "shards": SHARDS, "step": 0},
        {"key": KEY, "shards": OBJECT, "step": COUNT},
    ),
    "sampler of full_batches": Call(
        data.full_batches(), {"key": RANDOM, "shards": SHARDS}, {"shards": OBJECT}
    ),
    "sampler of class_batches": Call(
        data.class_batches(2),
        {"key": RANDOM, "shards": CLASS_SHARDS},
        {"key": KEY, "shards": (*OBJECT, SHARDS)},
    ),
    "class_distributions": Call(
        data.class_distributions,
        {"key": RANDOM, "num_agents": 3, "num_classes": 4, "alpha": 0.5},
        {"key": KEY, "num_agents": SIZE, "num_classes": SIZE, "alpha": POSITIVE},
    ),
    "class_shards": Call(
        data.class_shards,
        {"dataset": TRAIN, "probabilities": np.full((3, 4), 0.25)},
        {
            "dataset": OBJECT,
            "probabilities": (
                None,
                "x",
                np.ones(4),
                np.ones((3, 5)),
                np.full((3, 4), NAN),
                np.ones((3, 4)),
                np.array([[2.0, -1.0, 0.0, 0.0]]),
            ),
        },
    ),
    "flip_pair": Call(
        data.flip_pair,
        {"source": 0, "target": 1},
        {"source": (*COUNT, 1), "target": (*COUNT, 0), "both": FLAG},
        {"source": "source|target"},
    ),
    "flip_all": Call(
        data.flip_all,
        {"num_classes": 3},
        {"num_classes": (*SIZE, 1), "shift": (3, 0, 1.5, NAN, "1")},
    ),
    "backdoor": Call(
        data.backdoor,
        {"patch": PATCH, "target": 1},
        {
            "patch": (None, "x", 3, np.ones(6), np.zeros(6, bool)),
            "target": COUNT,
            "value": NUMBER,
            "share": SHARE,
        },
    ),
    "stamp": Call(
        data.stamp,
        {"features": FEATURES, "patch": PATCH},
        {"features": (None, "x"), "patch": (None, "x", np.ones(6), PATCH[:4]), "value": NUMBER},
    ),
    "square_patch": Call(
        data.square_patch,
        {"height": 8, "width": 8},
        {"height": SIZE, "width": SIZE, "size": (*SIZE, 9), "flat": FLAG},
    ),
    "poisoned": Call(
        data.poisoned,
        {
            "sampler": data.full_batches(),
            "attack": data.flip_pair(0, 1),
            "malicious": np.ones(4, bool),
        },
        {
            "sampler": FUNCTION,
            "attack": FUNCTION,
            "malicious": (None, "x", 3, np.ones(4), [0, 1], np.ones((2, 2), bool)),
        },
    ),
    "attack_score": Call(
        data.attack_score,
        {"predictions": LABELS, "labels": LABELS, "source": 0, "target": 1},
        {
            "predictions": (None, "x", LABELS * 0.5, LABELS[:3]),
            "labels": (None, "x", LABELS * 0.5, LABELS[:3], LABELS[None]),
            "source": (*COUNT, 9, 1),
            "target": (*COUNT, 0),
        },
        {"source": "source|target"},
    ),
    "quadratics": Call(
        data.quadratics,
        {"num_agents": 3, "dim": 2},
        {
            "num_agents": SIZE,
            "dim": SIZE,
            "seed": SEED,
            "smoothness": POSITIVE,
            "condition_number": (0.5, NAN, INNER_SHARE[0], "x"),
            "heterogeneity": NOT_NEGATIVE,
            "shared_curvature": FLAG,
        },
    ),
    "linear_regression": Call(
        data.linear_regression,
        {"num_agents": 3, "samples_per_agent": 4, "dim": 2},
        {
            "num_agents": SIZE,
            "samples_per_agent": SIZE,
            "dim": SIZE,
            "seed": SEED,
            "noise": NOT_NEGATIVE,
            "heterogeneity": NOT_NEGATIVE,
            "l2": NOT_NEGATIVE,
        },
    ),
    "logistic_regression": Call(
        data.logistic_regression,
        {"num_agents": 3, "samples_per_agent": 4, "dim": 2},
        {
            "num_agents": SIZE,
            "samples_per_agent": SIZE,
            "dim": SIZE,
            "seed": SEED,
            "heterogeneity": NOT_NEGATIVE,
            "l2": POSITIVE,
        },
    ),
    "grid_modes": Call(
        data.grid_modes, {"side": 3, "extent": 1.0}, {"side": SIZE, "extent": POSITIVE}
    ),
    "circle_modes": Call(
        data.circle_modes,
        {"num_modes": 3, "radius": 1.0},
        {"num_modes": SIZE, "radius": POSITIVE},
    ),
    "gaussian_mixture": Call(
        data.gaussian_mixture,
        {
            "key": RANDOM,
            "num_samples": 5,
            "modes": np.zeros((3, 2)),
            "deviation": 0.1,
            "weights": None,
        },
        {
            "key": KEY,
            "num_samples": SIZE,
            "modes": (None, "x", 3.0, np.zeros(3), np.zeros((0, 2)), np.full((3, 2), NAN)),
            "deviation": NOT_NEGATIVE,
            "weights": (np.zeros(3), np.ones(2), -np.ones(3), np.full(3, NAN), "x", 1.0),
        },
    ),
    "gaussian_grid": Call(
        data.gaussian_grid,
        {"key": RANDOM, "num_samples": 5, "side": 2, "extent": 1.0, "deviation": 0.1},
        {
            "key": KEY,
            "num_samples": SIZE,
            "side": SIZE,
            "extent": POSITIVE,
            "deviation": NOT_NEGATIVE,
        },
    ),
    "sprites": Call(
        data.sprites,
        {"key": RANDOM, "num_samples": 2, "size": 8},
        {"key": KEY, "num_samples": SIZE, "size": (*SIZE, 7)},
    ),
    "gaussian_blobs": Call(
        data.gaussian_blobs,
        {"num_samples": 6, "num_classes": 2, "dim": 2},
        {
            "num_samples": (*SIZE, 1),
            "num_classes": SIZE,
            "dim": SIZE,
            "seed": SEED,
            "separation": NOT_NEGATIVE,
        },
    ),
    "Partition.rows": Call(PARTITION.rows, {"agent": 0}, {"agent": INDEX}),
    "Partition.class_counts": Call(
        PARTITION.class_counts,
        {"labels": LABELS},
        {"labels": BAD_LABELS, "num_classes": (*SIZE, 2)},
        {"num_classes": "num_classes|classes in"},
    ),
    "FeatureSkew.transform": Call(
        data.with_feature_skew(PARTITION).skew.transform,
        {"features": FEATURES, "agent": 0},
        {"features": (None, "x"), "agent": INDEX},
    ),
}

COLUMN = (None, "x", 3.0, np.full(3, NAN), np.zeros(2), np.zeros((3, 2, 2)), [1j, 0, 0])
CALLS["interactions"] = Call(
    data.interactions,
    {"session": [0, 1, 0], "action": [0, 1, 1], "rewards": [1.0, 2.0, 3.0], "propensity": [0.5] * 3,
     "features": np.ones((3, 2)), "order": [2.0, 1.0, 0.0], "max_steps": 2, "density": False},
    {
        "session": (None, 3, [], [0.5, 1.0, 2.0], [[1], [2], [3]], [True, False, True]),
        "action": (*COLUMN, [-1, 0, 0]),
        "rewards": (*COLUMN, {}, {1: [1.0, 2.0, 3.0]}, {"a": [1.0]}),
        "propensity": (*COLUMN, [0.0, 0.5, 0.5], [0.5, 0.5, 1.5]),
        "features": COLUMN[1:],
        "order": COLUMN[1:],
        "max_steps": SIZE,
        "density": FLAG,
    },
)  # fmt: skip
CALLS["load_interactions"] = Call(
    data.load_interactions,
    {"path": "log.csv", "session": "a", "action": "b", "rewards": ["c"], "propensity": "d"},
    {"path": (None, 3, "nothing.csv", "."), "rewards": ("c", [], None), "features": ("c", 3)},
    {"rewards": "rewards|path", "features": "features|path"},
)
CALLS["movielens"] = Call(
    data.movielens, {"path": "ratings.csv"}, {"path": (3, "", "nothing.csv", ["ratings.csv"])}
)

NEEDS_FILES = ("read_idx", "load_files", "load_interactions", "movielens")


@pytest.mark.parametrize("name", [name for name in CALLS if name not in NEEDS_FILES])
def test_good_arguments_are_accepted(name):
    accepts(CALLS[name])


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_arguments_are_refused_by_name(name, argument, monkeypatch):
    monkeypatch.delenv("JAXSWARM_DATA", raising=False)
    refuses(CALLS[name], argument)


def test_every_public_function_is_in_the_battery():
    functions = {name for name in data.__all__ if inspect.isfunction(getattr(data, name))}
    assert functions - set(CALLS) == {"full_batches"}  # it takes nothing


def test_concrete_device_arrays_are_checked_and_traced_ones_pass():
    with pytest.raises(ValueError, match="share"):
        data.backdoor(PATCH, 1, share=jnp.float32(1.5))
    jax.jit(
        lambda share: data.backdoor(PATCH, 1, share=share)(
            RANDOM, jax.tree.map(lambda x: x[0], BATCH.value)
        )
    )(0.5)
