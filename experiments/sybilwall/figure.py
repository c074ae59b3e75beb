"""Figure of the SybilWall experiment: attack score and accuracy of every rule in every scenario."""

from pathlib import Path

import numpy as np

from experiments.harness.protocol import Results
from experiments.sybilwall.config import ATTACKS, LOCAL_ONLY, Config, scenario_names
from jaxswarm import plotting

RULE_LABELS = {
    "averaging": "plain averaging",
    "median": "median",
    "krum": "Krum",
    "multi-krum": "Multi-Krum",
    "foolsgold": "FoolsGold",
    LOCAL_ONLY: "SybilWall, local histories",
    "sybilwall": "SybilWall",
}


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw tables of the attack score under each attack and of the test accuracy, as fractions.

    Numbers are means over seeds; the accuracy is also a mean over both attacks.
    """
    scenarios = scenario_names(config)
    rules = list(results["score"])
    labels = [RULE_LABELS[rule] for rule in rules]
    axes = np.ravel(plotting.panels(1, 3, width=4.8, height=4.6))
    for index, attack in enumerate(ATTACKS):
        plotting.heatmap(
            np.stack([results["score"][rule][index].mean(axis=-1) for rule in rules]),
            labels if index == 0 else [""] * len(rules),
            scenarios,
            limits=(0.0, 1.0),
            cmap="Reds",
            title=f"{attack.capitalize()}: attack score",
            xlabel="scenario: attack edges per honest agent (φ)",
            ax=axes[index],
        )
    plotting.heatmap(
        np.stack([results["accuracy"][rule].mean(axis=(0, 2)) for rule in rules]),
        [""] * len(rules),
        scenarios,
        limits=(0.0, 1.0),
        title="Accuracy of honest agents",
        xlabel="scenario: attack edges per honest agent (φ)",
        ax=axes[2],
    )
    plotting.save(axes[0], path)
