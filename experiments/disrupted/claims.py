"""Claims of the disruption experiment, with thresholds fixed before the measured run."""

import numpy as np

from experiments.disrupted import NAME
from experiments.disrupted.config import Config
from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from jaxswarm import statistics

LINKS_OVER_DATA = 3.0  # accuracy lost with the links over that lost with the data too, at least
LARGEST_SHARE = 0.2  # fraction of removed agents up to which links are compared with data
EXCESS = 0.0  # accuracy lost with the links less LINKS_OVER_DATA times the data's, at least
RANDOM_OVER_HUBS = 0.5  # accuracy lost with random agents over that lost with hubs, at most
RANDOM_EXCESS = 0.0  # accuracy lost with random agents less that share of the hubs', at most
KEPT = 0.8  # accuracy of the survivors over their undisturbed accuracy, at least
OVER_ALONE = 0.05  # accuracy in the largest component over training alone, at least
LATER_IS_NO_WORSE = -0.01  # change of accuracy with a later disruption, at least

_LINKS = (
    "The accuracy of the learning process is more affected by a loss of connectivity than by a "
    "loss of data (Palmieri et al. 2023, abstract)"
)
_ROBUST = (
    "The network remains relatively robust and the learning process can achieve a good level of "
    "accuracy (Palmieri et al. 2023, abstract)"
)


class Accuracies:
    """Final test accuracy of each arm, mean over some of its agents."""

    def __init__(self, results: Results):
        self._arms = results["arms"]

    def survivors(self, arm: str) -> np.ndarray:
        """Mean over the survivors of ``arm``, ``[S]``."""
        return self.of(arm, self._arms[arm]["alive"])

    def undisturbed(self, arm: str, undisturbed: str) -> np.ndarray:
        """Mean over the same agents in the arm ``undisturbed``, ``[S]``."""
        return self.of(undisturbed, self._arms[arm]["alive"])

    def of(self, arm: str, counted: np.ndarray) -> np.ndarray:
        """Mean over the agents ``counted``, ``bool[S, N]``; ``[S]``."""
        last = self._arms[arm]["accuracy"][:, -1]
        return np.where(counted, last, 0.0).sum(axis=1) / counted.sum(axis=1)

    def largest_component(self, arm: str) -> np.ndarray:
        """``bool[S, N]``: agents in the largest component of the survivors of ``arm``."""
        component = self._arms[arm]["component"]
        members = np.zeros(component.shape, bool)
        for seed, labels in enumerate(component):
            members[seed] = labels == np.argmax(np.bincount(labels[labels >= 0]))
        return members


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the survivors' final accuracies between arms with the thresholds above."""
    found = ClaimList(NAME)
    accuracies = Accuracies(results)
    _add_links_over_data(found, config, accuracies)
    _add_random_over_hubs(found, config, accuracies)
    _add_robustness(found, config, accuracies)
    _add_later_disruption(found, config, accuracies)
    return found


def _add_links_over_data(found: ClaimList, config: Config, accuracies: Accuracies) -> None:
    data_note = "hubs without data: their samples are held by the other agents instead"
    start_note = (
        "; from independent models, averaging shrinks the variance of the weights, which is a "
        "confound of the paper's setting"
    )
    for start in ("", ", common start"):
        note = data_note + (start_note if start else "")
        condition = " and all agents start from one common model" if start else ""
        for m in config.attachments:
            for q in (q for q in config.shares if q <= LARGEST_SHARE):
                links = f"m={m} q={q:g} links{start}"
                both = f"m={m} q={q:g} links and data{start}"
                whole = accuracies.undisturbed(links, f"m={m} undisturbed{start}")
                by_links = whole - accuracies.survivors(links)
                by_data = accuracies.survivors(links) - accuracies.survivors(both)
                found.add(
                    f"When the hubs (the {q:.0%} of the agents with the most links) disappear "
                    f"from {_graph(m)}{condition}, losing their links costs the survivors at least "
                    f"{LINKS_OVER_DATA:g} times the accuracy that losing their data adds",
                    statement=_LINKS,
                    measured=(
                        "(accuracy undisturbed - accuracy without the links) - "
                        f"{LINKS_OVER_DATA:g} * (accuracy without the links - accuracy without "
                        "links and data), over the survivors"
                    ),
                    metric="test accuracy of the survivors",
                    unit="fraction",
                    arm=f"hubs without data removed, m = {m}, q = {q:g}{start}",
                    baseline=f"{LINKS_OVER_DATA:g} times the loss added by data",
                    value=statistics.summarize(by_links - LINKS_OVER_DATA * by_data),
                    at_least=EXCESS,
                    judge="interval",
                    note=note,
                )


def _add_random_over_hubs(found: ClaimList, config: Config, accuracies: Accuracies) -> None:
    for m in config.attachments:
        undisturbed = f"m={m} undisturbed"
        for q in config.shares:
            hubs, random = f"m={m} q={q:g} links and data", f"m={m} q={q:g} random"
            by_hubs = accuracies.undisturbed(hubs, undisturbed) - accuracies.survivors(hubs)
            by_random = accuracies.undisturbed(random, undisturbed) - accuracies.survivors(random)
            found.add(
                f"When {q:.0%} of the agents, chosen at random, disappear from {_graph(m)}, the "
                "survivors lose at most half of the accuracy that they lose when as many hubs "
                "disappear",
                statement=(
                    "Own check: agents with many links matter more than others, so that removing "
                    "random ones must do less damage than removing hubs"
                ),
                measured=(
                    "accuracy lost with random agents removed - "
                    f"{RANDOM_OVER_HUBS:g} * accuracy lost with hubs removed, over the survivors"
                ),
                metric="test accuracy of the survivors",
                unit="fraction",
                arm=f"random agents removed, m = {m}, q = {q:g}",
                baseline=f"{RANDOM_OVER_HUBS:g} times the loss with hubs removed",
                value=statistics.summarize(by_random - RANDOM_OVER_HUBS * by_hubs),
                at_most=RANDOM_EXCESS,
                judge="interval",
            )


def _add_robustness(found: ClaimList, config: Config, accuracies: Accuracies) -> None:
    q = min(config.shares)
    for m in (m for m in config.attachments if m >= 2):
        arm = f"m={m} q={q:g} links and data"
        ratio = accuracies.survivors(arm) / accuracies.undisturbed(arm, f"m={m} undisturbed")
        found.add(
            f"When the hubs (the {q:.0%} of the agents with the most links) disappear with "
            f"their data from {_graph(m)}, the survivors keep at least {KEPT:.0%} of the "
            "accuracy that they reach without the disruption",
            statement=_ROBUST,
            measured="accuracy of the survivors / of the same agents in the undisturbed network",
            metric="test accuracy of the survivors",
            unit="ratio",
            arm=f"hubs with data removed, m = {m}, q = {q:g}",
            baseline="undisturbed network, same agents",
            value=statistics.summarize(ratio),
            at_least=KEPT,
            judge="interval",
        )
        largest = accuracies.largest_component(arm)
        found.add(
            f"When the hubs (the {q:.0%} of the agents with the most links) disappear with "
            f"their data from {_graph(m)}, the survivors in the largest connected component "
            f"are at least {OVER_ALONE:g} more accurate than agents that train alone",
            statement=_ROBUST,
            measured="accuracy in the largest component - of the same agents trained alone",
            metric="test accuracy of the largest component",
            unit="fraction",
            arm=f"hubs with data removed, m = {m}, q = {q:g}",
            baseline="training alone, same agents",
            value=statistics.compare(
                accuracies.of(arm, largest), accuracies.of(f"m={m} alone", largest)
            ),
            at_least=OVER_ALONE,
            judge="interval",
        )


def _add_later_disruption(found: ClaimList, config: Config, accuracies: Accuracies) -> None:
    q = config.shares[0]
    rounds = ", ".join(map(str, config.times))
    for m in config.attachments:
        first = f"m={m} q={q:g} links and data"
        arms = [first, *(f"{first}, at {time}" for time in config.times[1:])]
        steps = np.diff(np.stack([accuracies.survivors(arm) for arm in arms], axis=1), axis=1)
        found.add(
            f"When the hubs (the {q:.0%} of the agents with the most links) disappear with "
            f"their data from {_graph(m)}, doing so in a later round (of {rounds}) never "
            f"lowers the survivors' final accuracy by more than {-LATER_IS_NO_WORSE:g}",
            statement=(
                "Own check: the later the disruption, the more the survivors have learned before "
                "it (the time of the disruption is a subject of the follow-up, Palmieri et al. "
                "2024)"
            ),
            measured=(
                "change of accuracy from one round of disruption to the next later one, for the "
                "pair with the smallest mean change"
            ),
            metric="test accuracy of the survivors",
            unit="fraction",
            arm=f"hubs with data removed later, m = {m}, q = {q:g}",
            baseline="the next earlier disruption",
            value=statistics.summarize(steps[:, np.argmin(steps.mean(axis=0))]),
            at_least=LATER_IS_NO_WORSE,
            judge="interval",
        )


def _graph(m: int) -> str:
    """Name of the graph family with ``m`` links per new node."""
    return f"a Barabási-Albert graph with {m} link{'' if m == 1 else 's'} per new node"
