"""Figure of the experiment on scaling agent systems: gains, errors and turns, choices."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.scaling_agents.analysis import (
    GAIN_LIMITS,
    LEAST_SCORE,
    architecture_mean,
    choose_architectures,
    gain_line,
    gains,
    paper_regression,
    under,
)
from experiments.scaling_agents.claims import claims_under
from experiments.scaling_agents.config import (
    ARCHITECTURES,
    SETTINGS,
    SINGLE,
    TEAMS,
    Config,
)
from experiments.scaling_agents.task_kinds import KINDS
from jaxswarm import plotting

GRAY = "#5A5A5A"
STATED, SCARCE = "as stated", "budget 450"
LARGEST_SHOWN_GAIN = 1.5
BAR_WIDTH = 0.38


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw gains by kind of task at two budgets, errors and turns, gains by score, predictions.

    The last panel shows under which settings of the worker each claim holds.
    """
    grid = plotting.panels(2, 3, width=7.0, height=5.4)
    stated = under(results, STATED)
    _draw_gains(grid[0, 0], config, stated, STATED)
    _draw_gains(grid[0, 1], config, under(results, SCARCE), SCARCE)
    _draw_settings(grid[0, 2], config, results)
    _draw_errors_and_turns(grid[1, 0], config, stated)
    _draw_gain_line(grid[1, 1], config, stated)
    _draw_predictions(grid[1, 2], config, stated)
    plotting.save(grid[0, 0], path)


def _draw_settings(ax: Any, config: Config, results: Results) -> None:
    """Claims (numbered as in the report) that hold under each setting of the worker."""
    held = np.array(
        [[claim.held for claim in claims_under(config, results, name)] for name in SETTINGS]
    ).T
    plotting.heatmap(
        held.astype(float),
        [str(number + 1) for number in range(len(held))],
        list(SETTINGS),
        title="Claims that hold (1) by setting of the worker",
        xlabel="setting",
        limits=(0.0, 1.0),
        cmap="RdYlGn",
        ax=ax,
    )
    ax.tick_params(axis="x", labelsize=9, rotation=30)


def _draw_gains(ax: Any, config: Config, results: Results, setting: str) -> None:
    """Relative gain of every team on every kind of task."""
    single = architecture_mean(config, results, SINGLE, "score").mean(axis=(1, 2))
    gain = [
        architecture_mean(config, results, name, "score").mean(axis=(1, 2))
        / np.maximum(single, LEAST_SCORE)
        - 1
        for name in TEAMS
    ]
    plotting.heatmap(
        np.clip(np.transpose(gain), -1.0, LARGEST_SHOWN_GAIN),
        list(KINDS),
        list(TEAMS),
        title=f"Relative gain over a single agent, {setting}",
        xlabel="architecture",
        limits=(-LARGEST_SHOWN_GAIN, LARGEST_SHOWN_GAIN),
        cmap="RdBu",
        ax=ax,
    )
    ax.images[-1].colorbar.set_label(f"(team - single) / single, at most {LARGEST_SHOWN_GAIN:g}")


def _draw_errors_and_turns(ax: Any, config: Config, results: Results) -> None:
    """Unrecovered errors (left axis) and turns (right axis) of every architecture."""
    place = np.arange(len(ARCHITECTURES))
    turns_ax = ax.twinx()
    panels = (
        (ax, "unrecovered", "unrecovered errors per task"),
        (turns_ax, "turns", "turns per task"),
    )
    for index, (panel, measure, label) in enumerate(panels):
        values = [
            architecture_mean(config, results, name, measure).mean() for name in ARCHITECTURES
        ]
        color = plotting.PALETTE[index]
        panel.bar(place + (index - 0.5) * BAR_WIDTH, values, BAR_WIDTH, color=color)
        panel.set_ylabel(label, color=color, fontsize=12)
        panel.set_ylim(bottom=0.0)
        panel.grid(False)
        panel.tick_params(axis="y", labelsize=11, length=3)
        for side, spine in panel.spines.items():
            spine.set_visible(side == "bottom")
    ax.set_xticks(place, list(ARCHITECTURES), fontsize=8)
    plotting.titles(ax, "Errors and turns, means over all tasks", "architecture", "")


def _draw_gain_line(ax: Any, config: Config, results: Results) -> None:
    """Gain of teams that exchange messages against the single agent's score."""
    x, y = (table.mean(axis=1) for table in gains(config, results))
    low, high = GAIN_LIMITS
    ax.scatter(x, 100 * np.clip(y, low, high), s=22, color=plotting.PALETTE[0])
    slope, crossing = (float(np.mean(values)) for values in gain_line(config, results))
    ends = np.array([0.0, 1.0])
    ax.plot(ends, 100 * slope * (ends - crossing), color=plotting.PALETTE[1])
    ax.axhline(0.0, color=GRAY, linewidth=1.0)
    ax.annotate(
        f"fitted line crosses 0 at {crossing:.2f}",
        (0.98, 0.95),
        xycoords="axes fraction",
        ha="right",
        va="top",
        color=plotting.PALETTE[1],
    )
    plotting.titles(
        ax,
        "Gain of teams by the single agent's score",
        "score of the single agent",
        f"gain of centralised, decentralised and hybrid teams, %, at most {100 * high:.0f}",
    )


def _draw_predictions(ax: Any, config: Config, results: Results) -> None:
    """Predicted and measured scores on kinds of task that were left out."""
    choices = choose_architectures(config, results)
    for index, name in enumerate(ARCHITECTURES):
        ax.scatter(
            choices["predicted"][:, index], choices["measured"][:, index], s=14, label=name,
            color=plotting.PALETTE[index],
        )  # fmt: skip
    ax.plot([0, 1], [0, 1], color="#9A9A9A", linestyle=(0, (4, 3)))
    ax.legend(frameon=False, fontsize=10, loc="lower right")
    text = (
        f"best architecture\nchosen: {choices['hit'].mean():.0%}\n"
        f"R² of the paper's\ntwenty columns: {paper_regression(config, results)['r2']:.2f}"
    )
    ax.annotate(text, (0.02, 0.97), xycoords="axes fraction", va="top", fontsize=11, color=GRAY)
    plotting.titles(
        ax, "Scores on kinds of task left out of the fit", "predicted score", "measured score"
    )
