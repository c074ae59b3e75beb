"""Figure of the HAMMER experiment: learning curves of every game."""

from pathlib import Path

import numpy as np

from experiments.hammer.config import NAVIGATION, Config
from experiments.harness.protocol import Results
from jaxswarm import plotting


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the return of an agent over PPO iterations, one panel for every game."""
    columns = min(len(results), 3)
    rows = -(-len(results) // columns)
    grid = plotting.panels(rows, columns, width=6.2, height=4.2)
    for position, (game, arms) in enumerate(results.items()):
        title = game.capitalize()
        if game == NAVIGATION:
            title = f"Navigation, {config.navigators} agents"
        curves = {arm: found["curve"] for arm, found in arms.items()}
        ax = plotting.curves(
            curves,
            {arm: np.arange(1, curve.shape[1] + 1) for arm, curve in curves.items()},
            xlabel="PPO iteration",
            ylabel="episode return of an agent in training (median, quartiles)",
            title=title,
            ax=grid[position // columns, position % columns],
        )
        for line in ax.lines:  # a line of one point would be invisible
            if len(line.get_xdata()) == 1:
                line.set_marker("o")
    for ax in grid.flat[len(results) :]:
        ax.set_axis_off()
    plotting.save(grid[0, 0], path)
