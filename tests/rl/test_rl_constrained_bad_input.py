"""Every public function of constrained learning refuses bad input by name."""

import functools

import jax
import numpy as np
import pytest

from jaxswarm import data, gossip, rl
from jaxswarm.rl import constrained, offline
from tests.rl.bad_input import FLAG, KEY, NAME, NAN, NUMBER, OBJECT, SIZE, accepted
from tests.rl.test_rl_bad_input import names_of, with_defaults

ROWS = 12
DISCOUNTS = (0.9, 0.8)
WRONG_DISCOUNTS = ((1.0, 0.9), (0.9, -0.1), (NAN, 0.9), (0.9,), (), "x")
WRONG_WEIGHTS = (-0.1, 0.0, (0.0,), NAN, "x", (0.1, 0.2))
ALPHA = ("x", None, NAN, np.inf)


def log_of(**changed):
    given = {
        "session": np.arange(ROWS) // 3,
        "action": np.arange(ROWS) % 2,
        "rewards": {"a": np.arange(ROWS) * 1.0, "b": np.ones(ROWS)},
        "propensity": np.full(ROWS, 0.5),
        "features": np.ones((ROWS, 4)),
    }
    return data.interactions(**(given | changed))


@functools.cache
def network():
    return constrained.candidate_network(0, 2, 2, widths=())


@functools.cache
def learner():
    return constrained.tscac(network(), discounts=DISCOUNTS)


@functools.cache
def rows():
    return constrained.transitions(log_of())


def damaged(**changed):
    """A log that was put together by hand, past the checks of ``data.interactions``."""
    from dataclasses import replace

    return replace(log_of(), **{k: np.asarray(v, np.float32) for k, v in changed.items()})


def wrong_logs():
    log = log_of()
    holes = np.array(log.rewards)
    holes[0, 0, 0] = np.nan
    return {
        "no features": log_of(features=None),
        "one reward": log_of(rewards=np.ones(ROWS)),
        "NaN": damaged(rewards=holes),
        "propensity 0": damaged(propensities=np.zeros_like(log.propensities)),
        "propensity above 1": damaged(propensities=np.full_like(log.propensities, 1.5)),
    }


def cases():
    gaussian = rl.actor_critic_network(rl.gaussian(1), 4, widths=(4,))
    recurrent = rl.actor_critic_network(rl.categorical(2), 4, widths=(4,), hidden_size=2)
    wrong_network = (*OBJECT, recurrent)
    hp = learner().hyperparameters
    numbers = {"lr": (*ALPHA, 0.0), "tau": (*ALPHA, 0.0, 1.5), "cap": (*ALPHA, 0.0)}
    base = {"network": wrong_network, "discounts": WRONG_DISCOUNTS, "decay_steps": SIZE[:6]}
    base |= numbers
    dual = {"thresholds": ALPHA, "multipliers": (*ALPHA, -1.0), "dual_rate": (*NUMBER, -1.0)}
    methods = {
        name: (
            with_defaults(getattr(constrained, name), network=network(), discounts=DISCOUNTS),
            bad,
        )
        for name, bad in {
            "tscac": base | {"weights": WRONG_WEIGHTS},
            "rcpo": base | dual,
            "lagrangian": base | dual,
            "pareto": base | {"preferences": (*ALPHA, -1.0)},
            "behavior_cloning": base,
        }.items()
    }
    half = [0.5, 0.5]
    closed = {"advantage": [1.0, 0.0], "policies": [half], "weights": 1.0}
    wrong = {
        "advantage": ("x", None, [], [NAN, 0.0], 1.0),
        "policies": ("x", None, [[0.5]], [[1.5, 0.5]], [[NAN, 1.0]], np.zeros((0, 2))),
        "weights": (-1.0, 0.0, [0.0], NAN, "x", half),
        "floor": (*ALPHA, 0.0, 1.0),
    }
    return methods | {
        "ranking": (
            with_defaults(constrained.ranking, network=network()),
            {"network": (*wrong_network,), "num_responses": (*SIZE, 1)}
            | {"temperature": (*NUMBER, 0.0)},
        ),
        "candidate_network": (
            with_defaults(
                constrained.candidate_network, num_context=1, num_candidates=2, num_features=3
            ),
            {"num_context": SIZE[1:], "num_candidates": SIZE, "num_features": SIZE}
            | {"widths": ((0,), (2.5,), (None,), (-1, 4))},
        ),
        "constrained_learner": (
            with_defaults(constrained.constrained_learner, network=network(), hyperparameters=hp),
            {"network": (*wrong_network,), "hyperparameters": OBJECT, "auxiliary": OBJECT}
            | {"separate": FLAG, "pareto": (*FLAG, True)},
        ),
        "fit": (
            with_defaults(
                constrained.fit, key=jax.random.key(0), learner=learner(), rows=rows(), num_steps=1
            ),
            {"key": KEY, "learner": OBJECT, "rows": OBJECT, "num_steps": SIZE, "batch_size": SIZE},
        ),
        "networked": (
            with_defaults(
                constrained.networked,
                learner=learner(),
                rule=gossip.identity(),
                rows=constrained.shard_users(log_of(), 2),
            ),
            {"learner": OBJECT, "rows": (*OBJECT, rows()), "batch_size": SIZE} | {"stage": NAME},
        ),
        "transitions": (
            with_defaults(constrained.transitions, log=log_of()),
            {"log": (*OBJECT, *wrong_logs().values()), "scale": ("x", [0.0, 1.0], [1.0])},
        ),
        "shard_users": (
            with_defaults(constrained.shard_users, log=log_of(), num_agents=2),
            {"log": OBJECT, "num_agents": (*SIZE, 5)},
        ),
        "sample": (
            with_defaults(constrained.sample, key=jax.random.key(0), rows=rows(), batch_size=2),
            {"key": KEY, "rows": OBJECT, "batch_size": SIZE},
        ),
        "regularized_policy": (with_defaults(constrained.regularized_policy, **closed), wrong),
        "regularized_objective": (
            with_defaults(constrained.regularized_objective, policy=half, **closed),
            wrong | {"policy": ("x", [0.5], [1.5, 0.0])},
        ),
        "regularized_gaussian": (
            with_defaults(
                constrained.regularized_gaussian,
                means=[[0.0]],
                stds=[[1.0]],
                weights=1.0,
                gradient=[1.0],
            ),
            {"means": ("x", [0.0], [[NAN]]), "stds": ("x", [[0.0]], [[1.0, 1.0]])}
            | {"weights": WRONG_WEIGHTS, "gradient": ("x", [NAN]), "curvature": (-1.0, NAN, "x")},
        ),
        "min_norm_weights": (
            with_defaults(constrained.min_norm_weights, gram=np.eye(2)),
            {"gram": ("x", np.ones((2, 3)), np.full((2, 2), NAN)), "num_iterations": SIZE},
        ),
        "rule": (
            with_defaults(constrained.tscac, network=gaussian, discounts=DISCOUNTS),
            {"rule": (constrained.CLOSED_FORM, 4, -1, 0.5)},
        ),
        "stage two": (
            with_defaults(constrained.tscac, network=network(), discounts=DISCOUNTS),
            {"stage_two": NAME},
        ),
    }


def test_bad_input_is_refused_by_name():
    wrong = {name: accepted(*case) for name, case in cases().items()}
    assert {name: found for name, found in wrong.items() if found} == {}


def test_every_public_function_is_in_the_battery():
    rules = {"GRADIENT", "REGULARIZED", "CLOSED_FORM", "IMITATION"}
    assert names_of(constrained) - rules <= set(cases())


@pytest.mark.parametrize(
    ("number", "message"),
    [({"nonsense": 1.0}, "nonsense"), ({"shares": np.ones(3)}, "shares: expected 1")],
)
def test_unknown_and_unfitting_numbers_are_refused(number, message):
    with pytest.raises(ValueError, match=message):
        constrained.tscac(network(), discounts=DISCOUNTS, **number)


def test_estimates_below_the_floor_are_refused():
    log = log_of()
    target = np.zeros(log.mask.shape)
    target[0, 0] = 0.5
    with pytest.raises(ValueError, match="effective sample size"):
        offline.evaluation.ncis(log, target, floor=5.0)


def test_continuous_actions_have_no_probabilities():
    head = rl.gaussian(1)
    made = constrained.tscac(rl.actor_critic_network(head, 4, widths=(4,)), discounts=DISCOUNTS)
    with pytest.raises(ValueError, match="probabilities: expected discrete"):
        made.probabilities(jax.jit(made.init)(jax.random.key(0)), np.ones((1, 4), np.float32))


def test_rewards_of_another_number_are_refused():
    with pytest.raises(ValueError, match=r"batch\.rewards"):
        constrained.fit(
            jax.random.key(0), constrained.rcpo(network(), discounts=(0.9,) * 3), rows(), 1
        )
