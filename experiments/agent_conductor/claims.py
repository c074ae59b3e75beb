"""Claims of the AgentConductor experiment and their thresholds, fixed before the recorded run."""

import numpy as np

from experiments.agent_conductor import NAME
from experiments.agent_conductor.config import Config
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

OWN = "AgentConductor"
FIXED = ("single coder", "chain of four", "full mesh", "random graph")
ACCURACY_MARGIN = -0.01  # least difference of accuracy from a baseline
TOKEN_SHARE = -0.40  # largest relative difference of tokens from the best fixed graph
PRUNED_TOKENS = -0.13  # the same relative to the pruned graph
SIZE_RISE = 0.0  # least rise of agents and references between neighbouring difficulties
SECOND_TURN = 0.03  # least gain on hard tasks by the second turn
VERDICT_GAIN = 0.0  # least gain on hard tasks by the verdict
ONCE_GAIN = 0.03  # least gain over one turn
INVALID_BEFORE = 0.20  # least share of invalid graphs before imitation
INVALID_AFTER = 0.02  # largest share after it
DENSITY_TOKENS = 0.25  # least relative rise of tokens without the density reward
DENSITY_ACCURACY = 0.02  # largest gain of accuracy without it
BLIND_TOKENS = 0.0  # largest relative difference of tokens from N_max of hard tasks for all
RANDOM_GAIN = 0.05  # least gain over random graphs of equal size
IMITATION_GAIN = 0.05  # least gain over imitation alone
TRUE_GAP = -0.05  # least difference from the given difficulty
MASKED_GAP = -0.03  # least difference from masked decoding
ORACLE_GAIN = 0.05  # least gain of the oracle over the best fixed graph
ORACLE_REWARD = 0.0  # least gain of the oracle's mean reward over the pruned graph
COLLAPSED = 1.2  # largest mean number of agents under the graph reward alone

HEADLINE = (
    "Up to 14.6 points of pass@1 above the strongest baseline with a density lower by 13 % and "
    "68 % fewer tokens (Wang et al. 2026, abstract)"
)
DIFFICULTY = (
    "The density of the topology adapts to the inferred difficulty (Wang et al. 2026, abstract)"
)
FEEDBACK = (
    "The topology is refined within an instance by execution feedback (Wang et al. 2026, abstract)"
)
HARD = 2


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare accuracies, tokens and sizes with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.agent_conductor.arms.run`.

    Returns:
        Twenty-four claims.
    """
    del config
    made = ClaimList(NAME)
    overall, test = results["overall"], results["test"]
    _baseline_claims(made, overall, "test tasks", HEADLINE)
    _baseline_claims(
        made, results["overall_shifted"], "shifted tasks",
        "The trained orchestrator is applied zero-shot to new sets (Wang et al. 2026, from notes)",
    )  # fmt: skip
    _pruned_claims(made, overall)
    _difficulty_claims(made, test, overall)
    _feedback_claims(made, test, overall)
    _training_claims(made, overall)
    _density_claims(made, overall)
    _control_claims(made, results)
    return made


def best_fixed(overall: Results) -> str:
    """The fixed graph of the highest accuracy, the pruned one apart."""
    return max(FIXED, key=lambda name: float(np.mean(overall[name]["passed"])))


def _accuracy(
    made: ClaimList, sentence: str, statement: str, arm: str, baseline: str, table: Results,
    *, at_least: float | None = None, at_most: float | None = None, control: bool = False,
    tasks: str = "test tasks", note: str = "",
) -> None:  # fmt: skip
    made.add(
        sentence,
        statement=statement,
        measured=f"share of {tasks} that pass, {arm} - {baseline}",
        metric="accuracy",
        unit="fraction",
        arm=arm,
        baseline=baseline,
        value=statistics.compare(table[arm]["passed"], table[baseline]["passed"]),
        at_least=at_least,
        at_most=at_most,
        judge="interval",
        control=control,
        note=note,
    )


def _tokens(
    made: ClaimList, sentence: str, statement: str, arm: str, baseline: str, table: Results,
    *, at_least: float | None = None, at_most: float | None = None, tasks: str = "test tasks",
) -> None:  # fmt: skip
    made.add(
        sentence,
        statement=statement,
        measured=f"(tokens of {arm} - tokens of {baseline}) / tokens of {baseline}, on {tasks}",
        metric="tokens per task",
        unit="fraction",
        arm=arm,
        baseline=baseline,
        value=statistics.compare(
            table[arm]["tokens"], np.maximum(table[baseline]["tokens"], 1.0), relative=True
        ),
        at_least=at_least,
        at_most=at_most,
        judge="interval",
    )


def _baseline_claims(made: ClaimList, table: Results, tasks: str, statement: str) -> None:
    best = best_fixed(table)
    _accuracy(
        made, f"On {tasks} accuracy is at most 1 percentage point below the best fixed graph",
        statement, OWN, best, table, at_least=ACCURACY_MARGIN, tasks=tasks,
        note="fixed graphs, as all arms but one, get two turns",
    )  # fmt: skip
    _tokens(
        made, f"On {tasks} it uses at most 60 % of the tokens of the best fixed graph",
        statement, OWN, best, table, at_most=TOKEN_SHARE, tasks=tasks,
    )  # fmt: skip


def _pruned_claims(made: ClaimList, table: Results) -> None:
    statement = f"{HEADLINE}; the baseline here is a mesh pruned on training tasks"
    _accuracy(
        made, "Accuracy is at most 1 percentage point below the pruned graph", statement, OWN,
        "pruned graph", table, at_least=ACCURACY_MARGIN,
    )  # fmt: skip
    _tokens(
        made, "It uses at least 13 % fewer tokens than the pruned graph", statement, OWN,
        "pruned graph", table, at_most=PRUNED_TOKENS,
    )  # fmt: skip


def _difficulty_claims(made: ClaimList, test: Results, overall: Results) -> None:
    for measure, word in (("nodes", "agents"), ("edges", "references")):
        rise = np.diff(np.asarray(test[OWN][measure]), axis=1).min(axis=1)
        made.add(
            f"The number of {word} rises from easy to medium and from medium to hard tasks",
            statement=DIFFICULTY,
            measured=f"smaller of the two rises of the mean number of {word} of first graphs",
            metric=f"mean number of {word}",
            unit=word,
            arm=OWN,
            value=statistics.summarize(rise),
            at_least=SIZE_RISE,
            judge="interval",
            note="N_max of the inferred difficulty bounds the sizes",
        )
    blind = "N_max of hard tasks for all"
    _tokens(
        made, "A bound that follows the difficulty saves tokens against one bound for all",
        DIFFICULTY, OWN, blind, overall, at_most=BLIND_TOKENS,
    )  # fmt: skip
    _accuracy(
        made, "and costs at most 1 percentage point of accuracy", DIFFICULTY, OWN, blind, overall,
        at_least=ACCURACY_MARGIN,
    )  # fmt: skip
    _accuracy(
        made, "Inferred difficulties cost at most 5 percentage points against given ones",
        "Own check: an ablation that sees a hidden variable", OWN, "true difficulty (ablation)",
        overall, at_least=TRUE_GAP,
    )  # fmt: skip


def _feedback_claims(made: ClaimList, test: Results, overall: Results) -> None:
    own = test[OWN]
    made.add(
        "The second turn solves at least 3 more percent of the hard tasks",
        statement=FEEDBACK,
        measured="share of hard test tasks that pass after both turns - after the first",
        metric="accuracy",
        unit="fraction",
        arm=OWN,
        baseline="its first turn",
        value=statistics.compare(own["passed"][:, HARD], own["first"][:, HARD]),
        at_least=SECOND_TURN,
        judge="interval",
    )
    made.add(
        "On hard tasks observing the verdict is better than a second turn without it",
        statement=f"{FEEDBACK}; the ablation is ours",
        measured="share of hard test tasks that pass, AgentConductor - verdict hidden",
        metric="accuracy",
        unit="fraction",
        arm=OWN,
        baseline="verdict hidden",
        value=statistics.compare(own["passed"][:, HARD], test["verdict hidden"]["passed"][:, HARD]),
        at_least=VERDICT_GAIN,
        judge="interval",
    )
    _accuracy(
        made, "Two turns pass at least 3 percentage points more tasks than graphs written once",
        FEEDBACK, OWN, "learned once", overall, at_least=ONCE_GAIN,
    )  # fmt: skip


def _training_claims(made: ClaimList, overall: Results) -> None:
    statement = "Imitation teaches the format of topologies (Wang et al. 2026, from notes)"
    for name, bound, sentence in (
        ("before imitation", {"at_least": INVALID_BEFORE},
         "Before imitation more than 20 % of unmasked graphs are invalid"),
        ("imitation alone", {"at_most": INVALID_AFTER},
         "After imitation less than 2 % of unmasked graphs are invalid"),
    ):  # fmt: skip
        made.add(
            sentence,
            statement=statement,
            measured="share of first graphs with a format error, unmasked decoding",
            metric="invalid graphs",
            unit="fraction",
            arm=name,
            value=statistics.summarize(overall[name]["invalid"]),
            judge="interval",
            **bound,  # pyright: ignore[reportArgumentType]
        )
    _accuracy(
        made, "GRPO passes at least 5 percentage points more tasks than imitation alone",
        "Imitation and then GRPO are both needed (Wang et al. 2026, from notes)", OWN,
        "imitation alone", overall, at_least=IMITATION_GAIN,
    )  # fmt: skip
    _accuracy(
        made, "Unmasked decoding is at most 3 percentage points below masked decoding",
        "Own check: format penalties in place of masks", OWN, "masked decoding", overall,
        at_least=MASKED_GAP,
    )  # fmt: skip
    _accuracy(
        made, "It passes at least 5 percentage points more tasks than random graphs of its sizes",
        "Control: the choice of roles and references matters, not the size alone", OWN,
        "random graph", overall, at_least=RANDOM_GAIN, control=True,
    )  # fmt: skip


def _density_claims(made: ClaimList, overall: Results) -> None:
    statement = "Ablation of the density reward (Wang et al. 2026, from notes)"
    other = "no density reward"
    _tokens(
        made, "Without the density reward at least 25 % more tokens are used", statement, other,
        OWN, overall, at_least=DENSITY_TOKENS,
    )  # fmt: skip
    _accuracy(
        made, "and accuracy rises by at most 2 percentage points", statement, other, OWN, overall,
        at_most=DENSITY_ACCURACY,
    )  # fmt: skip


def _control_claims(made: ClaimList, results: Results) -> None:
    overall, searched = results["overall"], results["searched"]
    alone = "graph reward alone (control)"
    made.add(
        "Trained on the graph reward alone, graphs collapse to one agent",
        statement="Control: sparsity without the reward of execution must not solve tasks",
        measured="mean number of agents of first graphs",
        metric="mean number of agents",
        unit="agents",
        arm=alone,
        value=statistics.summarize(overall[alone]["nodes"]),
        at_most=COLLAPSED,
        judge="interval",
        control=True,
    )
    best, oracle = best_fixed(overall), "oracle (hidden tests)"
    world = "Control: the world can reward graphs that fit the task"
    note = "the oracle searches a graph for each of the first test tasks by their hidden tests"
    _accuracy(
        made, "An oracle passes at least 5 percentage points more tasks than the best fixed graph",
        world, oracle, best, searched, at_least=ORACLE_GAIN, control=True, note=note,
        tasks="the first test tasks",
    )  # fmt: skip
    made.add(
        "The mean reward of its graphs is above that of the pruned graph",
        statement=world,
        measured=f"mean reward on the first test tasks, {oracle} - pruned graph",
        metric="reward",
        unit="reward",
        arm=oracle,
        baseline="pruned graph",
        value=statistics.compare(searched[oracle]["reward"], searched["pruned graph"]["reward"]),
        at_least=ORACLE_REWARD,
        judge="interval",
        control=True,
        note="added after the first recorded run",
    )
