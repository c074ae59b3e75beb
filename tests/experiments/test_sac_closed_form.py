"""The closed form that SAC's learned temperature is held against."""

import numpy as np
import pytest

from experiments.sac.bandit import closed_form_temperature


@pytest.mark.slow
def test_the_closed_form_of_the_temperature_is_a_best_response():
    """By brute force: among squashed Gaussians, the best for its α has the entropy asked for."""
    alpha = closed_form_temperature(-0.5)
    eps = np.random.default_rng(0).normal(size=(400_000, 1))
    stds = np.linspace(0.1, 0.3, 81)
    raw = eps * stds
    entropy = 0.5 * np.log(2 * np.pi * np.e) + np.log(stds) + np.log1p(-(np.tanh(raw) ** 2)).mean(0)
    best = np.argmax(-np.square(np.tanh(raw)).mean(0) + alpha * entropy)
    assert entropy[best] == pytest.approx(-0.5, abs=0.03)
