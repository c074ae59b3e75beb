"""Claims of the Fortytwo experiment and their thresholds, fixed before the recorded run.

Shapes: ``S`` pools (seeds).
"""

from typing import Any

import numpy as np

from experiments.fortytwo import NAME
from experiments.fortytwo.config import Config
from experiments.harness.claims import STRICTLY, Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

ROOM = 0.10  # least excess of "any node is right" over the majority vote
JUDGES = (0.65, 0.9)  # band of the judges' accuracy in admission tests
GAIN = 0.03  # least gain over the majority vote where verification is easy
HEADLINE = 0.1721  # the paper's gain over the majority vote on GPQA Diamond
NO_GAIN = 0.03  # largest gain where verification is as hard as solving
LOSS = 0.10  # largest loss of accuracy by a quarter of Byzantine judges
SEPARATION = 0.95  # least area under the curve, reputations of honest against Byzantine nodes
NEAR_CHANCE = 0.05  # largest distance of random judges' result from a random reply's accuracy
TRANSFERRED = 0.01  # largest gain by reputations that were learned on the other task
COLLAPSE = 0.7  # judge accuracy below which a note on the paper reports a collapse
THIRD = -0.10  # largest loss of the synthetic swarm at 30 % inverting nodes
SYBIL = 1.0  # largest influence of many identities relative to one, with admission tests
SYBIL_OPEN = 2.0  # least such ratio without tests

GAIN_STATEMENT = (
    "Peer-ranked consensus reaches 85.90 % on GPQA Diamond, a majority vote of the same models "
    "68.69 % (Larin et al. 2025, abstract)"
)
ROBUST_STATEMENT = (
    "Reputation filters low-quality or malicious participants (Larin et al. 2025, abstract)"
)
FRACTION = "fraction of the questions"


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the aggregators, ablations, adversaries and the synthetic tier with thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.fortytwo.arms.run`.
    """
    made = ClaimList(NAME)
    _set_up(made, results)
    _aggregators(made, config, results)
    _ablations(made, results)
    _adversaries(made, config, results)
    _injected(made, config, results)
    _judges(made, results)
    _synthetic(made, config, results)
    return made


def _difference(
    made: ClaimList, sentence: str, arm: str, baseline: str, a: Any, b: Any, **options: Any
) -> None:
    """Add a paired comparison of accuracies that is judged on its interval by default."""
    options = {"judge": "interval"} | options
    made.add(
        sentence,
        measured=f"accuracy of {arm} - accuracy of {baseline}",
        metric="accuracy",
        unit=FRACTION,
        arm=arm,
        baseline=baseline,
        value=statistics.compare(a, b),
        **options,
    )


def _set_up(made: ClaimList, results: Results) -> None:
    easy = results["rotation"]
    _difference(
        made,
        "On most questions that the majority vote gets wrong some node is right",
        "oracle: any node is right",
        "majority vote",
        easy["oracle"],
        easy["majority"],
        statement="Own check: the world can reward an aggregator",
        at_least=ROOM,
        control=True,
    )
    share = results["admission"]["rotation_judges"].mean(1)
    for bound, side in zip(JUDGES, ("at_least", "at_most"), strict=True):
        limit: dict[str, Any] = {side: bound}
        made.add(
            f"The judges' mean accuracy in admission tests is {side.replace('_', ' ')} {bound:g}",
            statement="Own check: judges are neither useless nor perfect",
            measured="share of right verdicts on pairs of one right and one wrong reply",
            metric="judge accuracy",
            unit="fraction of the verdicts",
            arm="judges, rotation task",
            value=statistics.summarize(share),
            control=True,
            **limit,
        )


def _aggregators(made: ClaimList, config: Config, results: Results) -> None:
    easy, hard = results["rotation"], results["recall"]
    ours = "reputation-weighted Bradley–Terry"
    _difference(
        made,
        "Where verification is easy, peer ranking beats the majority vote of the same replies",
        ours, "majority vote", easy["reputation"], easy["majority"],
        statement=GAIN_STATEMENT, at_least=GAIN,
    )  # fmt: skip
    _difference(
        made,
        "Where verification is easy, the gain over the majority vote is as large as the paper's",
        ours, "majority vote", easy["reputation"], easy["majority"],
        statement=GAIN_STATEMENT, at_least=HEADLINE, judge="effect",
        note="the paper's gain belongs to other models and questions",
    )  # fmt: skip
    _difference(
        made,
        "Where verification is easy, strengths summed over equal answers beat the majority vote",
        "the same strengths, summed over equal answers", "majority vote", easy["merged"],
        easy["majority"], statement="Own comparison: peer ranking and popularity together",
        at_least=0.0,
    )  # fmt: skip
    for other, name in (
        ("best", "the best node on calibration questions"),
        ("plain", "unweighted Bradley–Terry of admitted judges"),
        ("plain_unscreened", "unweighted Bradley–Terry of all judges"),
        ("trueskill", "TrueSkill"),
        ("merged", "the same strengths, summed over equal answers"),
    ):
        _difference(
            made,
            f"Where verification is easy, peer ranking is more accurate than {name}",
            ours, name, easy["reputation"], easy[other],
            statement="Own comparison: other aggregators on the same replies and verdicts",
            at_least=STRICTLY,
        )  # fmt: skip
    _difference(
        made,
        "Where to verify is to solve, peer ranking gains little over the majority vote",
        ours, "majority vote", hard["reputation"], hard["majority"],
        statement="Control: checking must be easier than solving", at_most=NO_GAIN, control=True,
    )  # fmt: skip
    votes, head = results["votes"], results["rotation_head"]
    _difference(
        made,
        "Where verification is easy, peer ranking beats a majority vote of as many more replies as "
        "its judgements cost tokens",
        ours, f"majority vote of {config.votes} replies of each node", head["reputation"],
        votes["accuracy"], statement="Own comparison: equal numbers of generated tokens",
        at_least=GAIN,
        note=f"tokens of a node per question: {votes['judged_tokens']:.0f} for its reply and its "
        f"judgements of different replies, {votes['tokens']:.0f} for its votes, "
        f"{votes['drawn_tokens']:.0f} if each comparison were judged anew; prompts not counted",
    )  # fmt: skip
    found = results["transfer"]
    _difference(
        made,
        "Reputations learned on the recall task do not help on the rotation task",
        "weights by reputation on the recall task", "equal weights", found["other"],
        found["uniform"], statement="Control: reputation belongs to a task",
        at_most=TRANSFERRED, control=True,
    )  # fmt: skip


def _ablations(made: ClaimList, results: Results) -> None:
    # On the same questions as the arms that answer or judge anew.
    head = results["rotation_head"]
    easy = head["reputation"]
    _difference(
        made,
        "A generated rationale before the verdict raises the swarm's accuracy",
        "verdicts after a rationale", "verdicts at once", easy, results["direct"]["reputation"],
        statement="Without rationales accuracy falls from 85.9 to 80.6 % (a note on Larin et al.)",
        at_least=0.0,
    )  # fmt: skip
    _difference(
        made,
        "A swarm of different models is more accurate than one of copies of its best models",
        "different models", "copies of the best model of each size", easy,
        results["copies"]["reputation"],
        statement="Without diversity accuracy falls from 85.9 to 75.8 % (a note on Larin et al.)",
        at_least=STRICTLY,
    )  # fmt: skip
    swarm = easy - results["noise"]["reputation"]
    single = head["best"] - results["noise"]["best"]
    made.add(
        "Noise in the prompt costs the swarm at most half of what it costs the best single node",
        statement=(
            "Prompt injection degrades the swarm by 0.12 % and a single model by 6.20 % (Larin et "
            "al. 2025, abstract)"
        ),
        measured="(fall of the swarm's accuracy) - (fall of the best node's accuracy) / 2",
        metric="fall of the accuracy behind two random letters",
        unit=FRACTION,
        arm="reputation-weighted Bradley–Terry",
        baseline="half of the best node's fall",
        value=statistics.compare(swarm, single / 2),
        at_most=0.0,
        judge="interval",
    )


def _adversaries(made: ClaimList, config: Config, results: Results) -> None:
    clean, found = results["rotation"]["reputation"], results["byzantine"]
    share = f"{config.byzantine:.0%}"
    names = {
        "random": "rank at random",
        "inverter": "invert their verdicts",
        "self_promoter": "promote their own reply",
        "colluder": "promote one another's replies",
        "sleeper": "invert their verdicts after 100 questions",
        "sybil": "share one node's compute and guess what it does not pay for",
    }
    for kind, name in names.items():
        _difference(
            made,
            f"{share} of the judges that {name} cost less than ten points",
            "no Byzantine judges", f"{share} {kind} judges", clean, found[kind]["reputation"],
            statement=ROBUST_STATEMENT, at_most=LOSS,
        )  # fmt: skip
    for kind in ("random", "inverter"):
        made.add(
            f"After 100 questions reputation separates honest nodes from those that {names[kind]}",
            statement=ROBUST_STATEMENT,
            measured="probability that an honest node's reputation exceeds a Byzantine node's",
            metric="area under the curve",
            unit="fraction",
            arm=f"admitted nodes, {share} {kind}",
            value=statistics.summarize(found[kind]["separation"]),
            at_least=SEPARATION,
        )


def _injected(made: ClaimList, config: Config, results: Results) -> None:
    found, share = results["injected"], f"{config.byzantine:.0%}"
    _difference(
        made,
        f"Text that addresses the judge, behind wrong answers of {share} of the nodes, costs less "
        "than ten points",
        "wrong answers without the text", "the same answers with the text",
        found["wrong"]["reputation"], found["text"]["reputation"],
        statement="Prompt injection degrades the swarm by 0.12 % (Larin et al. 2025, abstract)",
        at_most=LOSS,
        note="of six texts the one that deceives the pool's judges most on calibration questions",
    )  # fmt: skip


def _judges(made: ClaimList, results: Results) -> None:
    easy, chance = results["rotation"], results["random"]["reputation"]
    _difference(
        made,
        "With random judges peer ranking loses to the majority vote",
        "random judges", "majority vote", chance, easy["majority"],
        statement="Control: ranking cannot replace judging", at_most=0.0, control=True,
    )  # fmt: skip
    made.add(
        "With random judges peer ranking is as accurate as a reply drawn at random",
        statement="Control: ranking cannot replace judging",
        measured="|accuracy with random judges - mean accuracy of the replies|",
        metric="accuracy",
        unit=FRACTION,
        arm="random judges",
        baseline="a random reply",
        value=float(abs(np.mean(chance - easy["mean"]))),
        at_most=NEAR_CHANCE,
        seeds=len(chance),
        control=True,
    )
    accuracy = results["flips"]["judge_accuracy"].mean(1)
    below = np.flatnonzero(accuracy < COLLAPSE)
    at = int(below[0]) if len(below) else len(accuracy) - 1
    _difference(
        made,
        f"Judges with an accuracy of {accuracy[at]:.2f}, below {COLLAPSE:g}, leave no gain over "
        "the majority vote",
        "verdicts turned at random", "majority vote", results["flips"]["reputation"][at],
        easy["majority"],
        statement="Consensus collapses if pairwise accuracy is below about 70 % (a note)",
        at_most=0.0,
    )  # fmt: skip


def _synthetic(made: ClaimList, config: Config, results: Results) -> None:
    found = results["synthetic"]
    at = int(np.flatnonzero(found["shares"] == 0.3)[0])
    _difference(
        made,
        f"Synthetic tier: {config.synthetic_nodes:,} nodes, 30 % of which invert their verdicts, "
        "lose at most ten points",
        "30 % inverting nodes", "none", found["right"][1, at], found["right"][1, 0],
        statement="The swarm tolerates f < n / 3 Byzantine nodes (a note on Larin et al.)",
        at_least=THIRD, note="Bernoulli judges, no models",
    )  # fmt: skip
    last = config.sybils[-1]
    for k, (tests, bound) in enumerate((("without", SYBIL_OPEN), ("with", SYBIL))):
        first = found["influence"][k, 0]
        limit: dict[str, Any] = {"at_most" if k else "at_least": bound}
        ratio = found["influence"][k, -1] / np.maximum(first, 1e-9)
        made.add(
            f"Synthetic tier: {tests} admission tests, {last} identities of one operator "
            f"{'hold no more' if k else 'hold more'} reputation than one identity at equal compute",
            statement=(
                "Calibration tests make attacks with many identities unattractive (Larin et al. "
                "2025, abstract)"
            ),
            measured=f"share of reputation of {last} identities / share of one",
            metric="share of the admitted nodes' reputation",
            unit="ratio",
            arm=f"{last} identities",
            baseline="one identity",
            value=statistics.summarize(ratio),
            control=not k,
            note="Bernoulli judges, no models",
            **limit,
        )
