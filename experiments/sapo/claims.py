"""Claims of the SAPO experiment and their thresholds, fixed before the recorded run.

Shapes: ``S`` seeds, ``R`` rounds, ``N`` agents, ``F`` families.
"""

import numpy as np

from experiments.harness.claims import Claim, ClaimList, Judge
from experiments.harness.protocol import Results
from experiments.sapo import NAME
from experiments.sapo.config import Config, ratio_name
from experiments.sapo.models import SPECIALTIES
from jaxswarm import statistics

GAIN = 0.15  # least gain of 4/4 in cumulative reward, relative to 8/0
PAPER_GAIN = 0.94  # gain of 4/4 over 8/0 that the paper reports
BASE_RANGE = (0.02, 0.05)  # pass rates of the base models
HIGH_BASE_RANGE = (0.2, 0.35)  # pass rates of the base models of the negative control
NO_GAIN = 0.05  # largest gain of 4/4 over 8/0 from a high base
FILTER_GAIN = 0.15  # least gain of filtering alone, relative to 8/0
RIGHT_GAIN = 0.0  # least gain of 4/4 with right external responses only
ORACLE_GAIN = 0.15  # least gain of 4/4 with true solutions among the shared responses
UNSEEN_AT_START = 0.05  # largest share of unseen families that specialists solve at the start
SOLVED = 0.05  # pass rate above which an agent has learned a family
SHARING_TEACHES = 0.1  # least excess of the share of learned families that were never seen
ORACLE_TEACHES = 0.25  # the same for true solutions
WINDOW = 15  # rounds of the moving average from which the reward's variance is measured

SHARING = (
    "Balanced sharing (4 local, 4 external) raises the cumulative reward by up to 94 % over no "
    "sharing (Amico et al. 2025, abstract)"
)
ORDER = (
    "Of 8/0, 6/2, 4/4 and 2/6 the balanced mixture has the highest cumulative reward; too much "
    "external experience hurts (Amico et al. 2025, experiments)"
)
FORGETTING = (
    "With 2 local and 6 external groups the reward oscillates: agents learn and forget (Amico et "
    "al. 2025, experiments)"
)
PROPAGATION = (
    "Shared rollouts let insights propagate through the swarm (Amico et al. 2025, abstract); here: "
    "to agents that have never solved a family"
)
FILTER_NOTE = (
    "the filter drops groups without a gradient from the external ones only, so sharing also makes "
    "gradients denser; filtering one's own does so without any exchange, at twice the generation"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare cumulative rewards and pass rates with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.sapo.arms.run`.
    """
    made = ClaimList(NAME)
    _set_up(made, config, results)
    _ratios(made, config, results["low"])
    _controls(made, config, results)
    _specialists(made, config, results)
    if "junk" in results["low"]:
        _junk(made, config, results["low"])
    return made


def cumulative(found: Results) -> np.ndarray:
    """Cumulative reward of an arm, ``[S]``: sum over rounds of the mean reward of a response."""
    return found["reward"].sum(axis=1)


def gain(found: Results, arm: str, baseline: str) -> statistics.Summary:
    """Ratio of the cumulative rewards of two arms minus 1, mean over seeds.

    Seeds differ in their base models' pass rates by a factor of two to three, hence a ratio for
    each seed.
    """
    reference = np.maximum(cumulative(found[baseline]), 1e-6)  # 0 is possible at smoke scale
    return statistics.summarize(cumulative(found[arm]) / reference - 1.0)


def label(arm: str) -> str:
    """Name of an arm as the paper writes it, such as ``"4/4"``."""
    names = {"right_only": "right only", "oracle_right": "oracle, right only"}
    return names.get(arm, arm.replace("_", "/"))


def arms_of(config: Config) -> tuple[str, str]:
    """The arms without sharing and with as many own as external groups, as keys of results."""
    return ratio_name(config, 0), ratio_name(config, config.questions // 2)


def _set_up(made: ClaimList, config: Config, results: Results) -> None:
    kinds = (("low", BASE_RANGE, "the base models"), ("high", HIGH_BASE_RANGE, "the high bases"))
    for kind, (low, high), name in kinds:
        value = statistics.summarize(results["start"][kind].mean(axis=(1, 2)))
        for bound, limits in (("at least", (low, None)), ("at most", (None, high))):
            threshold = low if limits[0] is not None else high
            made.add(
                f"Before sharing, {name} solve {bound} {100 * threshold:.0f} % of held-out "
                "questions",
                statement="Own check: sharing is compared at a stated base pass rate",
                measured="pass rate at temperature 1 on held-out questions, before the first round",
                metric="pass rate",
                unit="fraction",
                arm=name,
                value=value,
                at_least=limits[0],
                at_most=limits[1],
                control=True,
            )

    unseen = learned(config, {"passed": results["start"]["specialists"]})
    made.add(
        f"Before sharing, specialists solve at most {100 * UNSEEN_AT_START:.0f} % of the families "
        "that the other half was fine-tuned on",
        statement="Own check: specialists start without the families that they could be taught",
        measured=(
            "share of pairs of an agent and such a family with a held-out pass rate above "
            f"{100 * SOLVED:.0f} %, before the first round"
        ),
        metric="share of unseen families solved",
        unit="fraction",
        arm="specialists",
        value=statistics.summarize(unseen),
        at_most=UNSEEN_AT_START,
        control=True,
    )


def _ratios(made: ClaimList, config: Config, low: Results) -> None:
    found = gain(low, *reversed(arms_of(config)))
    alone, even = map(label, arms_of(config))
    wanted: tuple[tuple[str, float, Judge], ...] = (
        (
            f"{even} has at least {100 * GAIN:.0f} % more cumulative reward than {alone}",
            GAIN,
            "effect",
        ),
        (f"{even} has more cumulative reward than {alone}", 0.0, "interval"),
        (
            f"{even} has at least {100 * PAPER_GAIN:.0f} % more cumulative reward than {alone}, as "
            "in the paper",
            PAPER_GAIN,
            "effect",
        ),
    )
    for sentence, threshold, judge in wanted:
        made.add(
            sentence,
            statement=SHARING,
            measured=f"mean over seeds of cumulative reward of {even} / that of {alone} - 1",
            metric="cumulative reward",
            unit="fraction of the baseline",
            arm=even,
            baseline=alone,
            value=found,
            at_least=threshold,
            judge=judge,
        )
    for external in config.external:
        other = ratio_name(config, external)
        arm = label(other)
        if arm != even:
            made.add(
                f"{even} has more cumulative reward than {arm}",
                statement=ORDER,
                measured=f"mean over seeds of cumulative reward of {even} / that of {arm} - 1",
                metric="cumulative reward",
                unit="fraction of the baseline",
                arm=even,
                baseline=arm,
                value=gain(low, arms_of(config)[1], other),
                at_least=0.0,
                judge="interval",
            )
    largest = ratio_name(config, max(config.external))
    most = label(largest)
    made.add(
        f"The reward oscillates more with {most} than with {even}",
        statement=FORGETTING,
        measured=(
            f"variance of the mean reward around its moving average over {WINDOW} rounds, relative "
            f"to that of sampling m (1 - m) / responses at the average m: {most} - {even}"
        ),
        metric="variance of the reward relative to sampling",
        unit="ratio",
        arm=most,
        baseline=even,
        value=statistics.compare(
            oscillation(config, low[largest]), oscillation(config, low[arms_of(config)[1]])
        ),
        at_least=0.0,
        judge="interval",
    )


def oscillation(config: Config, found: Results) -> np.ndarray:
    """Variance of the reward around its moving average relative to that of sampling, ``[S]``."""
    reward = found["reward"]
    window = min(WINDOW, reward.shape[1])
    kernel = np.ones(window) / window
    mean = np.stack([np.convolve(curve, kernel, "valid") for curve in reward])
    start = (window - 1) // 2
    rest = reward[:, start : start + mean.shape[1]] - mean
    size = config.agents * config.questions * config.samples
    expected = np.mean(mean * (1.0 - mean), axis=1) / size
    return np.mean(rest**2, axis=1) / np.maximum(expected, 1e-9)


def _controls(made: ClaimList, config: Config, results: Results) -> None:
    low, high = results["low"], results["high"]
    alone_key, even_key = arms_of(config)
    alone, even = label(alone_key), label(even_key)
    filtered = f"{alone}, twice the questions, filtered"
    made.add(
        f"Filtering one's own responses, without sharing, has more cumulative reward than {alone}",
        statement=(
            "Control: 8/0 with local oversampling and the same filter; the world rewards denser "
            "gradients"
        ),
        measured=f"mean over seeds of cumulative reward of filtered {alone} / that of {alone} - 1",
        metric="cumulative reward",
        unit="fraction of the baseline",
        arm=filtered,
        baseline=alone,
        value=gain(low, "filtered", alone_key),
        at_least=FILTER_GAIN,
        control=True,
        note=FILTER_NOTE,
    )
    made.add(
        f"{even} has more cumulative reward than filtering one's own responses at twice the "
        "generation",
        statement="Control: 8/0 with local oversampling and the same filter; no claim of the paper",
        measured=(f"mean over seeds of cumulative reward of {even} / that of filtered {alone} - 1"),
        metric="cumulative reward",
        unit="fraction of the baseline",
        arm=even,
        baseline=filtered,
        value=gain(low, even_key, "filtered"),
        at_least=0.0,
        judge="interval",
        note=FILTER_NOTE,
    )
    made.add(
        f"From a base pass rate near one quarter, {even} gains less than {100 * NO_GAIN:.0f} % "
        f"over {alone}",
        statement="Control: where own groups have gradients anyway, sharing should not help",
        measured=f"mean over seeds of cumulative reward of {even} / that of {alone} - 1, high base",
        metric="cumulative reward",
        unit="fraction of the baseline",
        arm=f"{even}, high base",
        baseline=f"{alone}, high base",
        value=gain(high, even_key, alone_key),
        at_most=NO_GAIN,
        judge="interval",
        control=True,
    )
    solved = f"{even} with true solutions among the shared responses, right ones only"
    made.add(
        f"From a low base, {solved}, has more cumulative reward than {alone}",
        statement="Own check: shared text can raise the reward in this world, an oracle",
        measured=f"mean over seeds of cumulative reward of the oracle / that of {alone} - 1",
        metric="cumulative reward",
        unit="fraction of the baseline",
        arm=f"{solved}, low base",
        baseline=f"{alone}, low base",
        value=gain(low, "oracle_right", alone_key),
        at_least=ORACLE_GAIN,
        judge="interval",
        control=True,
    )
    baselines = ((even_key, even), (alone_key, alone), ("filtered", f"filtered {alone}"))
    for kind, found, name in (("low", low, "a low"), ("high", high, "a high")):
        for baseline, described in baselines:
            if baseline not in found:
                continue
            made.add(
                f"From {name} base, {even} without the negative advantages of external responses "
                f"has more cumulative reward than {described}",
                statement=(
                    "Own addition: wrong responses of other agents, pushed down without clipping, "
                    "as the cause of what sharing costs"
                ),
                measured=(
                    f"mean over seeds of cumulative reward of {even}, right external responses "
                    f"only / that of {described} - 1, {kind} base"
                ),
                metric="cumulative reward",
                unit="fraction of the baseline",
                arm=f"{even}, right external responses only, {kind} base",
                baseline=f"{described}, {kind} base",
                value=gain(found, "right_only", baseline),
                at_least=RIGHT_GAIN,
                judge="interval",
            )


def learned(config: Config, found: Results) -> np.ndarray:
    """Share of pairs of an agent and a family it was not fine-tuned on that it solves, ``[S]``."""
    passed = found["passed"]
    unseen = np.ones(passed.shape[1:], bool)
    half = config.agents // 2
    for part, known in enumerate(SPECIALTIES):
        unseen[part * half : (part + 1) * half, list(known)] = False
    return (passed > SOLVED)[:, unseen].mean(axis=1)


def _specialists(made: ClaimList, config: Config, results: Results) -> None:
    found = results["specialists"]
    alone_key, even_key = arms_of(config)
    alone, even = label(alone_key), label(even_key)
    oracle = "Own check: shared text could teach them, an oracle"
    pairs = (
        ("oracle", alone_key, ORACLE_TEACHES, oracle),
        ("oracle_right", alone_key, ORACLE_TEACHES, oracle),
        (even_key, alone_key, SHARING_TEACHES, PROPAGATION),
        (even_key, "filtered", SHARING_TEACHES, PROPAGATION),
        ("right_only", alone_key, SHARING_TEACHES, PROPAGATION),
        ("right_only", "filtered", SHARING_TEACHES, PROPAGATION),
    )
    described = {
        "oracle": f"{even} with true solutions among the shared responses",
        "oracle_right": f"{even} with true solutions among the shared responses, right ones only",
        "right_only": f"{even} with right external responses only",
        even_key: even,
        alone_key: alone,
        "filtered": f"filtered {alone}",
    }
    for arm, baseline, threshold, statement in pairs:
        made.add(
            f"Specialists learn more families that they have never solved by {described[arm]} than "
            f"by {described[baseline]}",
            statement=statement,
            measured=(
                "share of pairs of an agent and a family it was not fine-tuned on with a held-out "
                f"pass rate above {100 * SOLVED:.0f} % at the end: {described[arm]} - "
                f"{described[baseline]}"
            ),
            metric="share of unseen families learned",
            unit="fraction",
            arm=described[arm],
            baseline=described[baseline],
            value=statistics.compare(learned(config, found[arm]), learned(config, found[baseline])),
            at_least=threshold,
            judge="interval",
            control=arm in ("oracle", "oracle_right"),
        )
    for arm in (even_key, "right_only"):
        made.add(
            f"Specialists have more cumulative reward by {described[arm]} than by {alone}",
            statement=SHARING + "; here among agents that know different families",
            measured=(
                f"mean over seeds of cumulative reward of {described[arm]} / that of {alone} - 1"
            ),
            metric="cumulative reward",
            unit="fraction of the baseline",
            arm=f"{described[arm]}, specialists",
            baseline=f"{alone}, specialists",
            value=gain(found, arm, alone_key),
            at_least=0.0,
            judge="interval",
        )


def _junk(made: ClaimList, config: Config, low: Results) -> None:
    alone_key, even_key = arms_of(config)
    alone, even = label(alone_key), label(even_key)
    made.add(
        f"With {config.junk} of {config.agents} agents that share rewarded junk, {even} has more "
        f"cumulative reward than {alone}",
        statement="Own addition: low-quality packets that pass filter and verifier",
        measured=f"mean over seeds of cumulative reward with junk / that of {alone} - 1",
        metric="cumulative reward",
        unit="fraction of the baseline",
        arm=f"{even} with junk",
        baseline=alone,
        value=gain(low, "junk", alone_key),
        at_least=0.0,
        judge="interval",
    )
