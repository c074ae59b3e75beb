"""Figure of the DRED experiment: levels of the generators, solve curves and their intervals."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.dred.claims import BASELINES, solved
from experiments.dred.config import Config
from experiments.harness.protocol import Results
from jaxswarm import plotting, statistics
from jaxswarm.envs import maze

SHOWN = {"starting set": "starting set", "VAE": "VAE", "ACCEL-D": "20 × 5 edits", "DR": "random"}
"""Generators whose levels are drawn, with their labels."""
ARMS = ("uniform", "DR", "ACCEL", "VAE-DRED", "more levels")
"""Arms whose curves are drawn."""


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw levels in columns on the left, curves and intervals on the right.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.dred.arms.run`.
        path: of the PNG.
    """
    rows = len(results["examples"]["DR"]["start"])
    grid = plotting.panels(3, 11, width=1.5, height=2.0)
    figure = grid[0, 0].figure
    spec = grid[0, 0].get_gridspec()
    for ax in grid.flat:
        ax.remove()
    inner = spec[:, :4].subgridspec(rows, len(SHOWN), wspace=0.05, hspace=0.05)
    for column, (name, label) in enumerate(SHOWN.items()):
        levels = results["examples"][name]
        for row in range(rows):
            ax = figure.add_subplot(inner[row, column])
            level = maze.Level(*(np.asarray(levels[field])[row] for field in maze.Level._fields))
            maze.draw_level(level, ax)
            if row == 0:
                ax.set_title(label, fontsize=11)
    training = results["training"]
    curves = plotting.tidy(figure.add_subplot(spec[:, 4:7]))
    _curves(curves, config, training)
    _gains(plotting.tidy(figure.add_subplot(spec[0:2, 8:11])), training)
    _distances(plotting.tidy(figure.add_subplot(spec[2, 8:11])), results["generators"])
    plotting.save(figure, path)


def _curves(ax: Any, config: Config, training: Results) -> None:
    steps = config.iterations * config.envs * config.steps / 1000.0
    at = steps * np.arange(1, config.checks + 1) / config.checks
    for number, arm in enumerate(name for name in ARMS if name in training):
        found = np.asarray(training[arm]["solved"]["held_out"])
        mean, error = found.mean(0), found.std(0, ddof=1) / np.sqrt(len(found))
        color = plotting.PALETTE[number]
        ax.plot(at, mean, color=color, lw=2.2, marker="o", ms=3, label=arm)
        ax.fill_between(at, mean - error, mean + error, color=color, alpha=0.18, lw=0)
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    ax.set_ylim(0.0, 1.0)
    ax.locator_params(axis="x", nbins=5)
    label = "thousand steps trained on"
    plotting.titles(ax, "Held-out levels solved, mean ± standard error", label, "share")


def _gains(ax: Any, training: Results) -> None:
    own = solved(training["VAE-DRED"], "held_out")
    effects = {
        name: statistics.compare(own, solved(training[name], "held_out"))
        for name in (*BASELINES, "EL-DRED", "more levels")
        if name in training
    }
    plotting.intervals(
        effects,
        xlabel="difference in solve rate",
        title="Gain of VAE-DRED on held-out levels",
        ax=ax,
    )


def _distances(ax: Any, generators: Results) -> None:
    found = {
        SHOWN.get(name, name): statistics.summarize(generators[name]["shift"])
        for name in ("starting set", "EL", "VAE", "mixed cells", "ACCEL-D", "DR")
    }
    plotting.intervals(found, xlabel="distance from held-out levels", title="", ax=ax)
