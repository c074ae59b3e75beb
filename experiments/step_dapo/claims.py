"""Claims of the step-DAPO experiment and their thresholds, fixed before the recorded run.

Shapes: ``S`` seeds.
"""

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.step_dapo import NAME
from experiments.step_dapo.config import METHODS, Config
from jaxswarm import statistics

WORLD_GAIN = 0.1  # least gain of the oracle critic over the reference policy
GAIN = 0.05  # least gain of step-DAPO over the reference policy in every seed
ABOVE = 0.0  # least gain of step-DAPO over a baseline
CRITIC = 0.6  # least rank correlation of critic and exact values
LOST = 0.05  # least gain of step-DAPO over the shuffled critic
ABOVE_RESPONSE = 0.0  # least gain of the oracle critic over response-level regression
UNINFORMED = 0.02  # largest gain over the reference policy without any information
SEPARATION = 0.5  # least share of the true difference in value that the critic sees
SPREAD = 1.0  # least ratio of the standard deviations across seeds, PPO to step-DAPO

GAIN_STATEMENT = (
    "Step-level DAPO improves SFT and RL models on mathematical and code problems, by up to 7.6 "
    "points on MATH (Liu et al. 2024, abstract and results)"
)
CREDIT_STATEMENT = (
    "Dense step-level signals overcome the sparse reward of response-level methods (Liu et al. "
    "2024, abstract)"
)
STABLE_STATEMENT = (
    "Training the critic and then the actor, instead of both together, avoids the instability of "
    "actor-critic methods (Liu et al. 2024, abstract)"
)
CRITIC_STATEMENT = (
    "The critic is a good estimate of the true value function (Liu et al. 2024, version 2, "
    "abstract)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare arms, critics and controls with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.step_dapo.arms.run`.
    """
    del config
    made = ClaimList(NAME)
    _gains(made, results)
    _baselines(made, results)
    _critics(made, results)
    _controls(made, results)
    return made


def _compare(results: Results, arm: str, baseline: str) -> statistics.Comparison:
    return statistics.compare(results["accuracy"][arm], results["accuracy"][baseline])


def _gains(made: ClaimList, results: Results) -> None:
    for sentence, arm, threshold, judge, statement, control in (
        ("With an oracle critic the method gains on the reference policy", "oracle", WORLD_GAIN,
         "interval", "Own check: the world can reward the method", True),
        ("Step-DAPO gains on the reference policy in every seed", "step_dapo", GAIN, "every seed",
         GAIN_STATEMENT, False),
    ):  # fmt: skip
        made.add(
            sentence,
            statement=statement,
            measured=f"pass rate of {METHODS[arm]} - pass rate of the reference policy",
            metric="pass rate on held-out questions, temperature 1",
            unit="fraction",
            arm=METHODS[arm],
            baseline=METHODS["base"],
            value=_compare(results, arm, "base"),
            at_least=threshold,
            judge=judge,  # pyright: ignore[reportArgumentType]
            control=control,
        )


def _baselines(made: ClaimList, results: Results) -> None:
    for arm, statement, control in (
        ("oracle", "Own check: the world can reward step-level credit, with the true values", True),
        ("monte_carlo", "Own addition: step-level credit by Monte-Carlo values, without a critic",
         False),
        ("partition", "Own addition: the loss whose minimum is the regularized maximizer", False),
        ("iterated", "Own addition: two iterations with fresh responses and a new critic", False),
    ):  # fmt: skip
        made.add(
            f"At equal generated tokens the arm '{METHODS[arm]}' is better than "
            f"{METHODS['response']}",
            statement=statement,
            measured=f"pass rate of {METHODS[arm]} - pass rate of {METHODS['response']}",
            metric="pass rate on held-out questions, temperature 1",
            unit="fraction",
            arm=METHODS[arm],
            baseline=METHODS["response"],
            value=_compare(results, arm, "response"),
            at_least=ABOVE_RESPONSE,
            judge="interval",
            control=control,
        )
    for arm in ("partition", "iterated"):
        made.add(
            f"At equal generated tokens the arm '{METHODS[arm]}' is better than step-DAPO",
            statement="Own addition: what could make step-DAPO better",
            measured=f"pass rate of {METHODS[arm]} - pass rate of step-DAPO",
            metric="pass rate on held-out questions, temperature 1",
            unit="fraction",
            arm=METHODS[arm],
            baseline=METHODS["step_dapo"],
            value=_compare(results, arm, "step_dapo"),
            at_least=ABOVE,
            judge="interval",
        )
    for arm, statement in (
        ("response", CREDIT_STATEMENT),
        ("dpo", CREDIT_STATEMENT),
        ("ppo", STABLE_STATEMENT),
    ):
        made.add(
            f"At equal generated tokens step-DAPO is better than {METHODS[arm]}",
            statement=statement,
            measured=f"pass rate of step-DAPO - pass rate of {METHODS[arm]}",
            metric="pass rate on held-out questions, temperature 1",
            unit="fraction",
            arm=METHODS["step_dapo"],
            baseline=METHODS[arm],
            value=_compare(results, "step_dapo", arm),
            at_least=ABOVE,
            judge="interval",
        )
    spreads = [np.std(results["accuracy"][arm], ddof=1) for arm in ("ppo", "step_dapo")]
    made.add(
        "The pass rate of PPO varies more across seeds than that of step-DAPO",
        statement=STABLE_STATEMENT,
        measured="standard deviation across seeds, PPO / step-DAPO",
        metric="pass rate on held-out questions, temperature 1",
        unit="ratio",
        arm=METHODS["ppo"],
        baseline=METHODS["step_dapo"],
        value=float(spreads[0] / max(spreads[1], 1e-9)),
        at_least=SPREAD,
        seeds=len(results["accuracy"]["ppo"]),
    )


def _critics(made: ClaimList, results: Results) -> None:
    found = results["spearman"]
    made.add(
        "The fitted critic ranks states of held-out questions as their exact values do",
        statement=CRITIC_STATEMENT,
        measured="Spearman correlation of the critic and the probability of a right end",
        metric="rank correlation",
        unit="Spearman ρ",
        arm="frozen critic",
        value=statistics.summarize(found["step_dapo"]),
        at_least=CRITIC,
        judge="interval",
    )
    made.add(
        "The frozen critic ranks states better than the critic that PPO trains along",
        statement=STABLE_STATEMENT,
        measured="Spearman correlation of the frozen critic - that of PPO's, each for its policy",
        metric="rank correlation",
        unit="Spearman ρ",
        arm="frozen critic",
        baseline="co-trained critic",
        value=statistics.compare(found["step_dapo"], found["ppo"]),
        at_least=ABOVE,
        judge="interval",
    )

    first = results["first_line"]
    made.add(
        "The critic separates states after a right and a wrong first line by half as much as "
        "their exact values do",
        statement=CRITIC_STATEMENT,
        measured=(
            "mean value after a right minus that after a wrong first line, critic, relative to the "
            "same of exact values, on the questions that the method learns from"
        ),
        metric="difference of values",
        unit="fraction of that of exact values",
        arm="frozen critic",
        baseline="exact values",
        value=statistics.summarize(
            (first["critic_right"] - first["critic_wrong"])
            / np.maximum(first["exact_right"] - first["exact_wrong"], 1e-6)
        ),
        at_least=SEPARATION,
        judge="interval",
    )


def _controls(made: ClaimList, results: Results) -> None:
    made.add(
        "Step-DAPO is better than with the critic's values permuted across states",
        statement="Control: the critic's information adds to that of the reward",
        measured="pass rate of step-DAPO - pass rate with permuted values",
        metric="pass rate on held-out questions, temperature 1",
        unit="fraction",
        arm=METHODS["step_dapo"],
        baseline=METHODS["shuffled"],
        value=_compare(results, "step_dapo", "shuffled"),
        at_least=LOST,
        judge="interval",
        control=True,
        note="the true reward at the end of a response stays",
    )
    for arm, sentence, statement, note in (
        ("shuffled", "Permuting the critic's values across states loses the whole gain",
         "Control: the critic, not the reward of the last line, makes the gain",
         "the true reward at the end of a response stays; added after the first recorded run, with "
         "the threshold of the next claim"),
        ("uninformed", "Permuting values and rewards loses the whole gain",
         "Control: without any information nothing is gained", ""),
    ):  # fmt: skip
        made.add(
            sentence,
            statement=statement,
            measured=f"pass rate with {METHODS[arm]} - pass rate of the reference policy",
            metric="pass rate on held-out questions, temperature 1",
            unit="fraction",
            arm=METHODS[arm],
            baseline=METHODS["base"],
            value=_compare(results, arm, "base"),
            at_most=UNINFORMED,
            judge="interval",
            control=True,
            note=note,
        )
