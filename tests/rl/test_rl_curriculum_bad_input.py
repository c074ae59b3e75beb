"""Wrong arguments of level curricula are refused by name."""

import functools

import jax
import numpy as np
import pytest

from jaxswarm import rl
from jaxswarm.rl import curriculum
from jaxswarm.rl.curriculum import METHODS, ReplayHyperparameters
from tests.rl.level_worlds import (
    ENV,
    SIZES,
    line_levels,
    network,
)

BUFFER = functools.cache(lambda: curriculum.level_buffer(line_levels([1, 2]), 3))


def learner(**options):
    return curriculum.level_curriculum(ENV, network(), **{**SIZES, **options})


REFUSED = {
    "empty starting set": (
        lambda: curriculum.level_buffer(line_levels([]), 4),
        "levels.*at least one level",
    ),
    "mixed lengths": (
        lambda: curriculum.level_buffer({"a": np.zeros(3), "b": np.zeros(2)}, 4),
        r"levels: expected leaves of the same length, got \[2, 3\]",
    ),
    "no arrays": (lambda: curriculum.level_buffer((), 4), "levels: expected stacked levels"),
    "small buffer": (
        lambda: curriculum.level_buffer(line_levels([1, 2, 4]), 2),
        "capacity: expected at least 3, the starting set, got 2",
    ),
    "temperature": (
        lambda: curriculum.replay_weights(BUFFER(), ReplayHyperparameters(temperature=0.0)),
        "temperature: expected",
    ),
    "second temperature": (
        lambda: curriculum.replay_weights(BUFFER(), ReplayHyperparameters(second_temperature=-1.0)),
        "second_temperature: expected",
    ),
    "coefficient": (
        lambda: curriculum.replay_weights(BUFFER(), ReplayHyperparameters(second_share=1.5)),
        "second_share: expected",
    ),
    "staleness": (lambda: learner(replay=ReplayHyperparameters(staleness=-0.1)), "staleness"),
    "replay": (lambda: learner(replay=ReplayHyperparameters(replay=2.0)), "replay: expected"),
    "score": (lambda: learner(replay=ReplayHyperparameters(score=4)), "score: expected"),
    "ramp": (lambda: learner(replay=ReplayHyperparameters(ramp=0)), "ramp: expected"),
    "kind": (lambda: learner(replay={"temperature": 1.0}), "replay: expected"),
    "rank temperature": (
        lambda: curriculum.rank_weights(np.zeros(2), np.ones(2, bool), 0.0),
        "temperature: expected",
    ),
    "rank support": (
        lambda: curriculum.rank_weights(np.zeros(2), np.ones(3, bool), 1.0),
        "support",
    ),
    "other size": (
        lambda: curriculum.insert_levels(
            curriculum.level_buffer({"map": np.zeros((2, 5, 5))}, 3),
            {"map": np.zeros((2, 7, 7))},
            np.zeros(2),
            best_return=np.zeros(2),
        ),
        r"levels\['map'\]: expected the size \(5, 5\) of the other levels, got \(7, 7\)",
    ),
    "nan score": (
        lambda: curriculum.update_levels(BUFFER(), [0], [np.nan], best_return=[0.0]),
        "score: expected",
    ),
    "more than held": (
        lambda: curriculum.sample_levels(jax.random.key(0), BUFFER(), METHODS["plr"], 3),
        r"count: expected a whole number in \[1, 2\], got 3",
    ),
    "one level to interpolate": (
        lambda: curriculum.interpolated_levels(np.zeros((1, 3)), np.ones((1, 3)), lambda k, z: z),
        "mean: expected at least two levels",
    ),
    "negative deviation": (
        lambda: curriculum.interpolated_levels(np.zeros((2, 3)), -np.ones((2, 3)), print),
        "std: expected",
    ),
    "few levels": (
        lambda: learner().init(
            rl.initialize(jax.random.key(0), network(), 1, shared=True), line_levels([1, 2])
        ),
        "levels: expected at least num_envs = 4 in the starting set, got 2",
    ),
    "no generator": (lambda: learner(num_new=1), "generator: expected one"),
    "no level": (
        lambda: curriculum.level_params(ENV, {"goal": 3}),
        "level: expected",
    ),
    "no environment": (lambda: curriculum.with_levels(3, 0, print), "env: expected"),
    "share": (lambda: curriculum.mixed_levels(print, print, 1.5), "share: expected"),
    "mutate": (lambda: curriculum.edited_levels(3), "mutate: expected"),
    "sample": (lambda: curriculum.random_levels(None), "sample: expected"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_by_name(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()
