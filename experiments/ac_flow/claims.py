"""Claims of the AC-Flow experiment and their thresholds, fixed before the recorded run.

Shapes: ``S`` seeds.
"""

from typing import Any

import numpy as np

from experiments.ac_flow import NAME
from experiments.ac_flow.comparison import MATCHED
from experiments.ac_flow.config import Config
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

WORLD_REWARD = 0.3  # least gain in mean reward of the ideal over the data
COVERED = 0.98  # least share of the pretrained flow's samples near a mode
MARGIN = 0.01  # 1 % of the reward's range, by which AC-Flow may be worse
COLLAPSED = 0.25  # largest mode entropy without a penalty, as a share of the ideal's
DIVERSITY_LOST = 0.5  # a run fails below this share of the ideal's mode entropy
MORE_FAILURES = 0.05  # least excess of failed runs, as a share of the seeds
ODE_RESIDUAL = 0.2  # largest share of the rewards' variance left by a critic of ODE states
PATH_RESIDUAL = 0.3  # least share left by a critic of the conditional path
EQUAL = 0.05  # largest difference in mean reward of equal fixed points
EXACT = 0.1  # largest difference in mean reward of a trained flow and its exact fixed point
REWARD_LOST = -0.05  # change of the naive actor-critic's reward at large rewards, at most
CLIP_ACTS = -0.05  # largest change of the mean reward by clipping at the fixed point
TEAM_ENTROPY = 0.2  # least gain in nats of one agent's mode entropy by consensus
TEAM_REWARD = -0.05  # largest change of an agent's own reward by consensus
DIGIT_GAIN = 0.1  # least gain in the probability of an even digit
TRANSFER = 0.5  # least share of the gain that an unseen classifier confirms

ACTOR_CRITIC_STATEMENT = (
    "A critic of intermediate states with reward shaping, clipped advantages and warm-up makes "
    "fine-tuning stable, and its weighting extends ORW-CFM-W2 (Fan et al. 2025, abstract)"
)
COLLAPSE_STATEMENT = (
    "Without the Wasserstein penalty, online reward weighting converges to a delta at the best "
    "reward (Fan et al., ORW-CFM-W2, 2025)"
)
DIVERSITY_STATEMENT = (
    "AC-Flow raises the reward without compromising diversity and generalizes to unseen preference "
    "models (Fan et al. 2025, abstract)"
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare methods, checks of the theory, teams and digits with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.ac_flow.arms.run`.
    """
    made = ClaimList(NAME)
    _world(made, results)
    _matched(made, results)
    _failures(made, config, results)
    _collapse(made, results)
    _theory(made, results)
    _teams(made, results)
    for reward, found in results.get("digits", {}).items():
        _digits(made, config.data, reward, found)
    return made


def _world(made: ClaimList, results: Results) -> None:
    ideal = results["ideal"]
    made.add(
        "Samples of the reward-tilted mixture have a higher reward than samples of the mixture",
        statement="Own check: the world can reward a method",
        measured="mean reward of the ideal - mean reward of the data",
        metric="mean reward",
        unit="reward, range 1",
        arm="ideal, exact samples",
        baseline="data, exact samples",
        value=float(ideal["reward"] - ideal["data_reward"]),
        at_least=WORLD_REWARD,
        control=True,
    )
    made.add(
        "The pretrained flows generate samples of the modes",
        statement="Own check: fine-tuning starts from a flow that fits the data",
        measured="share of samples within four standard deviations of a mode",
        metric="share of samples near a mode",
        unit="fraction",
        arm="pretrained flow",
        value=statistics.summarize(results["reference"]["near"]),
        at_least=COVERED,
        control=True,
    )


def _matched(made: ClaimList, results: Results) -> None:
    """Reward and its spread at the cells that were chosen for their diversity."""
    methods, ideal = results["methods"], results["ideal"]
    ours = methods["ac_flow"]["matched"]
    for method, name in (("ac_flow", "AC-Flow"), ("orw_cfm", "ORW-CFM-W2")):
        made.add(
            f"{name} keeps 90 % of the ideal's mode entropy at the larger penalty of the two cells "
            "chosen on tuning seeds",
            statement=DIVERSITY_STATEMENT if method == "ac_flow" else (
                "Own check: the baseline is compared at matched diversity"
            ),
            measured="mode entropy / mode entropy of the ideal",
            metric="mode entropy",
            unit="fraction of the ideal's",
            arm=f"{name}, chosen cell",
            baseline="ideal",
            value=statistics.summarize(methods[method]["chosen"]["entropy"] / ideal["entropy"]),
            at_least=MATCHED,
            judge="interval",
            control=method != "ac_flow",
        )  # fmt: skip
    for method, name, statement in (
        ("orw_cfm", "ORW-CFM-W2", ACTOR_CRITIC_STATEMENT),
        ("reward_ranked", "reward-ranked fine-tuning", ACTOR_CRITIC_STATEMENT),
        (
            "ac_flow_unclipped",
            "AC-Flow without clipping",
            "Own check: the clipping acts at the optimum, the critic does not; an arm of AC-Flow",
        ),
    ):
        made.add(
            f"At matched diversity AC-Flow's mean reward is no more than 1 % of the range below "
            f"that of {name}",
            statement=statement,
            measured=(
                f"mean reward of AC-Flow - mean reward of {name}, each interpolated between its "
                "two chosen cells at 90 % of the ideal's mode entropy"
            ),
            metric="mean reward",
            unit="reward, range 1",
            arm="AC-Flow",
            baseline=name,
            value=statistics.compare(ours, methods[method]["matched"]),
            at_least=-MARGIN,
            judge="interval",
        )
    spread = [
        np.abs(methods[m]["matched"] - methods[m]["matched"].mean()) for m in ("ac_flow", "orw_cfm")
    ]
    made.add(
        "At matched diversity AC-Flow's reward varies less across seeds than ORW-CFM-W2's",
        statement=ACTOR_CRITIC_STATEMENT,
        measured=(
            "mean over seeds of |reward at matched diversity - its mean|, AC-Flow - ORW-CFM-W2"
        ),
        metric="mean absolute deviation of the reward",
        unit="reward, range 1",
        arm="AC-Flow",
        baseline="ORW-CFM-W2",
        value=statistics.compare(*spread, paired=False),
        at_most=0.0,
        judge="interval",
    )


def failed(measured: dict[str, Any], results: Results) -> np.ndarray:
    """Runs that lost diversity or fell below the pretrained flow's reward, ``float[S]``."""
    diverse = measured["entropy"] >= DIVERSITY_LOST * results["ideal"]["entropy"]
    better = measured["reward"] >= results["reference"]["reward"]
    return (~(diverse & better)).astype(float)


def _failures(made: ClaimList, config: Config, results: Results) -> None:
    methods = results["methods"]
    largest = f"scaled_{config.scales[-1]:g}"

    def both(method: str) -> np.ndarray:
        return np.stack([failed(methods[method][k], results) for k in ("chosen", largest)]).mean(0)

    rule = "mode entropy below half of the ideal's, or reward below the pretrained flow's"
    pairs = [
        ("naive", "the naive actor-critic", both, "reward × 1 and × 100 together"),
        ("naive", "the naive actor-critic", lambda m: failed(methods[m]["chosen"], results),
         "reward × 1"),
        ("orw_cfm", "ORW-CFM-W2", lambda m: failed(methods[m][largest], results),
         "reward × 100"),
    ]  # fmt: skip
    for method, name, count, where in pairs:
        made.add(
            f"With the {where}, {name} fails in more runs than AC-Flow",
            statement=(
                "Naive critic regression is unstable and collapses (Fan et al. 2025, abstract)"
                if method == "naive"
                else "Own check: whether large rewards break reward weights of mean one, too"
            ),
            measured=f"share of failed runs ({rule}), {name} - AC-Flow",
            metric="share of failed runs",
            unit="fraction of seeds",
            arm=name,
            baseline="AC-Flow",
            value=statistics.compare(count(method), count("ac_flow")),
            at_least=MORE_FAILURES,
            judge="interval",
        )

    made.add(
        f"Rewards × {config.scales[-1]:g} make the naive actor-critic lose reward at the same cell",
        statement="Own check: AC-Flow's standardized rewards do not depend on their scale (a test)",
        measured=f"mean reward, trained on reward × {config.scales[-1]:g} - trained on reward × 1",
        metric="mean reward",
        unit="reward, range 1",
        arm=f"naive actor-critic, reward × {config.scales[-1]:g}",
        baseline="naive actor-critic, reward × 1",
        value=statistics.compare(
            methods["naive"][largest]["reward"], methods["naive"]["chosen"]["reward"]
        ),
        at_most=REWARD_LOST,
        judge="interval",
    )


def _collapse(made: ClaimList, results: Results) -> None:
    for method, name in (("orw_cfm", "ORW-CFM"), ("ac_flow", "AC-Flow")):
        made.add(
            f"Without the penalty, {name} collapses onto one mode",
            statement=COLLAPSE_STATEMENT,
            measured="mode entropy at alpha = 0 / mode entropy of the ideal",
            metric="mode entropy",
            unit="fraction of the ideal's",
            arm=f"{name}, alpha = 0",
            baseline="ideal",
            value=statistics.summarize(
                results["methods"][method]["alpha_0"]["entropy"] / results["ideal"]["entropy"]
            ),
            at_most=COLLAPSED,
            judge="interval",
            control=True,
        )


def _theory(made: ClaimList, results: Results) -> None:
    critics, frozen = results["critics"], results["frozen"]
    identity = "Own check: on ODE states the state determines the sample, so that V = R and Â = 0"
    made.add(
        "A critic trained on the flow's own ODE states leaves no advantage",
        statement=identity,
        measured="mean (R - V)² / variance of R, on fresh ODE states",
        metric="share of the reward's variance left to advantages",
        unit="fraction",
        arm="critic of ODE states",
        value=statistics.summarize(critics["ode"]),
        at_most=ODE_RESIDUAL,
        judge="interval",
        control=True,
    )
    made.add(
        "A critic trained on the conditional path leaves advantages",
        statement=identity,
        measured="mean (R - V)² / variance of R, on fresh states of the conditional path",
        metric="share of the reward's variance left to advantages",
        unit="fraction",
        arm="critic of the conditional path",
        value=statistics.summarize(critics["conditional_path"]),
        at_least=PATH_RESIDUAL,
        judge="interval",
    )
    cancels = (
        "Own check: without clipping and penalty the critic cancels in the minimizer, so that "
        "AC-Flow and ORW-CFM learn the data times exp(τ R)"
    )
    for arm, baseline, sentence in (
        ("ac_flow_unclipped", "orw_cfm",
         "Frozen sampler, no penalty: AC-Flow without clipping learns what ORW-CFM learns"),
        ("orw_cfm", "exact",
         "Frozen sampler, no penalty: ORW-CFM learns the exactly tilted distribution"),
    ):  # fmt: skip
        made.add(
            sentence,
            statement=cancels,
            measured="mean over seeds of |difference of the mean rewards|",
            metric="mean reward",
            unit="reward, range 1",
            arm={"ac_flow_unclipped": "AC-Flow without clipping", "orw_cfm": "ORW-CFM"}[arm],
            baseline={"orw_cfm": "ORW-CFM", "exact": "exact samples"}[baseline],
            value=statistics.summarize(np.abs(frozen[arm]["reward"] - frozen[baseline]["reward"])),
            at_most=EQUAL if baseline == "orw_cfm" else EXACT,
            judge="interval",
        )
    made.add(
        "Frozen sampler, no penalty: clipped advantages learn another distribution",
        statement="Own check: the clipping, not the critic, changes the fixed point",
        measured="mean reward of AC-Flow - mean reward of AC-Flow without clipping",
        metric="mean reward",
        unit="reward, range 1",
        arm="AC-Flow",
        baseline="AC-Flow without clipping",
        value=statistics.compare(
            frozen["ac_flow"]["reward"], frozen["ac_flow_unclipped"]["reward"]
        ),
        at_most=CLIP_ACTS,
        judge="interval",
    )


def _teams(made: ClaimList, results: Results) -> None:
    alone, ring, complete = (
        {name: x[graph] for name, x in results["teams"].items()} for graph in range(3)
    )
    addition = "Own addition: agents with a mode of their own that gossip their flow's parameters"
    for graph, found in (("complete graph", complete), ("ring", ring)):
        made.add(
            f"Consensus on the {graph} makes each agent's flow more diverse",
            statement=addition,
            measured=f"mean over agents of the mode entropy of one's own flow, {graph} - isolated",
            metric="mode entropy of one agent's flow",
            unit="nats",
            arm=graph,
            baseline="isolated agents",
            value=statistics.compare(found["own_entropy"], alone["own_entropy"]),
            at_least=TEAM_ENTROPY,
            judge="interval",
        )
    made.add(
        "Consensus on the complete graph costs an agent reward by its own preference",
        statement=addition,
        measured="mean over agents of the own reward, complete - isolated",
        metric="mean reward by the own preference",
        unit="reward, range 1",
        arm="complete graph",
        baseline="isolated agents",
        value=statistics.compare(complete["own_reward"], alone["own_reward"]),
        at_most=TEAM_REWARD,
        judge="interval",
    )


REWARD_NAMES = {
    "even": "an even digit",
    "small": "a digit below five",
    "closed": "a digit with a closed loop",
}


def _digits(made: ClaimList, data: str, reward: str, digits: dict[str, Any]) -> None:
    of = REWARD_NAMES[reward]
    towards = "" if reward == "even" else f", towards {of},"
    ours, orw, reference = digits["ac_flow"], digits["orw_cfm"], digits["reference"]
    made.add(
        f"On {data} AC-Flow raises the classifier's probability of {of}",
        statement=DIVERSITY_STATEMENT,
        measured=f"mean probability of {of}, AC-Flow - pretrained flow",
        metric=f"probability of {of}",
        unit="fraction",
        arm="AC-Flow",
        baseline="pretrained flow",
        value=statistics.summarize(ours["reward"] - float(reference["reward"])),
        at_least=DIGIT_GAIN,
        judge="interval",
    )
    made.add(
        f"At matched diversity on {data}{towards} AC-Flow's reward is no more than 1 % of the "
        "range below ORW-CFM-W2's",
        statement=ACTOR_CRITIC_STATEMENT,
        measured=(
            f"mean probability of {of}, AC-Flow - ORW-CFM-W2, each interpolated at 90 % of "
            "the ideal's entropy of digits"
        ),
        metric=f"probability of {of}",
        unit="fraction",
        arm="AC-Flow",
        baseline="ORW-CFM-W2",
        value=statistics.compare(ours["matched"], orw["matched"]),
        at_least=-MARGIN,
        judge="interval",
    )
    made.add(
        f"On {data}{towards} an unseen classifier confirms half of AC-Flow's gain",
        statement=DIVERSITY_STATEMENT,
        measured="gain by the unseen classifier - 0.5 · gain by the reward's classifier",
        metric=f"probability of {of}",
        unit="fraction",
        arm="AC-Flow, unseen classifier",
        baseline="AC-Flow, the reward's classifier",
        value=statistics.summarize(
            ours["unseen"] - float(reference["unseen"])
            - TRANSFER * (ours["reward"] - float(reference["reward"]))
        ),
        at_least=0.0,
        judge="interval",
    )  # fmt: skip
    made.add(
        f"On {data}{towards} AC-Flow keeps 90 % of the ideal's entropy of digits",
        statement=DIVERSITY_STATEMENT,
        measured="entropy of the recognized digits / that of the tilted pretrained flow",
        metric="entropy of the recognized digits",
        unit="fraction of the ideal's",
        arm="AC-Flow, larger penalty",
        baseline="ideal",
        value=statistics.summarize(ours["entropy"] / float(digits["ideal"]["entropy"])),
        at_least=MATCHED,
        judge="interval",
    )
