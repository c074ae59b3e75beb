"""Claims of the DRED experiment and their thresholds, fixed before the recorded run.

Shapes: ``S`` seeds, ``C`` evaluations during training.
"""

from typing import Any

import numpy as np

from experiments.dred import NAME
from experiments.dred.config import Config
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

OF_ACCEL = 0.5  # largest distance of the VAE's levels, relative to that of 20 generations of edits
OF_DR = 0.75  # the same relative to random levels, for the most likely tiles
OF_DR_SAMPLED = 0.5  # the same for sampled tiles
UNSOLVABLE = 0.5  # largest unsolvable share of the VAE's levels
GAP_SEEDS = 2.0 / 3.0  # least share of seeds in which PLR has the smaller gap than uniform replay
BUFFER = 0.5  # largest distance of DRED's final buffer, relative to ACCEL's and DR's levels
ROOM = 0.0  # least gain of the oracle with more levels over uniform replay
GAIN = 0.0  # least gain of VAE-DRED over a baseline
LEARNED = 0.5  # least share of the starting set that uniform replay solves after training

HEADLINE = (
    "DRED yields significant gains in zero-shot transfer over adaptive level sampling and "
    "unsupervised environment design (Garcin et al. 2024, abstract)"
)
SHIFT = (
    "Levels of DRED's generator stay near the distribution of the starting set, those of "
    "unsupervised environment design drift away (Garcin et al. 2024, abstract)"
)
SAMPLING = (
    "Sampling by value loss lowers the mutual information between level and representation, which "
    "bounds the generalization gap (Garcin et al. 2024, abstract)"
)
DISTANCE = "distance from held-out levels: normalized Wasserstein-1 of four features, unsolvable"
SOLVED = "share of levels solved in one episode with sampled actions"

BASELINES = ("uniform", "PLR", "DR", "robust PLR", "ACCEL", "ACCEL-D")
EVALUATES = ("robust PLR", "ACCEL", "ACCEL-D", "EL-DRED", "VAE-DRED")
"""Arms that evaluate new levels without gradients."""


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare distances of levels, solve rates and generalization gaps with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.dred.arms.run`.
    """
    made = ClaimList(NAME)
    _generators(made, results["generators"])
    training = results["training"]
    _set_up(made, training)
    _zero_shot(made, config, training)
    _buffers(made, training)
    _gap(made, training)
    return made


def solved(found: Results, which: str, at: int = -1) -> np.ndarray:
    """Solve rate of an arm on a set of levels, ``[S]``, after the last or another evaluation."""
    return np.asarray(found["large"] if which == "large" else found["solved"][which][:, at])


def gap(found: Results) -> np.ndarray:
    """Generalization gap of an arm: return on the starting set minus that held out, ``[S]``."""
    returns = found["return"]
    return np.asarray(returns["starting"][:, -1] - returns["held_out"][:, -1])


def ratio(arm: Results, baseline: Results) -> statistics.Summary:
    """Mean over seeds of the ratio of two distances."""
    return statistics.summarize(arm["shift"] / np.maximum(baseline["shift"], 1e-6))


def _generators(made: ClaimList, found: Results) -> None:
    about: dict[str, Any] = {"metric": DISTANCE, "unit": "ratio", "judge": "interval"}
    for arm, of_dr in (("VAE", OF_DR), ("VAE, sampled tiles", OF_DR_SAMPLED)):
        for other, label, bound in (
            ("ACCEL-D", "20 generations of five edits", OF_ACCEL),
            ("DR", "random levels", of_dr),
        ):
            made.add(
                f"Levels of the {arm} are nearer to held-out levels than {label}, by a factor of "
                f"{bound:g}",
                statement=SHIFT,
                measured=f"mean over seeds of distance of {arm} / distance of {other}",
                arm=arm,
                baseline=other,
                value=ratio(found[arm], found[other]),
                at_most=bound,
                **about,
            )
    made.add(
        "Mixing cells of two levels without a model shifts more than the VAE with sampled tiles",
        statement="Control: interpolation without a generative model.",
        measured="distance of mixed cells - distance of the VAE, sampled tiles",
        metric=DISTANCE,
        unit="standard deviations",
        arm="mixed cells",
        baseline="VAE, sampled tiles",
        value=statistics.compare(
            found["mixed cells"]["shift"], found["VAE, sampled tiles"]["shift"]
        ),
        at_least=0.0,
        judge="interval",
        control=True,
        note="one generation of five edits is about as near as the VAE; nothing is claimed of that",
    )
    made.add(
        "Mixing cells of two levels without a model makes more unsolvable levels than the VAE",
        statement="Control: interpolation without a generative model.",
        measured="unsolvable share of mixed cells - that of the VAE",
        metric="unsolvable share",
        unit="fraction",
        arm="mixed cells",
        baseline="VAE",
        value=statistics.compare(found["mixed cells"]["unsolvable"], found["VAE"]["unsolvable"]),
        at_least=0.0,
        judge="interval",
        control=True,
        note="added after the pilot, which showed that shares of tiles cannot tell mixed cells",
    )
    made.add(
        "The starting set itself is nearer to held-out levels than any generator's levels",
        statement="Own check: a floor of the distance from finite samples.",
        measured="smallest distance of a generator - distance of the starting set",
        metric=DISTANCE,
        unit="standard deviations",
        arm="nearest generator",
        baseline="starting set",
        value=statistics.compare(
            np.min([found[k]["shift"] for k in found if k != "starting set"], axis=0),
            found["starting set"]["shift"],
        ),
        at_least=0.0,
        judge="interval",
        control=True,
    )
    made.add(
        f"At most {100 * UNSOLVABLE:.0f} % of the VAE's levels are unsolvable",
        statement="Own check: unsolvable levels are why DRED ranks by grounded scores.",
        measured="unsolvable share of levels with the most likely tiles",
        metric="unsolvable share",
        unit="fraction",
        arm="VAE",
        value=statistics.summarize(found["VAE"]["unsolvable"]),
        at_most=UNSOLVABLE,
        control=True,
    )


def _set_up(made: ClaimList, training: Results) -> None:
    made.add(
        f"Uniform replay solves at least {100 * LEARNED:.0f} % of its starting set",
        statement="Own check: the agent learns.",
        measured="solve rate of uniform replay on the starting set after training",
        metric=SOLVED,
        unit="fraction",
        arm="uniform",
        value=statistics.summarize(solved(training["uniform"], "starting")),
        at_least=LEARNED,
        judge="interval",
        control=True,
    )
    made.add(
        "Training on many more levels of the families generalizes better than on the starting set",
        statement="Own check: an oracle shows that the right levels are rewarded.",
        measured="held-out solve rate with more levels - that of uniform replay",
        metric=SOLVED,
        unit="fraction",
        arm="more levels",
        baseline="uniform",
        value=statistics.compare(
            solved(training["more levels"], "held_out"), solved(training["uniform"], "held_out")
        ),
        at_least=ROOM,
        judge="interval",
        control=True,
    )


def _zero_shot(made: ClaimList, config: Config, training: Results) -> None:
    about: dict[str, Any] = {
        "statement": HEADLINE,
        "metric": SOLVED,
        "unit": "fraction",
        "arm": "VAE-DRED",
        "at_least": GAIN,
        "judge": "interval",
    }
    own = training["VAE-DRED"]
    for which, label in (
        ("held_out", "held-out levels of the families"),
        ("large", "larger levels of the families"),
        ("other", "levels of other families"),
    ):
        for baseline in BASELINES:
            if which != "held_out" and baseline not in ("uniform", "DR", "ACCEL"):
                continue
            made.add(
                f"VAE-DRED solves more {label} than {baseline}",
                measured=f"solve rate of VAE-DRED - solve rate of {baseline}",
                baseline=baseline,
                value=statistics.compare(solved(own, which), solved(training[baseline], which)),
                note="larger levels are zero-shot in size" if which == "large" else "",
                **about,
            )
    if config.checks > 1:
        at = equal_steps(config)
        for baseline in ("uniform", "DR"):
            made.add(
                f"VAE-DRED solves more held-out levels than {baseline} at equal environment steps",
                measured=f"solve rate of VAE-DRED after {at + 1} of {config.checks} phases of its "
                f"updates - solve rate of {baseline} after all",
                baseline=baseline,
                value=statistics.compare(
                    solved(own, "held_out", at), solved(training[baseline], "held_out")
                ),
                **about,
            )


def equal_steps(config: Config) -> int:
    """The last evaluation before VAE-DRED exceeds the steps of arms without new levels."""
    share = config.envs / (config.envs + config.new)
    return max(int(np.floor(share * config.checks + 1e-9)) - 1, 0)


def _buffers(made: ClaimList, training: Results) -> None:
    for baseline, bound in (("ACCEL", BUFFER), ("robust PLR", BUFFER)):
        made.add(
            f"After training, VAE-DRED replays levels nearer to held-out ones than {baseline}, by "
            f"a factor of {bound:g}",
            statement=SHIFT,
            measured=f"mean over seeds of distance of levels replayed by VAE-DRED / by {baseline}",
            metric=DISTANCE,
            unit="ratio",
            arm="VAE-DRED",
            baseline=baseline,
            value=ratio(training["VAE-DRED"], training[baseline]),
            at_most=bound,
            judge="interval",
        )


def _gap(made: ClaimList, training: Results) -> None:
    smaller = gap(training["PLR"]) < gap(training["uniform"])
    made.add(
        "Replay by value loss has a smaller generalization gap than uniform replay in two of three "
        "seeds",
        statement=SAMPLING,
        measured="share of seeds in which the gap of PLR is smaller than that of uniform replay",
        metric="mean return on the starting set - mean return on held-out levels",
        unit="share of seeds",
        arm="PLR",
        baseline="uniform",
        value=float(smaller.mean()),
        at_least=GAP_SEEDS,
        seeds=len(smaller),
        note="weak: returns of both arms on the starting set may differ",
    )
    _information(made, training)
    made.add(
        "VAE-DRED has a smaller generalization gap than uniform replay",
        statement=HEADLINE,
        measured="gap of uniform replay - gap of VAE-DRED",
        metric="mean return on the starting set - mean return on held-out levels",
        unit="return",
        arm="VAE-DRED",
        baseline="uniform",
        value=statistics.compare(gap(training["uniform"]), gap(training["VAE-DRED"])),
        at_least=0.0,
        judge="interval",
    )


def _information(made: ClaimList, training: Results) -> None:
    """Added when the probe was written, with bounds of zero, before it was run on these seeds."""
    about: dict[str, Any] = {
        "metric": "lower bound of the information that the critic's last hidden layer has about "
        "the level, by a linear classifier tested on other episodes",
        "unit": "nats",
        "baseline": "uniform",
        "at_least": 0.0,
        "judge": "interval",
    }
    uniform = training["uniform"]
    for arm in ("PLR", "VAE-DRED"):
        made.add(
            f"The representation of {arm} tells less about the level than uniform replay's",
            statement=SAMPLING,
            measured=f"information of uniform replay - information of {arm}",
            arm=arm,
            value=statistics.compare(uniform["information"], training[arm]["information"]),
            note=f"{100 * np.mean(uniform['recognized']):.0f} % of steps recognized with uniform "
            f"replay, {100 * np.mean(training[arm]['recognized']):.0f} % with {arm}; actor and "
            "critic are separate networks, the paper's lemma is of shared ones",
            **about,
        )
    made.add(
        "Training on many more levels leaves less information about the level than uniform replay",
        statement="Own check: the probe resolves what an agent that cannot memorize levels knows.",
        measured="information of uniform replay - information with more levels",
        arm="more levels",
        value=statistics.compare(uniform["information"], training["more levels"]["information"]),
        control=True,
        **about,
    )
