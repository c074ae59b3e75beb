"""Claims of the Symphony experiment and their thresholds, fixed before the first run."""

import math

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.symphony import NAME
from experiments.symphony.arms import BOUND, REPLAYS
from experiments.symphony.config import Config
from jaxswarm import statistics

LOWEST_SCALE = 1.0 / math.e - 0.1  # least final action scale without values
HIGHEST_SCALE = 1.0 / math.e + 0.15  # largest final action scale without values
SCALE_LIMIT = 1.0  # largest action scale at any time
BOUNDS_RATIO = 0.5  # largest ratio of actions at the bounds, noise inside / added and clipped
STEPS_CHANGE = -1e-6  # largest relative change of the steps to the threshold by fading
RETURN_THRESHOLD = -400.0  # return of a pendulum's episode that counts as reached
REACHED_SHARE = 0.5  # least share of runs that reach it

SWADDLING_STATEMENT = (
    "Swaddling penalises action strength, with its minimum at a scale of 1/e where values are flat "
    "(Ishuov et al. 2025, published code)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare scales, actions at the bounds and steps to a return with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.symphony.arms.run`.

    Returns:
        Six claims: three on swaddling, three on the pendulum.
    """
    claim_list = ClaimList(NAME)
    _swaddling_claims(claim_list, results)
    _pendulum_claims(claim_list, results)
    return claim_list


def steps_to_threshold(results: Results) -> dict[str, np.ndarray]:
    """``{replay: float64[S]}``: steps at the first record above ``RETURN_THRESHOLD``.

    Runs that never reach it count with their last record.
    """
    steps = results["steps"]
    reached = {name: results["return"][name] >= RETURN_THRESHOLD for name in REPLAYS}
    return {
        name: np.where(above.any(axis=1), steps[np.argmax(above, axis=1)], steps[-1]).astype(float)
        for name, above in reached.items()
    }


def _swaddling_claims(claim_list: ClaimList, results: Results) -> None:
    scales = results["scales"]
    claim_list.add(
        "Swaddling alone raises every action scale to at least 1/e - 0.1",
        statement=SWADDLING_STATEMENT,
        measured="smallest final action scale over all starting points",
        metric="action scale S, in (0, 1)",
        unit="fraction",
        arm="swaddling loss alone",
        value=float(scales[-1].min()),
        at_least=LOWEST_SCALE,
    )
    claim_list.add(
        "Swaddling alone lowers every action scale to at most 1/e + 0.15",
        statement=SWADDLING_STATEMENT,
        measured="largest final action scale over all starting points",
        metric="action scale S, in (0, 1)",
        unit="fraction",
        arm="swaddling loss alone",
        value=float(scales[-1].max()),
        at_most=HIGHEST_SCALE,
    )
    claim_list.add(
        "Under swaddling no action scale ever exceeds 1",
        statement="Own check: the scale S lies in (0, 1) (published code)",
        measured="largest action scale at any record over all starting points",
        metric="action scale S, in (0, 1)",
        unit="fraction",
        arm="swaddling loss alone",
        value=float(scales.max()),
        at_most=SCALE_LIMIT,
        note="holds by construction: the code clips S below 1",
    )


def _pendulum_claims(claim_list: ClaimList, results: Results) -> None:
    steps = steps_to_threshold(results)
    inside = results["inside_noise"]["fading"]
    clipped = results["clipped_noise"]["fading"]
    seeds = len(inside)
    claim_list.add(
        f"Noise inside the squashing brings at most half as many actions beyond {BOUND} of their "
        "range as clipped noise",
        statement=(
            "Parametric noise is limited, which makes actions safer than those of stochastic "
            "algorithms (Ishuov et al. 2025, abstract); the comparison with clipped noise is ours"
        ),
        measured=(
            f"share of actions beyond {BOUND} of the range, noise inside the squashing / noise of "
            "equal standard deviation added after it and clipped"
        ),
        metric="share of executed actions at the bounds",
        unit="ratio",
        arm="noise inside the squashing",
        baseline="noise added and clipped",
        value=float(inside.mean() / max(clipped.mean(), 1e-6)),
        at_most=BOUNDS_RATIO,
        seeds=seeds,
        note="near 0 by construction while scales are near 1/e: bounded noise cannot reach 0.95",
    )
    claim_list.add(
        f"Fading replay reaches a return of {RETURN_THRESHOLD:g} on the pendulum in fewer steps "
        "than uniform replay",
        statement=(
            "The fading replay buffer, which samples recent transitions more often, is part of the "
            "method's sample efficiency (Ishuov et al. 2025, abstract); the ablation is ours"
        ),
        measured=(
            f"(steps to return {RETURN_THRESHOLD:g} with fading - with uniform replay) / steps "
            "with uniform replay"
        ),
        metric="environment steps",
        unit="fraction of the baseline",
        arm="fading",
        baseline="uniform",
        value=statistics.compare(steps["fading"], steps["uniform"], relative=True),
        at_most=STEPS_CHANGE,
    )
    reached = [
        (returns >= RETURN_THRESHOLD).any(axis=1).mean() for returns in results["return"].values()
    ]
    claim_list.add(
        f"At least half of the runs reach a return of {RETURN_THRESHOLD:g} on the pendulum",
        statement="Control: without it, steps to the threshold would only show the runs' length",
        measured=f"share of runs, of both kinds of replay, that reach return {RETURN_THRESHOLD:g}",
        metric="share of runs",
        unit="fraction",
        arm="fading and uniform",
        value=float(np.mean(reached)),
        at_least=REACHED_SHARE,
        seeds=2 * seeds,
        control=True,
    )
