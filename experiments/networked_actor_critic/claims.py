"""What the networked actor-critic experiment concludes, against thresholds fixed before the run.

Team returns are shares of what always giving earns. Shapes: ``S`` seeds.
"""

from typing import Any

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.networked_actor_critic import NAME
from experiments.networked_actor_critic.config import Config
from experiments.networked_actor_critic.linear import DELAY, DELAYED
from jaxswarm import statistics

GAIN = 0.5  # team return that exchanging with neighbors adds to isolated learning, at least
PARITY = 0.05  # team return that full averaging loses against the team reward, at most
LOSS = 0.05  # team return lost by compression, by delay or by one peer per step, at most
LIMIT = 0.1  # relative distance of the farthest critic from the exact fixed point, at most
CONTRACTION = 1.001  # one-step ratio of the disagreement over |λ₂|², at most (rounding allowed)
BROKEN = 0.3  # team return lost to one Byzantine agent under plain averaging, at least (control)
WITHSTOOD = 0.1  # team return lost to the same agent under a trimmed mean, at most
CRITICS_ONLY = 0.2  # team return that averaged critics alone add to isolated PPO, at most (control)

TEAM_RETURN = "team return (mean reward of all agents, as a share of always giving's)"
MAXIMIZES = (
    "Agents with private rewards that exchange information with their neighbors maximize the "
    "globally averaged return (Zhang et al. 2018, abstract)."
)


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare networks with isolated and centralized learning, and with less communication."""
    made = ClaimList(NAME)
    add_convergence(made, results)
    add_linear(made, {arm: returns[:, -1] for arm, returns in results["linear"].items()})
    add_ppo(made, results["ppo_final"])
    return made


def add_convergence(made: ClaimList, results: Results) -> None:
    """Linear critics against what linear algebra predicts."""
    made.add(
        "With a fixed policy and linear critics exchanged on a ring, every agent's critic comes "
        "within a relative distance of 0.1 of the exact fixed point for the team's mean reward",
        statement="Convergence is guaranteed when the value functions are approximated within the "
        "class of linear functions (Zhang et al. 2018, abstract).",
        measured="largest ‖critic of an agent - fixed point‖ / ‖fixed point‖ over agents; the "
        "fixed point is found by linear solves",
        metric="relative distance of the critic's parameters",
        unit="ratio",
        arm="ring",
        baseline="exact fixed point",
        value=statistics.summarize(results["limit"]["ring"]),
        at_most=LIMIT,
    )
    made.add(
        "On a ring, the disagreement of the critics shrinks by |λ₂|² or faster per exchange",
        statement="Own check: averaging contracts the disagreement at the rate of the second "
        "largest eigenvalue λ₂ of the mixing matrix. Learning rates are zero.",
        measured="largest ratio of the disagreement after and before an exchange / |λ₂|²",
        metric="disagreement (sum of squared distances from the mean critic)",
        unit="ratio",
        arm="ring",
        baseline="|λ₂|²",
        value=statistics.summarize(results["spectral"]),
        at_most=CONTRACTION,
        note="follows from linear algebra: a check of the code that no learner can break",
    )


def add_linear(made: ClaimList, returns: Results) -> None:
    """Linear critics on the dilemma: graphs, restricted communication, a Byzantine agent."""

    def add(sentence: str, plus: str, minus: str, **details: Any) -> None:
        made.add(
            f"On the dilemma game with linear critics, {sentence}",
            measured=f"team return after the last step: {plus} - {minus}",
            metric=TEAM_RETURN,
            unit="fraction",
            value=statistics.compare(returns[plus], returns[minus]),
            judge="interval",
            **details,
        )

    add(
        "exchanging critics on a ring raises the team return by at least 0.5 over isolated agents",
        plus="ring",
        minus="isolated",
        statement=MAXIMIZES,
        arm="ring, private rewards",
        baseline="isolated, private rewards",
        at_least=GAIN,
    )
    add(
        "exchanging action values on a ring (Algorithm 1) raises the team return by at least 0.5 "
        "over isolated agents",
        plus="ring, action values",
        minus="isolated, action values",
        statement=MAXIMIZES,
        arm="ring, private rewards, action values",
        baseline="isolated, private rewards, action values",
        at_least=GAIN,
    )
    add(
        "agents with private rewards that average with all others lose at most 0.05 of team return "
        "against agents that receive the team's mean reward",
        plus="team reward",
        minus="complete graph",
        statement=MAXIMIZES,
        arm="complete graph, private rewards",
        baseline="team reward, no exchange (centralized)",
        at_most=PARITY,
    )
    add(
        "exchanging with one peer per step costs at most 0.05 of team return against a ring",
        plus="ring",
        minus="one peer per step",
        statement="The communication network may be time-varying and sparse (Zhang et al. 2018, "
        "abstract).",
        arm="one peer per step (one-peer exponential graph)",
        baseline="ring",
        at_most=LOSS,
    )
    add(
        "sending 8 bits per number costs at most 0.05 of team return against full precision",
        plus="ring",
        minus="ring, 8 bits",
        statement="Own check: compressed messages are enough.",
        arm="ring, 8 bits",
        baseline="ring",
        at_most=LOSS,
    )
    add(
        f"messages that are {DELAY} steps late cost at most 0.05 of team return against messages "
        "without delay",
        plus="ring",
        minus=DELAYED,
        statement="Own check: delayed messages are enough.",
        arm=DELAYED,
        baseline="ring",
        at_most=LOSS,
    )
    add(
        "one Byzantine agent costs at least 0.3 of team return under plain averaging",
        plus="complete graph",
        minus="Byzantine agent, averaging",
        statement="Control: the attack is strong enough to break a rule that is not robust.",
        arm="averaging, one Byzantine agent that sends minus four times its critic",
        baseline="averaging, no Byzantine agent",
        at_least=BROKEN,
        control=True,
    )
    add(
        "one Byzantine agent costs at most 0.1 of team return under a trimmed mean",
        plus="complete graph",
        minus="Byzantine agent, trimmed mean",
        statement="Own check: a robust aggregation rule withstands a Byzantine critic.",
        arm="trimmed mean, one Byzantine agent",
        baseline="averaging, no Byzantine agent",
        at_most=WITHSTOOD,
    )


def add_ppo(made: ClaimList, returns: Results) -> None:
    """Networked PPO on the donation game."""

    def add(sentence: str, plus: str, minus: str, **details: Any) -> None:
        made.add(
            f"With PPO on the donation game, {sentence}",
            measured=f"team return of the learned policies on evaluation episodes: {plus} - "
            f"{minus}",
            metric=TEAM_RETURN,
            unit="fraction",
            value=statistics.compare(returns[plus], returns[minus]),
            judge="interval",
            **details,
        )

    add(
        "exchanging critics and reward models over the network raises the team return by at least "
        "0.5 over isolated agents",
        plus="network",
        minus="isolated",
        statement=f"Own check: the same holds for PPO. {MAXIMIZES}",
        arm="network, private rewards",
        baseline="isolated, private rewards",
        at_least=GAIN,
    )
    add(
        "agents with private rewards that average with all others lose at most 0.05 of team return "
        "against agents that receive the team's mean reward",
        plus="team reward",
        minus="complete graph",
        statement=f"Own check: the same holds for PPO. {MAXIMIZES}",
        arm="complete graph, private rewards",
        baseline="team reward, no exchange (centralized)",
        at_most=PARITY,
    )
    add(
        "agents that observe the team's mean reward lose at most 0.05 of team return by learning "
        "from a model of it",
        plus="team reward",
        minus="team reward, own model",
        statement="Control: what a reward model costs without any exchange.",
        arm="team reward, own reward model",
        baseline="team reward, no reward model",
        at_most=PARITY,
        control=True,
    )
    add(
        "averaging critics while advantages use each agent's own reward raises the team return by "
        "at most 0.2 over isolated agents",
        plus="critics only",
        minus="isolated",
        statement="Control: the exchanged reward model is needed; averaged values alone do not "
        "lead to the team's optimum.",
        arm="network, critics only",
        baseline="isolated, private rewards",
        at_most=CRITICS_ONLY,
        control=True,
    )
