"""What the Bayesian-network actor-critic experiment concludes, against thresholds fixed before.

Shapes: ``G`` graphs, ``S`` seeds, ``I`` iterations.
"""

from typing import Any

import numpy as np

from experiments.bn_actor_critic import NAME
from experiments.bn_actor_critic.config import ANNEALED, Config
from experiments.bn_actor_critic.neighbors import NO_PARENTS
from experiments.harness.claims import STRICTLY, Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

GAIN = 0.03  # share of the optimal value that the full graph adds to independent policies, at least
MORE = 0.0  # an arm's value or return minus that of its baseline, at least
CLOSED = 0.25  # Nash gap after the ascent as a share of the initial one, at most
NEIGHBORS = 0.1  # share of the best that exchanging critics on a path adds, at least
PARITY = 0.05  # share of the best that full averaging loses against the team reward, at most
SPARSE = 0.05  # density of an annealed graph at the end of training, at most
KEPT = 0.1  # share of its return that an annealed team loses when executed without edges, at most
NO_MORE = 0.0  # loss without edges minus KEPT × return, at most

BENEFICIAL = (
    "Action dependencies among agents are beneficial in cooperative multi-agent reinforcement "
    "learning (Chen and Zhang 2023, abstract)."
)
GAME_NAMES = {
    "aloha": "slotted Aloha",
    "informed": "the game of one informed agent",
    "coordination": "the coordination game",
}
TEAM_ARM_NAMES = {
    "independent": "MAPPO (no edges)",
    "full": "the full graph",
    "learnt": "learned graphs",
    "random": "random graphs",
    ANNEALED: "annealed graphs",
}


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare graphs of tabular policies, of networked agents and of teams."""
    made = ClaimList(NAME)
    for n in config.sizes:
        add_tables(made, n, results["tables"][str(n)])
    add_neighbors(made, results["neighbors"])
    for game in GAME_NAMES:
        size = getattr(config, game)
        if size:
            add_teams(made, f"{GAME_NAMES[game]} with {size} agents", results["teams"][game])
    return made


def add_tables(made: ClaimList, n: int, found: Results) -> None:
    """Tabular policies of ``n`` agents on the coordination game."""
    independent, line, full = found["value"][:, :, -1]
    about: dict[str, Any] = {
        "metric": "value of the joint policy, as a share of the optimal value",
        "unit": "fraction",
    }
    made.add(
        f"In the tabular coordination game with {n} agents, the full graph adds at least {GAIN} of "
        "the optimal value to independent policies",
        statement=BENEFICIAL,
        measured="final value with the full graph - with no edges",
        arm="full graph",
        baseline="no edges (independent policies)",
        value=statistics.compare(full, independent),
        at_least=GAIN,
        judge="interval",
        note="with two agents the line is the full graph" if n == 2 else "",
        **about,
    )
    if n > 2:
        made.add(
            f"In the tabular coordination game with {n} agents, the gain of a line of {n - 1} "
            "edges over independent policies is positive over its whole confidence interval",
            statement=BENEFICIAL,
            measured="final value with the line - with no edges",
            arm="line",
            baseline="no edges (independent policies)",
            value=statistics.compare(line, independent),
            at_least=MORE,
            judge="interval",
            **about,
        )
        made.add(
            f"In the tabular coordination game with {n} agents, the full graph reaches at least "
            "the value of the line",
            statement="Own check: more edges do not reduce the value that is reached.",
            measured="final value with the full graph - with the line",
            arm="full graph",
            baseline="line",
            value=statistics.compare(full, line),
            at_least=MORE,
            judge="interval",
            **about,
        )
    made.add(
        f"In the tabular coordination game with {n} agents, gradient ascent leaves at most a "
        "quarter of the initial Nash gap",
        statement="The policy gradient of a Bayesian-network joint policy converges to Nash "
        "equilibria under tabular softmax parameterization (Chen and Zhang 2023, abstract).",
        measured="Nash gap after the ascent / before it, both means over the three graphs",
        metric="Nash gap (largest gain of an agent that alone changes its policy)",
        unit="ratio",
        arm="final tables",
        baseline="initial tables",
        value=statistics.summarize(found["gap"].mean(axis=0) / found["start"].mean(axis=0)),
        at_most=CLOSED,
    )


def add_neighbors(made: ClaimList, found: dict[str, np.ndarray]) -> None:
    """Networked agents with private rewards on a path."""

    def add(sentence: str, plus: str, minus: str, **details: Any) -> None:
        made.add(
            f"With three networked agents on a path, {sentence}",
            measured=f"mean reward of the learned joint policy: {plus} - {minus}",
            metric="exact mean reward per step, as a share of the best",
            unit="fraction",
            value=statistics.compare(found[plus], found[minus]),
            **details,
        )

    add(
        f"exchanging critics adds at least {NEIGHBORS} of the best mean reward to isolated agents",
        plus="path",
        minus="isolated",
        statement="Own check: agents with private rewards that exchange critics act for the team.",
        arm="path, private rewards",
        baseline="isolated, private rewards",
        at_least=NEIGHBORS,
    )
    add(
        "conditioning on the action of the preceding neighbor does not reduce the mean reward",
        plus="path",
        minus=NO_PARENTS,
        statement=f"Own check: the same holds for networked agents. {BENEFICIAL}",
        arm="path, agents condition on their predecessor's action",
        baseline="path, independent policies",
        at_least=MORE,
    )
    add(
        f"agents with private rewards that average with all others lose at most {PARITY} of the "
        "best mean reward against agents that receive the team's reward",
        plus="team reward",
        minus="complete graph",
        statement="Own check: full averaging of critics replaces a shared reward.",
        arm="complete graph, private rewards",
        baseline="team reward, no exchange (centralized)",
        at_most=PARITY,
    )


def add_teams(made: ClaimList, game: str, found: dict[str, dict[str, np.ndarray]]) -> None:
    """BN-MAPPO with different graphs.

    Raises:
        ValueError: if an arm that the claims compare was not run.
    """
    missing = {"independent", "full", "learnt", ANNEALED} - set(found)
    if missing:
        raise ValueError(f"team_graphs: expected {', '.join(sorted(missing))} too")
    returns = {arm: of_arm["return"] for arm, of_arm in found.items()}
    benchmarks = (
        "Empirical results on a range of multi-agent benchmarks show the benefits of the learned "
        "Bayesian-network policies (Chen and Zhang 2023, abstract)."
    )
    more = "earn a higher return than {}"
    no_less = "earn at least the return of {}"
    pairs: tuple[tuple[str, str, str, str, float], ...] = (
        ("learnt", "independent", more, benchmarks, STRICTLY),
        ("full", "independent", more.replace("earn", "earns"), BENEFICIAL, STRICTLY),
        ("learnt", "full", no_less, "Own check: sampled graphs suffice.", MORE),
        (ANNEALED, "independent", no_less, benchmarks, MORE),
    )
    for arm, baseline, comparison, statement, least in pairs:
        written, other = TEAM_ARM_NAMES[arm], TEAM_ARM_NAMES[baseline]
        made.add(
            f"On {game}, {written} {comparison.format(other)}",
            statement=statement,
            measured=f"return with {written} - return with {other}",
            metric="mean episode return of the team on fresh episodes",
            unit="return",
            arm=written,
            baseline=other,
            value=statistics.compare(returns[arm], returns[baseline]),
            at_least=least,
            judge="interval",
        )
    learnt = found["learnt"]
    made.add(
        f"On {game}, a team with learned graphs loses more than a tenth of its return when it is "
        "executed without edges",
        statement="Control: the team uses its edges; otherwise execution without edges says "
        "nothing.",
        measured=f"(return with edges - return without edges) - {KEPT} × |return with edges|",
        metric="mean episode return of the team on fresh episodes",
        unit="return",
        arm="learned graphs, executed without edges",
        baseline=f"{KEPT} × the same team with edges",
        value=statistics.compare(learnt["return"] - learnt["cut"], KEPT * np.abs(learnt["return"])),
        at_least=MORE,
        judge="interval",
        control=True,
    )
    add_annealed(made, game, found[ANNEALED])


def add_annealed(made: ClaimList, game: str, annealed: dict[str, np.ndarray]) -> None:
    """Whether annealing leads to policies that need no edges."""
    weakly_dependent = (
        "The sparsity of the learned graph is changed throughout training, which leads to weakly "
        "or even purely independent policies for decentralized execution (Chen and Zhang 2023, "
        "abstract)."
    )
    last = max(annealed["density"].shape[1] // 20, 1)
    lost = annealed["return"] - annealed["cut"]
    made.add(
        f"On {game}, annealed graphs have a density of at most {SPARSE} at the end of training",
        statement=weakly_dependent,
        measured="mean density over the last twentieth of the iterations",
        metric="density of the sampled graphs (1: full graph)",
        unit="fraction",
        arm="annealed graphs",
        value=statistics.summarize(annealed["density"][:, -last:].mean(axis=1)),
        at_most=SPARSE,
    )
    made.add(
        f"On {game}, a team with annealed graphs loses at most a tenth of its return when it is "
        "executed without edges",
        statement=weakly_dependent,
        measured=f"(return with edges - return without edges) - {KEPT} × |return with edges|",
        metric="mean episode return of the team on fresh episodes",
        unit="return",
        arm="annealed graphs, executed without edges",
        baseline=f"{KEPT} × the same team with edges",
        value=statistics.compare(lost, KEPT * np.abs(annealed["return"])),
        at_most=NO_MORE,
    )
