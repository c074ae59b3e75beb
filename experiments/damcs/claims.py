"""Claims of the DAMCS experiment and their thresholds, fixed before the recorded run.

The thresholds on ratios of steps, bytes and history were proposed before any run here. Shapes:
``W`` worlds.
"""

from typing import Any

import numpy as np

from experiments.damcs import NAME
from experiments.damcs.config import (
    HISTORY,
    IPPO,
    MAPPO,
    NO_GRAPH,
    NO_MEMORY,
    ORACLE,
    PAIR,
    SHUFFLED,
    SILENT,
    SINGLE,
    SINGLE_ORACLE,
    SIX,
    UNTRAINED,
    Config,
)
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

REACHED = 0.75  # least share of worlds in which the oracle gets a diamond
TO_SINGLE = 0.7  # most steps of six agents, as a share of one agent's
TO_SILENT = 0.9  # most steps of six agents with messages, as a share of those without
HISTORY_GAIN = 0.05  # most that the full history saves, as a share of the steps without it
BYTES = 5.0  # least bytes of the full history, over those of structured messages
SHUFFLED_SHARE = 0.95  # least steps with shuffled messages, as a share of those without messages
LEARNED = 0.1  # largest share of episodes in which learnt policies get a diamond

ABSTRACT = {PAIR: 0.37, SIX: 0.26}
"""Ratios of steps to one agent's in the paper's abstract, for the notes alone."""

FASTER = (
    "Two agents take 63 % fewer steps than one and six take 74 % fewer (Yang et al. 2025, abstract)"
)
EFFICIENT = (
    "Structured communication shares what is essential and is as good as sharing all (Yang et al. "
    "2025, structured communication system)"
)
MEMORY = "The hierarchical memory improves planning (Yang et al. 2025, ablation of A-KGMS)"
MARL = "Multi-agent reinforcement learning fails within the budget (Yang et al. 2025, baselines)"
STEPS = "steps to the first diamond, the time limit where there is none"


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare medians of steps, bytes and learnt policies with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.damcs.arms.run`.
    """
    made, arms = ClaimList(NAME), results["arms"]
    steps = {name: np.asarray(found["steps"], float) for name, found in arms.items()}
    _oracle_claims(made, arms, steps)
    _number_claims(made, steps)
    _message_claims(made, arms, steps)
    _memory_claims(made, steps)
    if "learned" in results:
        _learned_claims(made, results["learned"])
    return made


def ratio(arm: np.ndarray, baseline: np.ndarray) -> float:
    """Median over median."""
    return float(np.median(arm) / np.median(baseline))


def _less(
    made: ClaimList,
    sentence: str,
    statement: str,
    arm: tuple[str, np.ndarray],
    baseline: tuple[str, np.ndarray],
    share: float = 1.0,
    note: str = "",
    **more: Any,
) -> None:
    """Median steps of an arm are at most a share of a baseline's, judged on the interval."""
    text = f" × {share:g}" if share != 1.0 else ""
    made.add(
        sentence,
        statement=statement,
        measured=f"median steps: {arm[0]} - {baseline[0]}{text}",
        metric=STEPS,
        unit="steps",
        arm=arm[0],
        baseline=baseline[0] + text,
        value=statistics.compare(arm[1], share * baseline[1], paired=False, statistic="median"),
        at_most=0.0,
        judge="interval",
        note=f"ratio of medians {ratio(arm[1], baseline[1]):.2f}{note}",
        **more,
    )


def _oracle_claims(made: ClaimList, arms: Results, steps: dict[str, np.ndarray]) -> None:
    made.add(
        "With the map known, six agents get a diamond in most worlds",
        statement="Own check: the worlds can reward the method.",
        measured="share of worlds with a diamond within the time limit",
        metric="worlds with a diamond",
        unit="fraction",
        arm=ORACLE,
        value=statistics.summarize(np.asarray(arms[ORACLE]["diamond"], float)),
        at_least=REACHED,
    )
    _less(
        made,
        "With the map known, six agents take at most 0.7 of the steps of one",
        FASTER,
        (ORACLE, steps[ORACLE]),
        (SINGLE_ORACLE, steps[SINGLE_ORACLE]),
        TO_SINGLE,
        f"; the abstract's is {ABSTRACT[SIX]:.2f}, its published logs' .61, both of a language "
        "model in one fixed world with the map known",
    )


def _number_claims(made: ClaimList, steps: dict[str, np.ndarray]) -> None:
    one, two, six = ((name, steps[name]) for name in (SINGLE, PAIR, SIX))
    _less(
        made,
        "Two agents take fewer steps than one",
        FASTER,
        two,
        one,
        note=f"; the abstract's is {ABSTRACT[PAIR]:.2f}",
    )
    _less(made, "Six agents take fewer steps than two", FASTER, six, two)
    _less(
        made,
        "Six agents take at most 0.7 of the steps of one",
        FASTER,
        six,
        one,
        TO_SINGLE,
        f"; the abstract's is {ABSTRACT[SIX]:.2f}",
    )


def _message_claims(made: ClaimList, arms: Results, steps: dict[str, np.ndarray]) -> None:
    six, silent = (SIX, steps[SIX]), (SILENT, steps[SILENT])
    _less(
        made,
        "Six agents with structured messages take at most 0.9 of the steps of six without",
        EFFICIENT,
        six,
        silent,
        TO_SILENT,
    )
    gain = statistics.compare(
        steps[SIX], steps[HISTORY], paired=False, statistic="median", relative=True
    )
    made.add(
        "Sending the full history saves at most 5 % of the steps",
        statement=EFFICIENT,
        measured="(median steps with structured messages - with full history) / with full history",
        metric=STEPS,
        unit="ratio",
        arm=SIX,
        baseline=HISTORY,
        value=gain,
        at_most=HISTORY_GAIN,
        judge="interval",
        note="the positions in a history show what its sender has seen, and receivers look for "
        "unknown cells elsewhere; structured messages carry no positions",
    )
    per_decision = {
        name: np.asarray(arms[name]["bytes"]) / np.maximum(arms[name]["decisions"], 1)
        for name in (SIX, HISTORY)
    }
    made.add(
        "The full history takes at least five times the bytes of structured messages",
        statement=EFFICIENT,
        measured="bytes a decision with full history / mean with structured messages",
        metric="bytes sent by all agents",
        unit="ratio",
        arm=HISTORY,
        baseline=SIX,
        value=statistics.summarize(per_decision[HISTORY] / np.mean(per_decision[SIX])),
        at_least=BYTES,
        judge="interval",
    )
    made.add(
        "Messages whose contents are shuffled among senders save nothing over silence",
        statement="Control: what messages say matters, not that there are any.",
        measured=f"median steps: shuffled - {SHUFFLED_SHARE:g} × silent",
        metric=STEPS,
        unit="steps",
        arm=SHUFFLED,
        baseline=f"{SHUFFLED_SHARE:g} × {SILENT}",
        value=statistics.compare(
            steps[SHUFFLED], SHUFFLED_SHARE * steps[SILENT], paired=False, statistic="median"
        ),
        at_least=0.0,
        control=True,
        note=f"ratio of medians {ratio(steps[SHUFFLED], steps[SILENT]):.2f}",
    )


def _memory_claims(made: ClaimList, steps: dict[str, np.ndarray]) -> None:
    six = (SIX, steps[SIX])
    _less(
        made,
        "Six agents with memory take fewer steps than six that only know their present view",
        MEMORY,
        six,
        (NO_MEMORY, steps[NO_MEMORY]),
    )
    _less(
        made,
        "Six agents that look up blocked ways in the memory graph take fewer steps than six that "
        "have the explored map alone",
        MEMORY,
        six,
        (NO_GRAPH, steps[NO_GRAPH]),
    )


def _learned_claims(made: ClaimList, learned: Results) -> None:
    untrained = np.asarray(learned[UNTRAINED]["achieved"], float)
    for name in (IPPO, MAPPO):
        achieved = np.asarray(learned[name]["achieved"], float)
        made.add(
            f"{name} makes more achievements than untrained networks",
            statement="Own check: the learners learn within the budget.",
            measured=f"achievements of six agents in an episode: {name} - untrained",
            metric="achievements",
            unit="of 20",
            arm=name,
            baseline=UNTRAINED,
            value=statistics.compare(achieved, untrained, paired=True),
            at_least=0.0,
            judge="interval",
        )
        made.add(
            f"{name} gets a diamond in hardly any world within the budget",
            statement=MARL,
            measured="share of evaluated episodes with a diamond",
            metric="worlds with a diamond",
            unit="fraction",
            arm=name,
            value=statistics.summarize(np.asarray(learned[name]["diamond"], float)),
            at_most=LEARNED,
            note=f"{achieved.mean():.1f} of 20 achievements; untrained networks make "
            f"{untrained.mean():.1f}",
        )
