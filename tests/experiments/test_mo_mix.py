"""Worlds of the MO-MIX experiment, pairs of arms and seeds, and all parts at smoke sizes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import harness
from experiments.mo_mix import treasure
from experiments.mo_mix.config import OUTER, PARTS, SCALES, Config
from experiments.mo_mix.learners import runs_of
from experiments.mo_mix.worlds import FINE_PREFERENCES, best_for
from jaxswarm.envs import deep_sea_treasure


def test_every_arm_meets_every_seed():
    arms = (jnp.array([1.0, 2.0]), {"w": jnp.array([[3.0], [4.0]])})
    keys = jax.random.split(jax.random.key(0), 3)
    first, second, both = runs_of(arms, keys)
    assert first.tolist() == [1.0] * 3 + [2.0] * 3
    assert second["w"][:, 0].tolist() == [3.0] * 3 + [4.0] * 3
    np.testing.assert_array_equal(
        jax.random.key_data(both).reshape(2, 3, -1)[1], jax.random.key_data(keys)
    )


def test_of_the_treasures_linear_preferences_reach_the_two_ends_also_when_discounted():
    front = deep_sea_treasure.true_front()
    value, steps = front[:, 0], -front[:, 1]
    kept = treasure.DISCOUNT**steps
    lost = (1.0 - kept) / (1.0 - treasure.DISCOUNT)
    for points in (front, np.stack([value * kept, -lost], axis=1)):
        best = best_for(points / treasure.UNITS, FINE_PREFERENCES)
        np.testing.assert_allclose(best, points[[0, -1]] / treasure.UNITS)


def test_the_sea_begins_anywhere_in_the_water_if_scattered():
    env = treasure.ScatteredTreasure(1, treasure.TIME_LIMIT)
    keys = jax.random.split(jax.random.key(0), 1000)
    start = jax.jit(jax.vmap(env.start, (0, None)))
    scattered = start(keys, env.params._replace(scatter=1.0)).position[:, 0]
    depths = np.array(deep_sea_treasure.DEPTHS)
    assert (scattered[:, 0] < depths[scattered[:, 1]]).all()
    assert len(np.unique(scattered, axis=0)) == depths.sum()
    assert not start(keys, env.params).position.any()
    state, _ = env.reset(keys[0], env.params._replace(preference=np.float32([0.25, 0.75])))
    _, timestep = jax.jit(env.step)(state, jnp.array([1]))
    np.testing.assert_allclose(timestep.extras["objectives"], [1 / 124, -1 / 19], rtol=1e-6)
    np.testing.assert_allclose(timestep.reward, 0.25 / 124 - 0.75 / 19, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": ("tresure",)}, "unknown part"),
        ({"treasure_iterations": 10}, "treasure_iterations: expected a multiple of 33"),
        ({"seeds": 1}, "seeds: expected at least 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)


@pytest.mark.slow
def test_all_parts_run_at_smoke_sizes(tmp_path):
    experiment = harness.load("mo_mix")
    config = dataclasses.replace(
        SCALES["smoke"],
        parts=PARTS,
        more_baselines=True,
        spread_iterations=33,
        spread_seeds=2,
        spread_episodes=2,
    )
    outcome = harness.run_and_record(experiment, config, scale="smoke", runs=tmp_path)
    assert outcome.error is None
    assert len(outcome.claims) == 24
    assert any(claim.baseline == OUTER for claim in outcome.claims)
