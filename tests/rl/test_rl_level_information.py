"""Information of a representation about its level: exact cases, invariance, bad input."""

import jax
import numpy as np
import pytest

from jaxswarm.rl import curriculum

LEVELS = 4


def rows(seed, noise, count=2000):
    """Representations that are the level with probability ``1 - noise``, else another one."""
    rng = np.random.default_rng(seed)
    level = rng.integers(LEVELS, size=count)
    shown = np.where(rng.random(count) < noise, rng.integers(LEVELS, size=count), level)
    return np.eye(LEVELS, dtype=np.float32)[shown], level


@jax.jit
def fit(train, level, test, answer):
    return curriculum.level_information(train, level, test, answer, LEVELS)


def information(noise):
    return fit(*rows(0, noise), *rows(1, noise))


def exact(noise):
    """Mutual information of the level and what is shown, from their joint distribution."""
    joint = np.eye(LEVELS) * (1 - noise) / LEVELS + noise / LEVELS**2
    return (joint * np.log(joint * LEVELS**2)).sum()


@pytest.mark.parametrize("noise", [0.2, 0.7])
def test_bound_reaches_the_information_of_a_known_channel(noise):
    found = information(noise)
    assert abs(float(found.information) - exact(noise)) < 0.05
    assert abs(float(found.accuracy) - (1 - noise + noise / LEVELS)) < 0.03


def test_representation_of_the_level_has_its_entropy_and_none_has_nothing():
    assert float(information(0.0).information) > np.log(LEVELS) - 0.06
    assert abs(float(information(1.0).information)) < 0.02


def test_units_of_the_representation_do_not_matter():
    train, test = rows(0, 0.2), rows(1, 0.2)
    one = fit(*train, *test)
    other = fit(50.0 * train[0] - 7.0, train[1], 50.0 * test[0] - 7.0, test[1])
    np.testing.assert_allclose(one.information, other.information, atol=1e-3)


X, Y = np.zeros((3, 2)), np.zeros(3, int)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.zeros(3), Y, X, Y, 2), {}, "representation: expected"),
        ((np.zeros((0, 2)), np.zeros(0, int), X, Y, 2), {}, "representation: expected at least"),
        ((X, np.zeros(2, int), X, Y, 2), {}, "level: expected"),
        ((X, Y + 2, X, Y, 2), {}, r"level: expected whole numbers in \[0, 1\], got 2"),
        ((X, Y, np.zeros((3, 4)), Y, 2), {}, "held_out: expected 2 columns.*got 4"),
        ((X, Y, X, 1.0 * Y, 2), {}, "held_out_level: expected"),
        ((X, Y, X, Y, 1), {}, "num_levels: expected"),
        ((X, Y, X, Y, 2), {"steps": 0}, "steps: expected"),
        ((X, Y, X, Y, 2), {"lr": 0.0}, "lr: expected"),
        ((X, Y, X, Y, 2), {"weight_decay": -1.0}, "weight_decay: expected"),
        (("a", Y, X, Y, 2), {}, "representation: expected"),
    ],
)
def test_bad_input_is_refused_by_name(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        curriculum.level_information(*arguments, **options)
