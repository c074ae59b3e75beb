"""Figure of the DQC experiment: success per task, and open- and closed-loop paths in a maze."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.dqc.config import TASKS, Config
from experiments.dqc.learners import PLAIN
from experiments.dqc.worlds import GridTask, grid_tasks
from experiments.harness.protocol import Results
from jaxswarm import plotting, statistics

COLORS = dict(zip(PLAIN, (plotting.PALETTE[i] for i in (5, 7, 4, 1, 3, 2, 6, 0)), strict=True))


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw success rates with intervals, tasks in columns, beside two paths of the same start."""
    mazes = results.get("mazes", {})
    groups = {
        task: np.stack([np.asarray(results["success"][arm])[w].mean(-1) for arm in PLAIN])
        for w, task in enumerate(TASKS)
    }
    for maze, found in mazes.items():
        groups[f"pointmaze {maze}"] = np.stack([np.asarray(found[a]).mean(-1) for a in PLAIN])
    grid = plotting.panels(1, 5, width=3.3, height=4.4)
    figure = grid[0, 0].figure
    for ax in grid[0]:
        ax.remove()
    spec = grid[0, 0].get_gridspec()
    bars = plotting.tidy(figure.add_subplot(spec[0, 0:3]))
    _draw_success(bars, groups)
    task = grid_tasks()[0]
    halves = spec[0, 3].subgridspec(1, 2)
    for column, (arm, text) in enumerate((("QC", "open loop"), ("DQC", "closed loop"))):
        ax = plotting.tidy(figure.add_subplot(halves[0, column]))
        _draw_path(ax, task, np.asarray(results["paths"][arm]), f"{arm}, {text}")
    if "networked" in results:
        _draw_networked(plotting.tidy(figure.add_subplot(spec[0, 4])), results["networked"])
    plotting.save(figure, path)


def _draw_networked(ax: Any, networked: Results) -> None:
    """Success of agents with disjoint shards, one point for each seed, and the means."""
    arms = ("isolated", "ring, own moments", "ring", "pooled")
    for index, (kind, marker) in enumerate((("by place", "s"), ("by section", "o"))):
        for place, arm in enumerate(arms):
            values = np.asarray(networked[f"{arm}, {kind}"])
            center = place + 0.2 * (2 * index - 1)
            at = center + np.linspace(-0.06, 0.06, len(values))
            ax.plot(at, values, marker, color=plotting.PALETTE[index], markersize=5, alpha=0.8,
                    label=f"shards {kind}" if place == 0 else None)  # fmt: skip
            ax.hlines(values.mean(), center - 0.15, center + 0.15, color="black", linewidth=1.5)
    ax.set_xticks(range(len(arms)), ("isolated", "ring,\nown moments", "ring", "pooled"))
    ax.set_ylim(0.0, 1.05)
    ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16))
    plotting.titles(ax, "Networked agents, long corridor", "", "success rate")


def _draw_success(ax: Any, groups: dict[str, np.ndarray]) -> None:
    width = 0.8 / len(PLAIN)
    for m, arm in enumerate(PLAIN):
        places = np.arange(len(groups)) + (m - 0.5 * (len(PLAIN) - 1)) * width
        found = [statistics.summarize(values[m]) for values in groups.values()]
        low, high = (np.clip([each.interval[k] for each in found], 0.0, 1.0) for k in (0, 1))
        mean = np.array([each.value for each in found])
        ax.bar(places, mean, 0.9 * width, color=COLORS[arm], label=arm)
        ax.errorbar(
            places, mean, [mean - low, high - mean], fmt="none", ecolor="black", elinewidth=0.9
        )
    ax.set_xticks(np.arange(len(groups)), list(groups))
    ax.set_ylim(0.0, 1.05)
    ax.legend(frameon=False, fontsize=9, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.08))
    plotting.titles(ax, "Success per task, mean and 95 % interval over seeds", "", "success rate")


def _draw_path(ax: Any, task: GridTask, path: np.ndarray, title: str) -> None:
    cells = task.cells[: task.size]
    codes = np.zeros(cells.max(0) + 1, int)
    codes[tuple(cells.T)] = 1
    start, goal = task.pairs[0]
    codes[tuple(cells[goal])] = 2
    palette = {0: plotting.PALETTE[6], 1: "#F1F1F1", 2: plotting.PALETTE[2]}
    plotting.tiles(ax, codes, palette)
    steps = cells[np.concatenate([[start], path])].astype(float)
    arrived = np.flatnonzero((steps == cells[goal]).all(1))
    used = int(arrived[0]) if len(arrived) else None
    shown = steps if used is None else steps[: used + 1]
    shift = np.linspace(-0.15, 0.15, len(shown))[:, None]  # so that returns are seen
    ax.plot(*(shown + shift).T[::-1], color=plotting.PALETTE[0], lw=1.2, marker="o", ms=2.5)
    ax.plot(*cells[start][::-1], "s", color="black", ms=7)
    note = f"goal after {used} steps" if used is not None else "goal not reached"
    ax.set_title(f"{title}\n{note}", loc="left", fontsize=11)
