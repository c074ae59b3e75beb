"""Off-policy estimators on logs of a shop that recorded its propensities.

Needs the folder ``obd`` of the Open Bandit Dataset in ``JAXSWARM_DATA`` (its small version is part
of the source of the package obp); skipped without.

References:
    Y. Saito, S. Aihara, M. Matsutani, Y. Narita, Open Bandit Dataset and Pipeline, 2021.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from jaxswarm import data
from jaxswarm.rl.offline import evaluation

FOLDER = Path(os.environ.get("JAXSWARM_DATA", "")) / "obd"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="JAXSWARM_DATA holds no folder obd"),
]


def clicks(policy, campaign):
    """The log of one policy, a session per row."""
    return data.load_interactions(
        FOLDER / policy / campaign / f"{campaign}.csv", session="", action="item_id",
        rewards=["click"], propensity="propensity_score", features=["position"],
    )  # fmt: skip


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_estimates_of_the_uniform_policy_equal_their_definitions(campaign):
    """IPS, SNIPS and NCIS within 0.1 % of the sums they are defined by, in double precision."""
    log = clicks("bts", campaign)
    with (FOLDER / "random" / campaign / "item_context.csv").open() as file:
        items = sum(1 for _ in csv.DictReader(file))
    target = np.full(log.mask.shape, 1 / items, np.float32)
    with (FOLDER / "bts" / campaign / f"{campaign}.csv").open() as file:
        rows = list(csv.DictReader(file))
    reward = np.array([float(row["click"]) for row in rows])
    weight = 1 / items / np.array([float(row["propensity_score"]) for row in rows])
    capped = np.minimum(weight, 5.0)
    expected = {
        "ips": np.mean(weight * reward),
        "snips": np.sum(weight * reward) / np.sum(weight),
        "ncis": np.sum(capped * reward) / np.sum(capped),
    }
    found = {
        "ips": evaluation.ips(log, target, floor=0.0),
        "snips": evaluation.snips(log, target, floor=0.0),
        "ncis": evaluation.ncis(log, target, cap=5.0),
    }
    for name, estimate in found.items():
        np.testing.assert_allclose(estimate.value[0], expected[name], rtol=1e-3)
    size = np.sum(weight) ** 2 / np.sum(weight**2)
    np.testing.assert_allclose(found["snips"].effective_samples, size, rtol=1e-3)
    if size < evaluation.FLOOR:  # one row of women has a propensity of almost 0
        with pytest.raises(ValueError, match="effective sample size"):
            evaluation.snips(log, target)
        return
    # The uniform policy was run, too: its clicks are within four standard errors of the estimate.
    run = np.asarray(clicks("random", campaign).rewards)[:, 0, 0]
    error = np.hypot(found["snips"].standard_error[0], run.std() / np.sqrt(len(run)))
    assert abs(found["snips"].value[0] - run.mean()) < 4 * error
