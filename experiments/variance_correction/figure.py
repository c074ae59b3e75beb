"""Figure of the variance-correction experiment."""

from pathlib import Path

import numpy as np

from experiments.harness.protocol import Results
from experiments.variance_correction.config import Config
from jaxswarm import plotting

_LABELS = {
    "corrected": "corrected, own starts",
    "server, one start": "server, common start",
    "plain, one start": "plain, common start",
    "isolated": "isolated",
    "plain": "plain, own starts",
    "server, own starts": "server, own starts",
}


def plot(config: Config, results: Results, path: Path) -> None:
    """Plot test accuracy and the variance of the first layer's weights over ticks."""
    arms, tick = results["arms"], results["tick"]
    left, right = np.ravel(plotting.panels(1, 2, width=6.4, height=4.4))
    plotting.curves(
        {label: arms[name]["accuracy"] for name, label in _LABELS.items()},
        tick,
        xlabel="tick (one SGD step and one average)",
        title="Accuracy by averaging rule and initial models",
        ylabel="test accuracy, mean over agents",
        ax=left,
    )
    plotting.curves(
        {
            label: arms[name]["variance"] / arms[name]["variance"][:, :1]
            for name, label in _LABELS.items()
        },
        tick,
        xlabel="tick (one SGD step and one average)",
        title="Variance of the first layer's weights",
        ylabel="fraction of the initial variance; dotted line: 1/N",
        log=True,
        ax=right,
    )
    right.axhline(1.0 / config.agents, color="#9A9A9A", linestyle=":", zorder=1)
    plotting.save(left, path)
