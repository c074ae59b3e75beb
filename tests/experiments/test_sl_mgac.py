"""Parts of the SL-MGAC experiment: its worlds, the measures of its claims, refusals."""

import numpy as np
import pytest

from experiments.sl_mgac import claims, world
from experiments.sl_mgac.config import RATES, SCALES, Config
from experiments.sl_mgac.learners import ARMS, scaled
from jaxswarm import data
from jaxswarm.systems import sl_mgac


def test_instability_of_curves_by_hand():
    flat, wave = np.full(9, 2.0), np.array([0.0] * 6 + [1.0, 2.0, 3.0])
    found = claims.variation(np.stack([flat, wave]))
    np.testing.assert_allclose(found, [0.0, np.sqrt(2.0 / 3.0) / 2.0])


def test_diverged_seeds_are_counted_and_nan_is_one():
    largest = np.array([[1.0, 3.0], [5.0, 41.0], [1.0, np.nan]])
    results = {
        "arms": {"a": {"largest": np.array([4.0])}},
        "known": {"never": {"largest": np.array([2.0, 3.0])}},
        "curves": {"a": {"largest": largest}},
    }
    assert claims.true_largest(results) == 4.0
    assert claims.diverged(results, "a").tolist() == [False, True, True]


def test_usage_is_relative_to_sessions_without_insertions():
    arm = {"short": np.array([3.0]), "live": np.array([2.0])}
    never = {"short": np.array([4.0]), "live": np.array([0.0])}
    np.testing.assert_allclose(claims.usage(arm, never), [1.25])


def test_groups_of_the_control_world_are_alike():
    params = world.physics(SCALES["smoke"])
    for name in ("activity", "live", "live_noise"):
        usual, alike = getattr(params, name)
        assert np.ptp(usual) > 0.5
        assert np.ptp(alike) == 0.0


def test_groups_of_logged_users_repeat_in_every_block():
    config = Config(sessions=8192 + 4, groups=4)
    group = world.groups_of(config, config.sessions)
    np.testing.assert_array_equal(group[:6], [0, 1, 2, 3, 0, 1])
    np.testing.assert_array_equal(group[world.CHUNK : world.CHUNK + 2], [0, 1])


def test_features_are_standardized_by_those_of_the_log():
    features = np.array([[1.0, 5.0], [3.0, 5.0], [5.0, 5.0]])
    log = data.interactions(
        [0, 0, 0], [0, 1, 0], np.ones((3, 2)), propensity=[0.5] * 3, features=features
    )
    rows = sl_mgac.log_rows(log, [0], [0.0, 1.0], num_groups=1)
    own, scaling = scaled(rows, True)
    np.testing.assert_allclose(own.features[:, 0], [-(1.5**0.5), 0.0, 1.5**0.5], rtol=1e-5)
    np.testing.assert_array_equal(own.features[:, 1], 0.0)
    np.testing.assert_allclose(scaling(np.array([[3.0, 6.0]])), [[0.0, 1.0]], atol=1e-6)
    same, _ = scaled(rows, False)
    np.testing.assert_array_equal(same.features, rows.features)


def test_every_arm_has_a_step_size():
    assert set(RATES) == set(ARMS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "seeds"),
        ({"records": 2}, "records"),
        ({"steps": 20}, "records: expected .* 20 steps"),
        ({"users": 1022}, "users: expected a multiple of the 4 groups"),
    ],
)
def test_refused_sizes_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
