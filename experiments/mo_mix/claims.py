"""What the MO-MIX experiment concludes, against thresholds fixed before.

Shapes: ``S`` seeds, ``W`` preferences.
"""

from typing import Any

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.mo_mix import NAME
from experiments.mo_mix.config import (
    ADDITIVE,
    COARSE,
    CONCAVE,
    CONDITIONED,
    CONSENSUS,
    EXCHANGING,
    ISOLATED,
    MO_MIX,
    OUTER,
    OUTER_TENFOLD,
    OUTER_THREE,
    OWN,
    TEAM,
    UNIFORM,
    Config,
)
from experiments.mo_mix.learners import at_preferences
from experiments.mo_mix.spread_claims import FEWER, GAIN, HEADLINE, add_spread
from experiments.mo_mix.worlds import (
    FINE_PREFERENCES,
    best_for,
    hypervolume,
    is_among,
    share_of_front,
    true_front,
)
from jaxswarm import rl, statistics
from jaxswarm.envs import deep_sea_treasure

FRONT_SHARE = 0.9  # hypervolume as a share of the true front's, at least
NO_LESS = 0.0  # an arm's number minus its baseline's, at least
NO_MORE = 0.0  # an arm's number minus its baseline's, at most
MISSED = 0.2  # share of steps whose joint action is not the best one, at most
LOST = 0.02  # joint value lost by that, as a share of its range, at most
CONCAVE_REACHED = 0.25  # share of the points in concave parts that are reached, at most
SEA_REFERENCE = np.array([-0.1, -25.0], np.float32)  # below every return of deep-sea treasure
CONSENSUS_GAIN = 0.05  # share of the best weighted return that a consensus adds, at least
CONSENSUS_LOSS = 0.02  # share of it that a consensus loses against the exact mean, at most

GUIDE = (
    "An exploration guide improves the uniformity of the final non-dominated solutions (Hu et al. "
    "2023, abstract)."
)
DENSE = (
    "One model produces a high-quality approximation of the Pareto set (Hu et al. 2023, abstract)."
)
SHARE: dict[str, Any] = {
    "metric": "hypervolume of the returns under 11 preferences, as a share of the true front's",
    "unit": "fraction",
}


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare fronts, mixers and preferences."""
    made = ClaimList(NAME)
    add_grid(made, results["grid"])
    add_mixers(made, results["grid"])
    add_concave(made, results["grid"][CONCAVE]["front"])
    if "treasure" in results:
        add_treasure(made, results["treasure"])
    if "team" in results:
        add_team(made, results["team"])
    if "spread" in results:
        add_spread(made, results["spread"])
    return made


def shares(found: Results, curve: str = "convex") -> np.ndarray:
    """Hypervolume under the eleven preferences as a share of the true front's, ``[S]``."""
    return np.array([share_of_front(points, curve) for points in at_preferences(found)])


def spacings(found: Results) -> np.ndarray:
    """Spacing of the fronts under 101 preferences, ``[S]``.

    A front of a single point has no spacing; it counts as the length of the whole true front.
    """
    ends = true_front()[[0, -1]]
    length = np.abs(ends[1] - ends[0]).sum()
    values = np.array([float(rl.pareto.spacing(points)) for points in found["front"]])
    return np.where(np.isfinite(values), values, length)


def add_grid(made: ClaimList, grid: Results) -> None:
    """Hypervolume and spacing on the game with a convex curve."""
    own = shares(grid[MO_MIX])
    made.add(
        f"MO-MIX attains at least {FRONT_SHARE} of the true front's hypervolume",
        statement=DENSE,
        measured="hypervolume of MO-MIX / of the true front",
        arm=MO_MIX,
        value=statistics.summarize(own),
        at_least=FRONT_SHARE,
        judge="interval",
        note="the best teams for these preferences have 0.945",
        **SHARE,
    )
    if OUTER in grid:
        add_outer(made, grid, own)
    add_preferences(made, grid, own)


def add_outer(made: ClaimList, grid: Results, own: np.ndarray) -> None:
    """Hypervolume against that of one QMIX per preference."""
    made.add(
        "MO-MIX attains at least 1.1 times the hypervolume of an outer loop of QMIX over 11 "
        "preferences with the same total of episodes and updates",
        statement=HEADLINE,
        measured="hypervolume of MO-MIX - 1.1 x of the outer loop",
        arm=MO_MIX,
        baseline=f"1.1 x {OUTER}",
        value=statistics.compare(own, (1.0 + GAIN) * shares(grid[OUTER])),
        at_least=NO_LESS,
        judge="interval",
        **SHARE,
    )
    for arm, statement in ((OUTER_THREE, "Own check: fewer, longer runs."), (OUTER_TENFOLD, FEWER)):
        if arm in grid:
            made.add(
                f"MO-MIX attains at least the hypervolume of the {arm}",
                statement=statement,
                measured=f"hypervolume of MO-MIX - of the {arm}",
                arm=MO_MIX,
                baseline=arm,
                value=statistics.compare(own, shares(grid[arm])),
                at_least=NO_LESS,
                judge="interval",
                **SHARE,
            )


def add_preferences(made: ClaimList, grid: Results, own: np.ndarray) -> None:
    """How training's preferences are drawn: at gaps, uniformly, or on a coarse grid."""
    made.add(
        "Preferences at gaps of the front lower its spacing against uniform preferences",
        statement=GUIDE,
        measured="(spacing with the guide - without) / without",
        metric="Schott's spacing of the front under 101 preferences",
        unit="ratio",
        arm=MO_MIX,
        baseline=UNIFORM,
        value=statistics.compare(spacings(grid[MO_MIX]), spacings(grid[UNIFORM]), relative=True),
        at_most=NO_MORE,
        judge="interval",
    )
    made.add(
        "Preferences at gaps of the front do not lower the hypervolume",
        statement=GUIDE,
        measured="hypervolume with the guide - without",
        arm=MO_MIX,
        baseline=UNIFORM,
        value=statistics.compare(own, shares(grid[UNIFORM])),
        at_least=NO_LESS,
        **SHARE,
    )

    made.add(
        "Training on preferences in steps of 0.5 attains less hypervolume than on any preferences",
        statement="Preference interval (ablation of Hu et al. 2023, named in a third party's "
        "summary).",
        measured="hypervolume with uniform preferences - with the preferences 0, 0.5, 1",
        arm=UNIFORM,
        baseline=COARSE,
        value=statistics.compare(shares(grid[UNIFORM]), shares(grid[COARSE])),
        at_least=NO_LESS,
        judge="interval",
        **SHARE,
    )


def add_mixers(made: ClaimList, grid: Results) -> None:
    """Monotonic mixers: what they add, and how often agents miss the best joint action."""
    steps = "share of the steps of greedy episodes under 11 preferences"
    made.add(
        f"In at most {MISSED} of the steps the agents' own best actions miss the best joint action",
        statement="Own check: monotonic tracks do not imply individual-global maximization for a "
        "weighted sum of several objectives.",
        measured="violations / steps, all joint actions compared",
        metric=steps,
        unit="fraction",
        arm=MO_MIX,
        value=statistics.summarize(grid[MO_MIX]["igm"]),
        at_most=MISSED,
        judge="interval",
    )
    made.add(
        f"These misses lose at most {LOST} of the range of joint values",
        statement="Own check: what the violations cost.",
        measured="mean over steps of (best joint value - chosen) / (best - worst)",
        metric="loss of weighted joint value",
        unit="fraction",
        arm=MO_MIX,
        value=statistics.summarize(grid[MO_MIX]["regret"]),
        at_most=LOST,
        judge="interval",
    )
    made.add(
        "Parallel monotonic mixers attain at least the hypervolume of sums",
        statement="The parallel mixing network estimates the joint action-value function (Hu et "
        "al. 2023, abstract); ablation.",
        measured="hypervolume of MO-MIX - with additive mixers",
        arm=MO_MIX,
        baseline=ADDITIVE,
        value=statistics.compare(shares(grid[MO_MIX]), shares(grid[ADDITIVE])),
        at_least=NO_LESS,
        **SHARE,
    )


def add_concave(made: ClaimList, front: np.ndarray) -> None:
    """The control: linear preferences cannot reach concave parts."""
    truth = true_front(2, "concave")
    out_of_reach = truth[~is_among(truth, best_for(truth, FINE_PREFERENCES))]
    reached = [is_among(out_of_reach, points).mean() for points in front]
    made.add(
        f"On values along a concave curve, MO-MIX misses {FRONT_SHARE} of the true hypervolume",
        statement="Control: linear preferences cannot reach concave parts of a front.",
        measured="hypervolume of MO-MIX / of the true front, concave game",
        arm=CONCAVE,
        value=statistics.summarize(shares({"front": front}, "concave")),
        at_most=FRONT_SHARE,  # by the value: stricter than missing the first claim's interval
        control=True,
        note="the best teams for all preferences have 0.824",
        **SHARE,
    )
    made.add(
        "On values along a concave curve, MO-MIX reaches at most a quarter of the points of the "
        "front that are best for no preference",
        statement="Control: linear preferences cannot reach concave parts of a front.",
        measured=f"points reached under 101 preferences / {len(out_of_reach)}",
        metric="share of the true front's points that are best for no preference",
        unit="fraction",
        arm=CONCAVE,
        value=statistics.summarize(reached),
        at_most=CONCAVE_REACHED,
        control=True,
    )


def add_treasure(made: ClaimList, found: dict[str, np.ndarray]) -> None:
    """Deep-sea treasure, of whose front linear preferences reach the two ends only."""
    truth = deep_sea_treasure.true_front()
    ends, inner = truth[[0, -1]], truth[1:-1]
    whole, linear = hypervolume(truth, SEA_REFERENCE), hypervolume(ends, SEA_REFERENCE)
    of_eleven = at_preferences({"front": found[CONDITIONED]})
    volumes = np.array([hypervolume(points, SEA_REFERENCE) for points in of_eleven])
    about: dict[str, Any] = {
        "metric": "hypervolume of the returns under 11 preferences above a value of -0.1 and 25 "
        "steps",
        "unit": "ratio",
        "arm": CONDITIONED,
    }
    concave = "Control: linear preferences cannot reach concave parts of a front."
    made.add(
        f"On deep-sea treasure, a conditioned agent misses {FRONT_SHARE} of the true hypervolume",
        statement=concave,
        measured="hypervolume of the conditioned agent / of the true front",
        value=statistics.summarize(volumes / whole),
        at_most=FRONT_SHARE,
        control=True,
        note=f"the front's two ends, all that linear preferences reach, have {linear / whole:.3f}",
        **about,
    )
    made.add(
        "On deep-sea treasure, it reaches at most a quarter of the eight points between the ends",
        statement=concave,
        measured="points reached under 101 preferences / 8",
        metric="share of the true front's points that are best for no preference",
        unit="fraction",
        arm=CONDITIONED,
        value=statistics.summarize(
            [is_among(inner, points).mean() for points in found[CONDITIONED]]
        ),
        at_most=CONCAVE_REACHED,
        control=True,
    )
    made.add(
        f"On deep-sea treasure, it attains at least {FRONT_SHARE} of the hypervolume of the two "
        "ends",
        statement="Own check: the agent learns what linear preferences can reach.",
        measured="hypervolume of the conditioned agent / of the two ends",
        value=statistics.summarize(volumes / linear),
        at_least=FRONT_SHARE,
        **about,
    )
    if OUTER in found:
        outer = np.array([hypervolume(points, SEA_REFERENCE) for points in found[OUTER]])
        made.add(
            "On deep-sea treasure, it attains at least the hypervolume of an outer loop over 11 "
            "preferences with the same total of episodes and updates",
            statement="Own check: one agent for all preferences against one for each.",
            measured="(hypervolume of the agent - of the outer loop) / of the true front",
            baseline=OUTER,
            value=statistics.compare(volumes / whole, outer / whole),
            at_least=NO_LESS,
            judge="interval",
            **about,
        )


def add_team(made: ClaimList, team: dict[str, dict[str, np.ndarray]]) -> None:
    """Networked agents with preferences of their own."""
    about: dict[str, Any] = {
        "metric": "return weighted by the mean preference, as a share of the best attainable",
        "unit": "fraction",
    }
    ours = "Own check (an addition of this project): "
    for arm in (EXCHANGING, ISOLATED):
        found = team[arm]
        made.add(
            f"Four networked agents ({arm} in training) that average their preferences over a ring "
            f"earn at least {CONSENSUS_GAIN} of the best weighted return more than with their own",
            statement=f"{ours}a consensus of preferences makes a team act for one trade-off.",
            measured="consensus after four rounds - own preferences",
            arm=f"{CONSENSUS}, {arm}",
            baseline=f"{OWN}, {arm}",
            value=statistics.compare(found[CONSENSUS], found[OWN]),
            at_least=CONSENSUS_GAIN,
            judge="interval",
            **about,
        )
        made.add(
            f"The consensus of {arm} loses at most {CONSENSUS_LOSS} of it against the exact mean "
            "preference",
            statement=f"{ours}four rounds of gossip suffice.",
            measured="exact mean preference - consensus after four rounds",
            arm=f"{TEAM}, {arm}",
            baseline=f"{CONSENSUS}, {arm}",
            value=statistics.compare(found[TEAM], found[CONSENSUS]),
            at_most=CONSENSUS_LOSS,
            judge="interval",
            **about,
        )
    made.add(
        "Agents that exchange their networks with neighbors earn at least as much as isolated ones",
        statement=f"{ours}averaging networks over a ring helps independent learners.",
        measured="consensus, exchanging agents - consensus, isolated agents",
        arm=EXCHANGING,
        baseline=ISOLATED,
        value=statistics.compare(team[EXCHANGING][CONSENSUS], team[ISOLATED][CONSENSUS]),
        at_least=NO_LESS,
        **about,
    )
