"""The learners of the DAMCS experiment, which are part of its full scale alone."""

import numpy as np
import pytest

from experiments.damcs import claims, figure
from experiments.damcs.config import ARMS, IPPO, MAPPO, UNTRAINED, Config
from experiments.damcs.learners import learn
from jaxswarm import plotting


@pytest.mark.slow
def test_learners_are_trained_judged_and_drawn():
    config = Config(
        size=16, time_limit=10, envs=2, horizon=4, iterations=1, learners=2, width=8, level=0
    )
    learned = learn(config, lambda text: None)
    assert list(learned) == [IPPO, UNTRAINED, MAPPO]
    assert learned[IPPO]["reward"].shape == (2, 1)
    rng = np.random.default_rng(0)
    arm = {
        "steps": rng.integers(1, 10, 4),
        "diamond": np.ones(4, bool),
        "bytes": np.ones(4),
        "decisions": np.ones(4, int),
        "achieved": rng.random((4, 20)) < 0.5,
    }
    results = {"arms": dict.fromkeys(ARMS, arm), "learned": learned}
    named = [claim.claim for claim in claims.claims(config, results)]
    assert len(named) == 15
    assert sum(name.startswith((IPPO, MAPPO)) for name in named) == 4
    axes = plotting.panels(1, 1)
    figure.draw_learned(results, np.ravel(axes)[0])
