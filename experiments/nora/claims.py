"""Claims of the NORA experiment and their thresholds, fixed after one pilot on other seeds.

That a log-determinant rule cannot switch more often than ``nora.switch_bound`` is a theorem and a
test, no claim; nor is there a claim that NORA has less regret than DOUHUA, which it has not here.

Shapes: ``S`` seeds.
"""

from typing import Any

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.nora import NAME
from experiments.nora.classes import RADII
from experiments.nora.config import GREEDY, TARGETS, WITHOUT_OPTIMISM, Config
from experiments.nora.play import growth_ratio, late_regret
from jaxswarm import statistics

SQRT = 2.2  # largest R(T) / R(T/4) of a learner whose regret is of the order of √T
LINEAR = 3.5  # least R(T) / R(T/4) of a learner whose regret grows linearly
LATE = 0.05  # largest regret of the last quarter as a share of that without optimism
SWITCHES = 0.25  # largest number of switches as a share of S · A · H · log2 T
SWITCH_GROWTH = 1.5  # largest ratio of the numbers of switches at T and T/4
NO_MORE = 0.0  # largest difference of regrets
EQUAL = 1.0  # ratio of regrets
ENOUGH = 300  # episodes of offline data that suffice without optimism
FEW, MANY = 10, 300  # episodes of offline data with which hybrid and offline learning are compared
ALL_SEEDS = 1.0  # share of seeds
MOST_SEEDS = 0.5  # least share of seeds in which too small a radius loses the optimal values
SHARED = 0.6  # largest regret of an agent on the ring as a share of an isolated agent's
SLOPE = 2.3  # largest exponent of 1/ε in the number of episodes
ROUNDING = 1e-4  # rounding errors of values in single precision

RATIO = "exact cumulative regret: R(T) / R(T/4) is 2 for growth as √T and 4 for linear growth"
TOTAL = "exact cumulative regret"
RATE_STATEMENT = (
    "The algorithm has √T regret and needs of the order of 1/ε² trajectories where strategic "
    "exploration is necessary (Tan et al. 2025, abstract)."
)
RARE_STATEMENT = (
    "Rare switching: the critic changes of the order of d H log T times (Tan et al. 2025; the "
    "order is from descriptions of the paper)."
)
HYBRID_STATEMENT = (
    "Offline data that initialize the critic yield gains over purely offline or online learning "
    "(Tan et al. 2025, abstract)."
)
OFFLINE_STATEMENT = (
    "With enough offline data of bounded single-policy concentrability, optimism is not needed "
    "(Tan et al. 2025, abstract)."
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Rates and switches on the lock, offline data, version spaces, swarms, resets, other worlds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.nora.arms.run`.
    """
    made = ClaimList(NAME)
    add_lock(made, config, results["lock"])
    if "offline" in results:
        add_offline(made, config, results["offline"]["arms"])
    if "class" in results:
        add_class(made, config, results["class"])
    if "swarm" in results:
        add_swarm(made, results["swarm"])
    if "decoy" in results:
        add_resets(made, results["lock"], results["decoy"])
    if "chains" in results:
        add_chains(made, config, results["chains"])
    if "rate" in results:
        add_rate(made, results["rate"])
    return made


def add_growth(
    made: ClaimList, world: str, arm: str, ratio: np.ndarray, *, linear: bool, **about: Any
) -> None:
    """One claim on how regret grows between a quarter of the episodes and all of them."""
    bound = {"at_least": LINEAR} if linear else {"at_most": SQRT}
    how = "linearly" if linear else "no faster than √T"
    made.add(
        f"On {world}, the regret of {arm} grows {how} over the last three quarters",
        measured="R(T) / R(T/4)",
        metric=RATIO,
        unit="ratio",
        arm=arm,
        value=statistics.summarize(ratio),
        judge="interval",
        control=linear,
        **bound,
        **about,
    )


def add_lock(made: ClaimList, config: Config, lock: Results) -> None:
    """Growth of regret, late regret and switches on the lock."""
    T = config.episodes
    ratios = {name: growth_ratio(found, T) for name, found in lock.items()}
    add_growth(made, "the lock", "NORA", ratios["NORA"], linear=False, statement=RATE_STATEMENT)
    add_growth(
        made,
        "the lock",
        "NORA with the loss rule",
        ratios["loss rule"],
        linear=False,
        statement=RATE_STATEMENT,
    )
    for arm, names, why in (
        ("NORA without optimism (best of three rates)", WITHOUT_OPTIMISM, "optimism is needed"),
        ("epsilon-greedy (best of three rates)", GREEDY, "random actions do not open the lock"),
        ("a uniform policy", ("uniform",), "random actions do not open the lock"),
        ("NORA with a reset in every episode", ("reset in every episode",), "resets must be rare"),
    ):
        best = np.min([ratios[name] for name in names], axis=0)
        add_growth(made, "the lock", arm, best, linear=True, statement=f"Control: {why}.")
    late = {name: late_regret(lock[name], T) for name in ("NORA", "no optimism")}
    made.add(
        "On the lock, NORA's regret in the last quarter is at most 5 % of that without optimism",
        statement=RATE_STATEMENT,
        measured="mean regret of an episode with optimism / without",
        metric="exact regret of an episode of the last quarter",
        unit="ratio",
        arm="NORA",
        baseline="no optimism",
        value=statistics.summarize(late["NORA"] / late["no optimism"]),
        at_most=LATE,
        judge="interval",
    )
    pairs = 2 * config.actions * config.horizon * np.log2(T)
    for name, arm in (("NORA", "NORA"), ("loss rule", "NORA with the loss rule")):
        switches = lock[name]["switches"]
        made.add(
            f"On the lock, {arm} switches at most {SWITCHES} · S A H log2 T times",
            statement=RARE_STATEMENT,
            measured=f"switches / (S A H log2 T); a critic of every episode: {T / pairs:.3g}",
            metric="number of switches",
            unit="ratio",
            arm=arm,
            value=statistics.summarize(switches[:, -1] / pairs),
            at_most=SWITCHES,
            judge="interval",
        )
    made.add(
        "On the lock, NORA's number of switches grows by at most half over the last three quarters",
        statement=RARE_STATEMENT,
        measured="switches after T episodes / after T/4",
        metric="number of switches (log T: 1.18, T: 4 at 8,000 episodes)",
        unit="ratio",
        arm="NORA",
        value=statistics.summarize(growth_ratio(lock["NORA"], T, "switches")),
        at_most=SWITCH_GROWTH,
        judge="interval",
    )


def add_offline(made: ClaimList, config: Config, found: Results) -> None:
    """Offline data in place of optimism, and beside it."""
    T, sizes = config.hybrid_episodes, config.offline
    world = "the lock with offline data"
    add_growth(
        made,
        world,
        "NORA without optimism and without data",
        growth_ratio(found["no optimism 0"], T),
        linear=True,
        statement="Control: without optimism, data are needed.",
    )
    enough = [n for n in sizes if n >= ENOUGH] or [sizes[-1]]
    worst = np.max([growth_ratio(found[f"no optimism {n}"], T) for n in enough], axis=0)
    add_growth(
        made,
        world,
        f"NORA without optimism and {ENOUGH} episodes of data or more (worst size)",
        worst,
        linear=False,
        statement=OFFLINE_STATEMENT,
    )
    many = MANY if MANY in sizes else sizes[-1]
    few = FEW if FEW in sizes else sizes[-1]
    last = {name: of_arm["total"][:, -1] for name, of_arm in found.items()}
    for n, other, baseline in (
        (many, "NORA 0", "NORA without data"),
        (few, f"offline only {few}", "offline data only"),
        (many, f"offline only {many}", "offline data only"),
    ):
        made.add(
            f"With {n} episodes of data, NORA has less regret than {baseline}",
            statement=HYBRID_STATEMENT,
            measured=f"total regret of NORA with {n} episodes of data - of {baseline}",
            metric=TOTAL,
            unit="return",
            arm=f"NORA, {n} episodes of data",
            baseline=baseline,
            value=statistics.compare(last[f"NORA {n}"], last[other]),
            at_most=NO_MORE,
            judge="interval",
        )


def add_class(made: ClaimList, config: Config, found: Results) -> None:
    """The exact version space of a finite class."""
    right, tight = (found[name] for name in RADII)
    size = int(found["size"])
    stays = np.mean(right["excess"].max(axis=1) <= 1.0)
    optimistic = np.mean(right["optimism"] >= -ROUNDING)
    lost = np.mean(tight["excess"].max(axis=1) > 1.0)
    arm = f"NORA with the version space of {size} tables"
    about: dict[str, Any] = {"unit": "fraction of seeds", "seeds": config.seeds}
    made.add(
        "The optimal values never leave the version space",
        statement="The version space contains the optimal values in all episodes with high "
        "probability (the premise of optimism; Tan et al. 2025, by descriptions).",
        measured="share of seeds in which the excess loss stays within the radius in all episodes",
        metric="excess loss of the optimal values",
        arm=arm,
        value=float(stays),
        at_least=ALL_SEEDS,
        **about,
    )
    made.add(
        "The chosen member's value is at least the optimal value in every episode",
        statement="Optimism: the chosen member has the largest value of the version space, which "
        "contains the optimal values (Tan et al. 2025, by descriptions).",
        measured="share of seeds in which f_1 ≥ V* in all episodes",
        metric="value of the start",
        arm=arm,
        value=float(optimistic),
        at_least=ALL_SEEDS,
        **about,
    )
    made.add(
        "A radius of a thousandth loses the optimal values in at least half of the seeds",
        statement="Control: the radius matters.",
        measured="share of seeds in which the excess loss exceeds the radius",
        metric="excess loss of the optimal values",
        arm="radius × 0.001",
        value=float(lost),
        at_least=MOST_SEEDS,
        control=True,
        **about,
    )
    ratio = growth_ratio(right, config.class_episodes)
    add_growth(
        made, "the lock of the finite class", arm, ratio, linear=False, statement=RATE_STATEMENT
    )


def add_swarm(made: ClaimList, swarm: Results) -> None:
    """Agents that share statistics on a ring against isolated ones."""
    for learner, why, control in (
        (
            "rare LSVI-UCB",
            "Control: a learner that acts greedily on the shared critic, without an actor, gains "
            "from other agents' data.",
            True,
        ),
        ("NORA", "Own addition: agents that share additive statistics share exploration.", False),
        (
            "NORA, rate × 10",
            "Own addition: with a fast actor, whose resets cost less.",
            False,
        ),
    ):
        ring, isolated = (swarm[learner][g]["total"][:, -1] for g in ("ring", "isolated"))
        made.add(
            f"Agents on a ring that share statistics have at most {SHARED} of the regret of "
            f"isolated agents ({learner})",
            statement=why,
            measured="regret of an agent on the ring / of an isolated agent",
            metric=TOTAL,
            unit="ratio",
            arm=f"{learner}, ring",
            baseline=f"{learner}, isolated",
            value=statistics.summarize(ring / isolated),
            at_most=SHARED,
            judge="interval",
            control=control,
        )


def add_resets(made: ClaimList, lock: Results, decoy: Results) -> None:
    """What resets cost, and what they gain."""

    def ratio(found: Results, suffix: str = "") -> Any:
        mine, other = (found[f"{name}{suffix}"]["total"][:, -1] for name in ("NORA", "no reset"))
        return statistics.summarize(mine / other)

    about: dict[str, Any] = {
        "measured": "total regret of NORA / of its variant without reset",
        "metric": TOTAL,
        "unit": "ratio",
        "baseline": "no reset",
    }
    made.add(
        "On the lock, resets cost regret: NORA has no less than its variant without reset",
        statement="Own check: the paper's resets serve a worst-case rate, not a benign process.",
        arm="NORA",
        value=ratio(lock),
        at_least=EQUAL,
        judge="interval",
        control=True,
        **about,
    )
    for suffix in ("", ", rate × 10"):
        made.add(
            f"On the decoy, resets save regret (NORA{suffix})",
            statement="Own check: a policy that is never reset has to unlearn what it learned from "
            "outdated values; the decoy was made to show it.",
            arm=f"NORA{suffix}",
            value=ratio(decoy, suffix),
            at_most=EQUAL,
            judge="interval",
            **about,
        )


def add_chains(made: ClaimList, config: Config, chains: Results) -> None:
    """DeepSea and RiverSwim."""
    T = config.chain_episodes
    sea, river = chains["DeepSea"], chains["RiverSwim"]
    add_growth(
        made,
        "DeepSea",
        "NORA",
        growth_ratio(sea["NORA"], T),
        linear=False,
        statement=RATE_STATEMENT,
    )
    add_growth(
        made,
        "DeepSea",
        "NORA without optimism",
        growth_ratio(sea["no optimism"], T),
        linear=True,
        statement="Control: optimism is needed.",
    )
    made.add(
        "On RiverSwim, NORA has less regret than without optimism",
        statement=RATE_STATEMENT,
        measured="total regret with optimism - without",
        metric=TOTAL,
        unit="return",
        arm="NORA",
        baseline="no optimism",
        value=statistics.compare(
            river["NORA"]["total"][:, -1], river["no optimism"]["total"][:, -1]
        ),
        at_most=NO_MORE,
        judge="interval",
    )


def add_rate(made: ClaimList, rate: Results) -> None:
    """Episodes until the mean regret is small, against its size."""
    made.add(
        "On random linear processes, the number of episodes to an ε-optimal mean policy grows no "
        "faster than ε^-2.3",
        statement="Of the order of 1/ε² trajectories suffice (Tan et al. 2025, abstract).",
        measured=f"slope of log episodes over log 1/ε, ε of {TARGETS} times a uniform policy's "
        "regret",
        metric="episodes until the mean regret so far is at most ε",
        unit="exponent",
        arm="NORA",
        value=slope_summary(rate["times"]),
        at_most=SLOPE,
        judge="interval",
    )


def slope_summary(times: np.ndarray) -> statistics.Summary:
    """Slopes of the seeds; NaN if some target was not reached, so that the claim does not hold."""
    if not np.isfinite(times).all():
        return statistics.Summary(np.nan, (np.nan, np.nan), len(times))
    x = -np.log(TARGETS)
    return statistics.summarize([statistics.linear_fit(x, np.log(row)).slope for row in times])
