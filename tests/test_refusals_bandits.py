"""Wrong arguments of bandits and of the memory meet an error that names the argument."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import refusals

from jaxswarm import gossip
from jaxswarm.coordination import bandits, memory

NAN, INF = refusals.NAN, refusals.INF
KEY = jax.random.key(0)
ONE = jnp.zeros(1, jnp.int32)
PENDING = bandits.empty_pending(2, 3)
SUMS = bandits.empty_sums(3)
RULE = gossip.averaging(gossip.complete_mean(2))
POOLED = bandits.init_pooled(bandits.empty_sums(3, (2,)), RULE)
X = np.ones(3, np.float32)
FEATURES = [np.ones(2), np.full(3, 1j), "x", None, np.ones((2, 3))]
FRAGMENTS = memory.empty_memory(4, 2)
TIMES = [NAN, "x", None, 1j]

BANDITS = {
    "linucb": (
        bandits.linucb,
        {"num_features": 3},
        {
            "num_features": "size",
            "num_arms": "optional",
            "regularization": "positive",
            "radius": [-1.0, NAN, INF, "x"],
            "alpha": "nonnegative",
            "delta": [0.0, 1.0, NAN, "x", None],
            "bound": "nonnegative",
            "discount": [0.0, 1.5, NAN, "x", None],
        },
    ),
    "thompson": (
        bandits.thompson,
        {"num_features": 3},
        {
            "num_features": "size",
            "num_arms": "optional",
            "regularization": "positive",
            "scale": "nonnegative",
            "discount": [0.0, 1.5, NAN, "x", None],
        },
    ),
    "confidence_radius": (
        bandits.confidence_radius,
        {"count": 3.0, "num_features": 2},
        {
            "count": "nonnegative",
            "num_features": "size",
            "regularization": "positive",
            "alpha": "nonnegative",
            "delta": [0.0, 1.0, NAN, "x"],
            "bound": "nonnegative",
        },
    ),
    "choose": (
        bandits.choose,
        {"scores": X, "valid": np.ones(3, bool)},
        {
            "scores": ["x", None, 3.0, np.zeros(0), X * 1j],
            "valid": [np.ones(2, bool), X, "x", None],
        },
    ),
    "check_rewards": (
        bandits.check_rewards,
        {"rewards": [0.5]},
        {"rewards": [[NAN], [2.0], [-1.0], "x", None]},
    ),
    "check_features": (
        bandits.check_features,
        {"features": [X / 2]},
        {"features": [[[NAN]], [[2.0]], "x", None, 3.0]},
    ),
    "empty_sums": (
        bandits.empty_sums,
        {"num_features": 3},
        {"num_features": "size", "leading": [(2.5,), (-1,), "x", None, 3]},
    ),
    "add_observation": (
        bandits.add_observation,
        {"sums": SUMS, "x": X, "reward": 0.5},
        {
            "sums": "thing",
            "x": [*FEATURES, X * NAN],
            "reward": [NAN, "x", None, X],
            "weight": ["x", None, X],
        },
    ),
    "scale_sums": (
        bandits.scale_sums,
        {"sums": SUMS, "factor": 2.0},
        {"sums": "thing", "factor": "nonnegative"},
    ),
    "add_sums": (
        lambda parts: bandits.add_sums(SUMS, parts),
        {"parts": SUMS},
        {"parts": [3, "x", None, bandits.empty_sums(2)]},
    ),
    "coefficients": (
        bandits.coefficients,
        {"sums": SUMS, "regularization": 1.0},
        {"sums": "thing", "regularization": "positive"},
    ),
    "empty_pending": (
        bandits.empty_pending,
        {"slots": 2, "num_features": 3},
        {"slots": "size", "num_features": "size"},
    ),
    "add_dispatch": (
        bandits.add_dispatch,
        {"pending": PENDING, "number": 1, "x": X},
        {
            "pending": "thing",
            "number": [-1, 0.5, NAN, "x", None, 2**40],
            "x": [*FEATURES, X * NAN],
            "arm": [-2, 0.5, NAN, "x"],
            "active": [2, "x", None],
            "reward": [NAN, 2.0, -1.0, "x"],
            "due": [0.5, NAN, "x", 2**40],
        },
    ),
    "credit_reward": (
        bandits.credit_reward,
        {"pending": PENDING, "number": 1, "reward": 0.5, "now": 3},
        {
            "pending": "thing",
            "number": [0.5, NAN, "x", 2**40],
            "reward": ["x", None, X],
            "now": [0.5, NAN, "x", None, 2**31 - 1],
        },
    ),
    "collect_due": (
        bandits.collect_due,
        {"pending": PENDING, "now": 3},
        {"pending": "thing", "now": [0.5, NAN, "x", None]},
    ),
    "init_pooled": (
        bandits.init_pooled,
        {"empty": bandits.empty_sums(3, (2,)), "rule": RULE},
        {"empty": ["x", 3, None, SUMS], "rule": "thing"},
    ),
    "effective_sums": (
        bandits.effective_sums,
        {"state": POOLED, "num_learners": 2},
        {"state": "thing", "num_learners": [0, -1, NAN, INF, "x", None]},
    ),
    "exchange_sums": (
        bandits.exchange_sums,
        {"key": KEY, "state": POOLED, "rule": RULE, "exchange": gossip.Exchange(0)},
        {"state": "thing", "rule": "thing", "exchange": "thing"},
    ),
    "step_regret": (
        bandits.step_regret,
        {"means": X, "valid": np.ones(3, bool), "chosen": 1},
        {
            "means": ["x", None, 3.0],
            "valid": [np.ones(2, bool), X, "x"],
            "chosen": [3, -2, 0.5, NAN, "x", None],
        },
    ),
    "regret_growth": (
        bandits.regret_growth,
        {"regret": np.ones((2, 200))},
        {
            "regret": [np.ones(200), np.full((2, 200), NAN), "x", None, np.ones((2, 50))],
            "start": "size",
        },
    ),
}

MEMORY = {
    "empty_memory": (
        memory.empty_memory,
        {"capacity": 2, "size": 3},
        {"capacity": "size", "size": "size"},
    ),
    "retrieve": (
        memory.retrieve,
        {"memory": FRAGMENTS, "embedding": np.ones(2), "k": 1},
        {"memory": "thing", "embedding": [X, "x", None, 1.0], "k": [0, 5, 2.5, NAN, "x", None]},
    ),
    "mark_used": (
        memory.mark_used,
        {"memory": FRAGMENTS, "slot": ONE, "hit": np.ones(1, bool), "now": 0.0},
        {
            "memory": "thing",
            "slot": [[9], [-1], [0.5], "x", None],
            "hit": [X, "x", np.ones(2, bool)],
            "now": TIMES,
        },
    ),
    "utility": (
        memory.utility,
        {"memory": FRAGMENTS, "now": 0.0},
        {"memory": "thing", "now": TIMES, "time_constant": "positive"},
    ),
    "store": (
        memory.store,
        {"memory": FRAGMENTS, "embedding": np.ones(2), "content": 1, "outcome": 1.0, "now": 0.0},
        {
            "memory": "thing",
            "embedding": [X, np.full(2, NAN), "x", None],
            "content": [0.5, NAN, "x", 2**40],
            "outcome": "probability",
            "now": TIMES,
            "active": [2, "x", None],
        },
    ),
}

TABLES = {"bandits": BANDITS, "memory": MEMORY}


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package, table in TABLES.items() for name in table]
)
def test_wrong_arguments_are_refused_by_name(package, name):
    assert refusals.refusals(TABLES[package], name) == []


def test_every_public_function_is_tried():
    assert refusals.functions(bandits) - set(BANDITS) == set()
    own = {
        name
        for name, value in vars(memory).items()
        if inspect.isfunction(value) and value.__module__ == memory.__name__
    }
    assert {name for name in own if not name.startswith("_")} == set(MEMORY)
