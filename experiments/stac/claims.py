"""Claims of the STAC experiment and their thresholds, fixed before the first run."""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.stac import NAME
from experiments.stac.config import Config
from jaxswarm import statistics

ANY_FALL = 1e-6  # least decrease from one pessimism weight to the next that counts as a decrease
RISK_CHANGE = -0.5  # largest relative change of the share of steps in the disc, largest weight / 0
GOAL_SHARE = 0.9  # least share of episodes that reach the goal, at every pessimism weight
CALIBRATION_ERROR = 0.15  # largest mean relative error of the critic's standard deviation
OVERESTIMATION = 0.0  # least value error without pessimism, in units of return

RISK_STATEMENT = (
    "Pessimism based on the critic's spread leads to risk-averse behaviour: visits to the danger "
    "disc of RiskyPointMass fade as β grows (Özalp 2026, abstract and heat map)"
)
OVERESTIMATION_STATEMENT = (
    "Critics trained by temporal differences overestimate, and pessimism based on a distributional "
    "critic alone suffices to mitigate it (Özalp 2026, abstract)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare risk, success and calibration with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.stac.arms.run`.

    Returns:
        Six claims: three on the point mass, three on the chain.
    """
    claim_list = ClaimList(NAME)
    _point_mass_claims(claim_list, config, results)
    _chain_claims(claim_list, results)
    return claim_list


def _point_mass_claims(claim_list: ClaimList, config: Config, results: Results) -> None:
    inside, goal = results["mass"]["inside"], results["mass"]["goal"]  # [B, S]
    largest = f"β = {config.betas[-1]}"
    seeds = inside.shape[1]
    claim_list.add(
        "The share of steps inside the risky disc falls with every rise of the pessimism weight β",
        statement=RISK_STATEMENT,
        measured=(
            "smallest decrease, between neighbouring β, of the mean over seeds of the share of "
            "steps inside the disc"
        ),
        metric="share of steps inside the disc",
        unit="fraction",
        arm="each β above 0",
        baseline="the next smaller β",
        value=float(-np.diff(inside.mean(axis=1)).max()),
        at_least=ANY_FALL,
        seeds=seeds,
    )
    claim_list.add(
        f"The largest pessimism weight, {largest}, at least halves the share of steps inside the "
        "risky disc",
        statement=RISK_STATEMENT + "; the factor of two is ours",
        measured=f"(share of steps inside the disc at {largest} - share at β = 0) / share at β = 0",
        metric="share of steps inside the disc",
        unit="fraction of the baseline",
        arm=largest,
        baseline="β = 0",
        value=statistics.compare(inside[-1], inside[0], relative=True),
        at_most=RISK_CHANGE,
    )
    claim_list.add(
        "The point mass reaches the goal at every pessimism weight",
        statement="Own check: less risk must not come from failing to reach the goal",
        measured="smallest mean over seeds, of all β, of the share of episodes that reach the goal",
        metric="share of episodes that reach the goal",
        unit="fraction",
        arm="the β with the smallest share",
        value=float(goal.mean(axis=1).min()),
        at_least=GOAL_SHARE,
        seeds=seeds,
    )


def _chain_claims(claim_list: ClaimList, results: Results) -> None:
    chain = results["chain"]
    value_error = chain["value_error"]  # [B, S]
    relative_error = np.abs(chain["deviation"] / chain["exact"][:, None, :] - 1.0).mean(axis=(1, 2))
    seeds = value_error.shape[1]
    claim_list.add(
        "On the chain, without pessimism, the critic's standard deviation is within 15 % of the "
        "exact spread of its one-step target",
        statement=(
            "The distributional critic models one-step aleatoric uncertainty of its target: from "
            "rewards, transitions and the policy (Özalp 2026, abstract)"
        ),
        measured="mean over states and seeds of |critic's standard deviation / exact spread - 1|",
        metric="standard deviation of the one-step target",
        unit="fraction",
        arm="critic, β = 0",
        baseline="exact spread",
        value=float(relative_error[0]),
        at_most=CALIBRATION_ERROR,
        seeds=seeds,
    )
    claim_list.add(
        "On the chain the critic overestimates the values without pessimism",
        statement=OVERESTIMATION_STATEMENT,
        measured="mean over states of (critic's mean - exact value) at β = 0",
        metric="value error",
        unit="return",
        arm="critic, β = 0",
        baseline="exact values",
        value=statistics.summarize(value_error[0]),
        at_least=OVERESTIMATION,
    )
    claim_list.add(
        "On the chain the critic's value error falls with every rise of the pessimism weight β",
        statement=OVERESTIMATION_STATEMENT,
        measured=(
            "smallest decrease, between neighbouring β, of the mean over seeds and states of "
            "(critic's mean - exact value)"
        ),
        metric="value error",
        unit="return",
        arm="each β above 0",
        baseline="the next smaller β",
        value=float(-np.diff(value_error.mean(axis=1)).max()),
        at_least=ANY_FALL,
        seeds=seeds,
    )
