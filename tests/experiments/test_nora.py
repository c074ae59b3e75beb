"""Parts of the NORA experiment: its worlds and class, the measures of its claims, all its parts."""

import dataclasses
import math

import numpy as np
import pytest

from experiments import harness
from experiments.nora import classes, worlds
from experiments.nora.claims import slope_summary
from experiments.nora.config import PARTS, SCALES, TARGETS, Config
from experiments.nora.play import growth_ratio, late_regret, recorded
from jaxswarm.rl import tabular


@pytest.mark.parametrize(("power", "ratio"), [(0.5, 2.0), (1.0, 4.0), (0.0, 1.0)])
def test_growth_ratios_of_powers(power, ratio):
    total = recorded(8_000)[None] ** power
    np.testing.assert_allclose(growth_ratio({"total": total}, 8_000), ratio)
    late = late_regret({"total": total}, 8_000)
    np.testing.assert_allclose(late, (8_000**power - 6_000**power) / 2_000)


def test_slopes_of_powers_and_targets_that_are_not_reached():
    times = np.array(TARGETS)[None] ** -2.0 * np.array([[10.0], [20.0], [30.0]])
    assert slope_summary(times).value == pytest.approx(2.0)
    times[0, -1] = np.inf
    assert math.isnan(slope_summary(times).value)


def test_the_decoy_offers_a_sure_return_and_nothing_else():
    plan = tabular.value_iteration(worlds.decoy())
    assert float(plan.value[0, 0]) == worlds.SAFE
    np.testing.assert_array_equal(plan.q[0, 0], [worlds.SAFE, 0.0])
    assert not plan.value[1:].any()


def test_the_class_contains_the_optimal_values_of_every_lock_that_is_played():
    config = SCALES["smoke"]
    tables = classes.members(config)
    assert len(tables) == 2 * config.actions**config.class_horizon
    played = worlds.locks(config, 2, config.class_horizon, config.class_slip)
    for seed in range(2):
        lock = tabular.EpisodicMDP(*(x[seed] for x in played))
        best = np.asarray(tabular.value_iteration(lock).q)
        assert np.abs(tables - best).max(axis=(1, 2, 3)).min() < 1e-6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"episodes": 10}, "episodes: expected a multiple of 4"),
        ({"offline": (10, 30)}, "offline"),
        ({"offline": (0, 30, 10)}, "offline"),
        ({"seeds": 1}, "seeds"),
        ({"swarm_seeds": 99}, "swarm_seeds"),
        ({"parts": ("swram",)}, "unknown part"),
    ],
)
def test_configurations_that_cannot_be_claimed_from_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)


@pytest.mark.slow
def test_all_parts_run_at_smoke_sizes(tmp_path):
    experiment = harness.load("nora")
    config = dataclasses.replace(SCALES["smoke"], parts=PARTS, rate_episodes=400)
    outcome = harness.run_and_record(experiment, config, scale="smoke", runs=tmp_path)
    assert outcome.error is None
    assert len(outcome.claims) == 29
