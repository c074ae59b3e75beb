"""Figure of the grid of aggregation rules and attacks."""

from pathlib import Path

import numpy as np

from experiments.byzantine_grid.config import Config, label
from experiments.harness.protocol import Results
from jaxswarm import plotting


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the mean accuracy of every rule under every attack as a coloured table."""
    table = results["accuracy"]
    attacks = list(next(iter(table.values())))
    values = np.array([[np.mean(table[rule][attack]) for attack in attacks] for rule in table])
    width, height = 4.6 + 1.0 * len(attacks), 3.2 + 0.5 * len(table)
    axes = plotting.heatmap(
        values,
        [label(rule) for rule in table],
        [label(attack) for attack in attacks],
        label="accuracy",
        title=f"Test accuracy of honest agents after {config.rounds} rounds, mean over seeds",
        xlabel="attack",
        ylabel="aggregation rule",
        limits=(0.0, 1.0),
        ax=plotting.axes(width=width, height=height),
    )
    plotting.save(axes, path)
