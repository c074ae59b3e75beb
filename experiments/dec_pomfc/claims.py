"""What the Dec-POMFC experiment concludes, against thresholds fixed before the first run.

Shapes: ``S`` seeds.
"""

from typing import Any

import numpy as np

from experiments.dec_pomfc import NAME
from experiments.dec_pomfc.config import AGENT_ARMS, RULE_ARMS, UNCONTROLLED, Config
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

SLOWEST = -0.4  # exponent of the bias in the swarm size, at most
FASTEST = -1.1  # the same exponent, at least
BIAS_LEFT = 0.25  # bias of the largest swarm as a share of the smallest's, at most
NO_LESS = 0.0  # score of an arm minus (a share of) another's, at least
HALFWAY = 0.5  # score of learned decision rules, at least
PARITY = 0.9  # share of the score of IPPO, of MAPPO or of the oracle that rules reach, at least

SCORE = "score (0: return of the uncontrolled swarm, 1: optimum)"
TASK_NAMES = {"kuramoto": "Kuramoto", "vicsek": "Vicsek", "aggregation": "aggregation"}


def claims(config: Config, results: Results) -> list[Claim]:
    """Propagation of chaos; on every task kernels, bins, IPPO, MAPPO and the oracle."""
    made = ClaimList(NAME)
    add_propagation_of_chaos(made, config, results["chaos"])
    for task in sorted(config.tasks):
        add_task(made, TASK_NAMES[task], results["tasks"][task])
    return made


def add_propagation_of_chaos(made: ClaimList, config: Config, chaos: Results) -> None:
    """How the bias of finite swarms falls with their size."""
    bias = np.abs(chaos["bias"])
    smallest, largest = config.sizes[0], config.sizes[-1]
    exponent = statistics.summarize(bias_exponents(config, chaos))
    about: dict[str, Any] = {
        "statement": "Own check: propagation of chaos, on which the paper's optimality "
        "guarantees for finite swarms rest (Cui et al. 2024, abstract).",
        "metric": "|mean return of swarms of N agents - return of the density limit|, Kuramoto "
        "task, fixed decision rule",
        "baseline": "density limit (infinitely many agents)",
    }
    fitted = "least-squares slope of log bias over log N"
    made.add(
        "The bias of the finite swarm's mean return falls with the swarm size N at least as fast "
        "as N^-0.4",
        measured=fitted,
        unit="exponent",
        arm=f"swarms of {smallest} to {largest} agents",
        value=exponent,
        at_most=SLOWEST,
        **about,
    )
    made.add(
        "The bias of the finite swarm's mean return falls with the swarm size N no faster than "
        "N^-1.1",
        measured=fitted,
        unit="exponent",
        arm=f"swarms of {smallest} to {largest} agents",
        value=exponent,
        at_least=FASTEST,
        **about,
    )
    made.add(
        f"The bias of the mean return at N = {largest} is at most a quarter of that at "
        f"N = {smallest}",
        measured=f"bias at N = {largest} / bias at N = {smallest}",
        unit="ratio",
        arm=f"swarms of {largest} agents",
        value=statistics.summarize(bias[-1] / bias[0]),
        at_most=BIAS_LEFT,
        **about,
    )


def add_task(made: ClaimList, task: str, found: Results) -> None:
    """Scores of all arms on one task."""
    score = scores(found, found["returns"])
    oracle = scores(found, found["oracle"])["kernel"]
    kernel, histogram = RULE_ARMS
    made.add(
        f"On the {task} task, kernel decision rules score at least as high as histogram rules",
        statement="Kernel methods improve upon state-of-the-art histogram-based mean-field control "
        "(Cui et al. 2024, abstract).",
        measured="score of kernel rules - score of histogram rules",
        metric=SCORE,
        unit="fraction",
        arm="kernel rules",
        baseline="histogram rules",
        value=statistics.compare(score[kernel], score[histogram]),
        at_least=NO_LESS,
    )
    for arm in RULE_ARMS:
        made.add(
            f"On the {task} task, {arm} rules at least halve the distance between the uncontrolled "
            "swarm and the optimum",
            statement="Own check: the learned rules control the swarm.",
            measured=f"score of {arm} rules",
            metric=SCORE,
            unit="fraction",
            arm=f"{arm} rules",
            baseline="uncontrolled swarm (score 0)",
            value=statistics.summarize(score[arm]),
            at_least=HALFWAY,
        )
    for arm in AGENT_ARMS:
        made.add(
            f"On the {task} task, kernel decision rules reach at least 0.9 of the score of {arm}",
            statement="Dec-POMFC is on par with state-of-the-art multi-agent reinforcement "
            "learning (Cui et al. 2024, abstract).",
            measured=f"score of kernel rules - 0.9 × score of {arm}",
            metric=SCORE,
            unit="fraction",
            arm="kernel rules",
            baseline=f"0.9 × {arm}",
            value=statistics.compare(score[kernel], PARITY * score[arm]),
            at_least=NO_LESS,
        )
    made.add(
        f"On the {task} task, kernel decision rules that are executed without the mean field reach "
        "at least 0.9 of the score of the policy that observes it",
        statement="Control: training is centralized and execution decentralized. The policy that "
        "observes the mean field is an oracle.",
        measured="score of kernel rules - 0.9 × score of the policy that observes the mean field",
        metric=SCORE,
        unit="fraction",
        arm="kernel rules, executed as a fixed sequence",
        baseline="0.9 × the policy that observes the mean field",
        value=statistics.compare(score[kernel], PARITY * oracle),
        at_least=NO_LESS,
        control=True,
    )


def scores(found: Results, returns: Results) -> dict[str, np.ndarray]:
    """Map returns to 0 for the uncontrolled swarm and 1 for the optimum, ``{arm: [S]}``.

    The largest reward of all three tasks is 0, so that the optimum is a return of 0; no swarm that
    starts disordered reaches it.
    """
    uncontrolled = np.asarray(found["returns"][UNCONTROLLED])
    return {arm: 1.0 - np.asarray(value) / uncontrolled for arm, value in returns.items()}


def bias_exponents(config: Config, chaos: Results) -> np.ndarray:
    """Fit the exponent of the bias in the swarm size, ``[S]``."""
    x, bias = np.log(config.sizes), np.abs(chaos["bias"])
    return np.array([np.polyfit(x, np.log(of_seed), 1)[0] for of_seed in bias.T])
