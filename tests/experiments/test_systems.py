"""Every published system runs at smoke scale, in seconds, and says something about each claim."""

import numpy as np
import pytest

from experiments import SYSTEMS, harness


@pytest.mark.parametrize("name", SYSTEMS)
def test_smoke(name, tmp_path):
    module = harness.load(name)
    config = module.SCALES["smoke"]
    outcome = harness.execute(module, config, scale="smoke", runs=tmp_path)
    assert outcome.error is None
    assert outcome.folder is not None
    assert (outcome.folder / "figure.png").stat().st_size > 5_000
    for claim in outcome.claims:
        assert claim.system == name
        assert np.isfinite(claim.effect)
        assert claim.interval is None or claim.interval[0] <= claim.effect <= claim.interval[1]
