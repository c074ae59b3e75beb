"""Comparison at matched diversity and the world of the AC-Flow experiment."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.ac_flow import mixture
from experiments.ac_flow.comparison import Bracket, choose, matched
from experiments.ac_flow.config import Config

CELLS = np.array([(tau, alpha) for tau in (1.0, 3.0) for alpha in (0.1, 0.3, 1.0)])


def test_the_bracket_with_the_highest_interpolated_reward_is_chosen():
    entropy = np.array([0.5, 1.0, 2.0, 0.2, 0.8, 1.6])[:, None]
    reward = np.array([0.9, 0.6, 0.3, 0.9, 0.8, 0.4])[:, None]
    # At entropy 1.2: tau 1 gives .54, tau 3 gives .6.
    assert choose(CELLS, reward, entropy, 1.2) == Bracket(3.0, 0.3, 1.0)
    assert choose(CELLS, np.where(CELLS[:, :1] == 3.0, np.nan, reward), entropy, 1.2).tau == 1.0


def test_without_a_bracket_the_most_diverse_cell_is_chosen():
    entropy = np.array([0.5, 0.6, 0.7, 0.2, 0.8, 0.75])[:, None]
    assert choose(CELLS, entropy, entropy, 1.2) == Bracket(3.0, 0.3, 0.3)


def test_matched_rewards_lie_on_the_line_through_two_runs():
    reward, entropy = np.array([[0.8, 0.8], [0.4, 0.4]]), np.array([[1.0, 1.0], [2.0, 1.0]])
    np.testing.assert_allclose(matched(reward, entropy, 1.5), [0.6, 0.6])
    np.testing.assert_allclose(matched(reward, entropy, 9.0)[0], 0.2)  # half a length beyond


def test_the_ideal_is_the_mixture_times_the_exponential_of_the_reward():
    x = mixture.sample_mixture(jax.random.key(0), 20_000)
    scores = mixture.mode_reward(x, jnp.array(mixture.MODE_REWARDS))
    tilted = mixture.tilted_ideal(jax.random.key(1), x, 4.0 * scores, 20_000)
    bumps = 1.0 / (1.0 + mixture.SPREAD**2 / mixture.REACH**2)
    np.testing.assert_allclose(
        float(scores.mean()), bumps * sum(mixture.MODE_REWARDS) / mixture.NUM_MODES, atol=0.01
    )
    weights = np.exp(4.0 * np.asarray(scores))
    nearest = np.argmin(np.linalg.norm(np.asarray(x)[:, None] - mixture.CENTERS[None], axis=2), 1)
    exact = np.bincount(nearest, weights, mixture.NUM_MODES) / weights.sum()
    np.testing.assert_allclose(mixture.mode_shares(tilted), exact, atol=0.02)
    assert float(mixture.near_mode(x)) > 0.99


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"at_once": 3}, "at_once: expected a divisor of seeds"),
        ({"shares": (0.5,)}, "shares: expected 3 numbers"),
        ({"warm_up": 200}, "warm_up: expected fewer iterations"),
        ({"digit_lrs": (1e-3,)}, "digit_lrs: expected 5 numbers"),
        ({"data": "faces"}, "data: expected .digits. or .mnist."),
    ],
)
def test_sizes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**change)
