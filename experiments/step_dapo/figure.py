"""Figure of the step-DAPO experiment: accuracy of the arms, critics, and two valued solutions."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.step_dapo.config import METHODS, Config
from jaxswarm import plotting, statistics

COLORS = dict(zip(METHODS, ("#9A9A9A", *2 * plotting.PALETTE), strict=False))
COLORS |= {"uninformed": "#C9C9C9", "oracle": "#3A3A3A"}
CRITICS = {"step_dapo": "frozen critic", "ppo": "co-trained critic", "oracle": "oracle critic"}


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw pass rates with intervals, rank correlations of critics, and two solutions with V."""
    del config
    axes = plotting.panels(1, 3, width=5.0, height=4.2)[0]
    names = list(METHODS)
    _bars(axes[0], [METHODS[n] for n in names], [results["accuracy"][n] for n in names],
          [COLORS[n] for n in names])  # fmt: skip
    plotting.titles(
        axes[0], "Equal numbers of generated tokens", "pass rate on held-out questions", ""
    )
    _bars(axes[1], list(CRITICS.values()), [results["spearman"][n] for n in CRITICS],
          [COLORS[n] for n in CRITICS])  # fmt: skip
    plotting.titles(
        axes[1], "Critics against exact values", "Spearman correlation, held-out states", ""
    )
    _solutions(axes[2], results["example"])
    plotting.save(axes[0].figure, path)


def _bars(ax: Any, labels: list[str], values: list[np.ndarray], colors: list[str]) -> None:
    """One bar for each arm with its interval, and a dot for each seed."""
    for place, (found, color) in enumerate(zip(values, colors, strict=True)):
        summary = statistics.summarize(found)
        low, high = summary.interval
        ax.barh(place, summary.value, color=color, alpha=0.75, height=0.7)
        ax.plot([low, high], [place, place], color="black", lw=1.2)
        ax.plot(found, np.full(len(found), place), ".", color="black", ms=4, alpha=0.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()


def _solutions(ax: Any, example: dict[str, np.ndarray]) -> None:
    """A wrong and a right solution, with the value of the state after each line."""
    plotting.stage(ax, x=(0.0, 1.0), y=(0.0, 1.0))
    ax.set_title("V: critic (exact value)", loc="left", fontsize=12)
    for block in range(2):
        right = example["reward"][block] > 0.5
        lines = str(example["solution"][block]).split("\n")
        values, fractions = example["value"][block], example["exact"][block]
        rows = [(str(example["question"][block]), f"{values[0]:.2f}")]
        for index, line in enumerate(lines):
            note = "right" if right else "wrong"
            if index + 1 < min(len(values), len(lines)):
                note = f"{values[index + 1]:.2f} ({fractions[index + 1]:.2f})"
            rows.append((line, note))
        color, height = "#2A7F3F" if right else "#B03A2E", 0.46 / len(rows)
        for place, (text, note) in enumerate(rows):
            y = 0.93 - 0.49 * block - height * place
            ax.text(0.06, y, text, family="monospace", fontsize=12)
            ax.text(0.56, y, note, fontsize=11, color=color)
