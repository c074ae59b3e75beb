"""Every published system runs at smoke scale, in seconds, and measures each of its claims."""

import numpy as np
import pytest

from experiments import SYSTEMS, harness
from experiments.single_merging.arms import schedules

# These compile for most of a minute; the tests of the packages they use run every time.
MINUTES = (
    "networked_actor_critic",
    "sac",
    "stac",
    "symphony",
    "symphony_coord",
    "agentnet",
    "agent_conductor",
    "matrix",
    "scaling_agents",
    "dimat",
    "modest",
    "sybilwall",
    "bristle",
    "dec_pomfc",
    "swarmbench",
    "hammer",
    "dadao",
    "variance_correction",
    "bn_actor_critic",
    "nora",
    "ac_flow",
    "decentralized_diffusion",
    "step_dapo",
    "sapo",
    "knexa_fl",
    "meta_inf",
    "fantasy_hsi",
    "fortytwo",
    "byzantine_grid",
    "dqc",
    "dred",
    "disrupted",
    "mo_mix",
    "web3recommend",
    "sl_mgac",
    "tscac",
    "damcs",
    "verified_inference",
    "generative_consensus",
    "hamlet",
    "lattica",
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in MINUTES else []) for name in SYSTEMS],
)
def test_smoke(name, tmp_path):
    experiment = harness.load(name)
    config = experiment.SCALES["smoke"]
    outcome = harness.run_and_record(experiment, config, scale="smoke", runs=tmp_path)
    assert outcome.error is None
    assert outcome.folder is not None
    assert (outcome.folder / "figure.png").stat().st_size > 5_000
    for claim in outcome.claims:
        assert claim.system == name
        assert np.isfinite(claim.effect)
        assert claim.interval is None or claim.interval[0] <= claim.effect <= claim.interval[1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rounds": 61}, "every: expected a divisor"),
        ({"sparse": 2.0}, "sparse"),
        ({"starts": (0.9, 0.1)}, "starts"),
    ],
)
def test_single_merging_refuses_what_it_would_misreport(change, message):
    with pytest.raises(ValueError, match=message):
        harness.load("single_merging").Config(**change)


def test_single_merging_compares_equal_budgets():
    """One merge sends as many models as the constant rate, and 3 % of averaging every round."""
    experiment = harness.load("single_merging")
    arms = schedules(experiment.SCALES["small"])
    budget = {name: float(np.sum(arm.values)) for name, arm in arms.items()}
    assert budget["single merge"] == pytest.approx(budget["constant, same budget"], rel=1e-5)
    assert budget["single merge"] <= 0.05 * budget["server"]
