"""Figure of the DIMAT experiment."""

from pathlib import Path

import numpy as np

from experiments.dimat.config import ARMS, Config
from experiments.harness.protocol import Results
from jaxswarm import plotting

_TITLES = {
    "ring": "Ring",
    "complete": "Complete graph",
    "IID": "IID data",
    "disjoint": "disjoint classes",
}
_MORE_SENT = 1.5  # ratio of transfers to DIMAT's from which it is part of an arm's label


def plot(config: Config, results: Results, path: Path) -> None:
    """Plot test accuracy right after each exchange, one panel per graph and data distribution."""
    panels = plotting.panels(len(config.graphs), len(config.deals), width=7.0, height=4.4)
    cycles = np.asarray(results["cycle"], float)
    for row, graph in enumerate(config.graphs):
        for column, deal in enumerate(config.deals):
            before = results["before"][deal][:, None]
            arms, series, x, colors = results["arms"][graph][deal], {}, {}, {}
            for name, arm in arms.items():
                more = arm["transfers"][0, -1] / arms["DIMAT"]["transfers"][0, -1]
                label = f"{name} ({more:.0f}x transfers)" if more > _MORE_SENT else name
                points = arm.get("merged", arm["accuracy"])
                series[label] = np.concatenate([before, points], axis=1)
                # A merge comes at the start of its cycle, all other exchanges at its end.
                position = cycles - 1.0 if "merged" in arm else cycles
                x[label] = np.concatenate([[0.0], position + 0.1])
                colors[label] = plotting.PALETTE[ARMS.index(name) % len(plotting.PALETTE)]
            ax = plotting.curves(
                series,
                x,
                xlabel="cycles of merging and training",
                ylabel="test accuracy after each exchange",
                title=f"{_TITLES[graph]}, {_TITLES[deal]}",
                colors=colors,
                ax=panels[row, column],
            )
            ax.set_ylim(0.0, 1.0)
    plotting.save(panels[0, 0], path)
