"""Figure of the KNEXA-FL experiment: regrets, accuracies, and the matching graph."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.knexa_fl.arms import ARMS, final, mean_accuracy
from experiments.knexa_fl.bandit_tiers import (
    CONCAT,
    GREEDY_ORACLE,
    JS_GREEDY,
    LINUCB,
    PAIRWISE,
    RANDOM,
)
from experiments.knexa_fl.config import Config
from jaxswarm import plotting, statistics

COLORS = {
    LINUCB: plotting.PALETTE[0],
    PAIRWISE: plotting.PALETTE[0],
    CONCAT: plotting.PALETTE[1],
    JS_GREEDY: plotting.PALETTE[2],
    RANDOM: "#9A9A9A",
    GREEDY_ORACLE: plotting.PALETTE[3],
}
SHOWN = "KNEXA, pairwise"
"""Arm of the matching graph."""


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw six panels: three of regret, accuracies over rounds and at the end, the matching."""
    grid = plotting.panels(2, 3, width=5.6, height=4.4)
    worlds = {
        "Linear rewards of directed roles": results["roles"],
        "Synergy": results["synergy"]["agreeing"],
        "Synergy that conflicts with divergence": results["synergy"]["conflicting"],
    }
    for ax, (title, regret) in zip(grid[0], worlds.items(), strict=True):
        plotting.curves(
            {name: np.cumsum(rows, axis=1) for name, rows in regret.items()},
            np.arange(1, regret[RANDOM].shape[1] + 1),
            ylabel="total regret, median and quartiles over seeds",
            title=title,
            colors=COLORS,
            ax=ax,
        )
    plotting.curves(
        {arm: mean_accuracy(results, arm) for arm in ARMS},
        results["language"]["at"],
        ylabel="mean test accuracy of the agents, median over seeds",
        title="Language agents",
        band=None,
        ax=grid[1, 0],
    )
    baseline = final(results, "random pairs")
    plotting.intervals(
        {
            arm: statistics.compare(final(results, arm), baseline)
            for arm in ARMS
            if arm != "random pairs"
        },
        xlabel="final test accuracy minus that of random pairs, 95 % interval",
        title="Language agents after the last round",
        ax=grid[1, 1],
    )
    _draw_matching(grid[1, 2], config, results)
    plotting.save(grid[0, 0], path)


def _draw_matching(ax: Any, config: Config, results: Results) -> None:
    """Arrows from teachers to students of the first seed, coloured by their number of uses."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.patches import FancyArrowPatch

    language, arm = results["language"], list(ARMS).index(SHOWN)
    teachers, students = (language[name][arm, 0].ravel() for name in ("teachers", "students"))
    n = config.agents
    uses = np.zeros((n, n))
    np.add.at(uses, (teachers, students), 1)
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    at = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    scale = Normalize(0, uses.max())
    colors = colormaps["viridis_r"]
    for i, j in np.argwhere(uses > 0):
        ax.add_patch(
            FancyArrowPatch(
                tuple(at[i]), tuple(at[j]), connectionstyle="arc3,rad=0.15", arrowstyle="-|>",
                shrinkA=13, shrinkB=13, mutation_scale=13, lw=1.0 + 2.5 * scale(uses[i, j]),
                color=colors(scale(uses[i, j])),
            )
        )  # fmt: skip
    skills = (language["histogram"][0] > 0.05).sum(axis=1)
    ax.scatter(*at.T, s=520, facecolor="white", edgecolor="#5A5A5A", zorder=3)
    for i in range(n):
        ax.annotate(str(i), at[i], ha="center", va="center", zorder=4)
        ax.annotate(
            f"{skills[i]} skills" if skills[i] > 1 else "1 skill", 1.5 * at[i], ha="center",
            va="center", fontsize=10, color="#5A5A5A",
        )  # fmt: skip
    ax.set_xlim(-1.8, 1.8)
    ax.set_ylim(-1.8, 1.8)
    ax.set_aspect("equal")
    ax.set_axis_off()
    drawn = ScalarMappable(scale, colors)
    bar = ax.figure.colorbar(drawn, ax=ax, fraction=0.045, pad=0.03)
    bar.set_label("rounds in which teacher → student was used")
    ax.set_title(f"Matching of {SHOWN}, first seed", loc="left", fontsize=13)
