"""Figure of the Bristle experiment: accuracy under every attack, and over rounds under noise."""

from pathlib import Path

import numpy as np

from experiments.bristle.claims import last_evaluation
from experiments.bristle.config import CONDITIONS, Config, arm_name
from experiments.harness.protocol import Results
from jaxswarm import plotting

SHORT_NAMES = {
    "none": "none",
    "noise": "noise",
    "label_flip_2": "flip two labels",
    "label_flip_all": "flip all labels",
    "fang_krum": "Fang, Krum",
    "fang_trimmed_mean": "Fang, trimmed mean",
}


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw a table of the final accuracy, arms by attacks, and learning curves under noise."""
    arms = results["accuracy"]["non-iid"]
    final = last_evaluation(arms)
    shown = [condition for condition in CONDITIONS if condition in final["bristle"]]
    table = [
        [of_arm[condition].mean() if condition in of_arm else np.nan for condition in shown]
        for of_arm in final.values()
    ]
    left, right = np.ravel(plotting.panels(1, 2, width=7.2, height=5.2))
    plotting.heatmap(
        np.array(table),
        [arm_name(arm) for arm in final],
        [SHORT_NAMES[condition] for condition in shown],
        limits=(0.0, 1.0),
        title="Test accuracy of honest agents, non-IID data",
        xlabel="attack",
        ax=left,
    )
    plotting.curves(
        {
            arm_name(arm): conditions["noise"]
            for arm, conditions in arms.items()
            if not arm.startswith("scratch")
        },
        np.arange(1, config.rounds // config.every + 1) * config.every,
        title="Learning curves under noise, with the frozen body",
        ylabel="test accuracy of honest agents (median and quartiles of seeds)",
        ax=right,
    )
    plotting.save(left, path)
