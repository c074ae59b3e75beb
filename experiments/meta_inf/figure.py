"""Figure of the MetaInf experiment: best and chosen methods, accuracies, speeds, histories."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.meta_inf.claims import accuracy, node_accuracy, speed
from experiments.meta_inf.config import Config
from jaxswarm import plotting

BATCHES = (1, 2, 4, 8, 16)
SHARES = (0.0, 0.05, 0.35, 0.6, 1.0)
SHARE_LABELS = ("0", "to .35", "to .6", "above .6")


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw four panels."""
    measured = "nodes" not in results
    grid = plotting.panels(2, 2, width=6.8, height=4.6)
    names = [str(name) for name in results["methods"]]
    chosen = results["chosen"]["device"] if measured else results["chosen"]
    best = results["seconds"].argmin(axis=-1)
    draw = (results["batch"], results["share"], names)
    _map(grid[0, 0], best, *draw, "Fastest method (most frequent in the group)")
    picked = chosen["MetaInf"]
    _map(grid[0, 1], picked[0] if measured else picked, *draw, "Method that MetaInf chooses")
    if measured:
        rows = {arm: (chosen[arm] == best).mean(axis=1) for arm in chosen}
        _bars(grid[1, 0], rows, "cells with the fastest method", "Device left out")
        rows = {arm: (picks == best).mean(axis=1)
                for arm, picks in results["chosen"]["workload"].items()}  # fmt: skip
        _bars(grid[1, 1], rows, "cells with the fastest method", "Workload left out")
    else:
        arms = [arm for arm in chosen if "left out" not in arm]
        rows = {arm: accuracy(results, arm) for arm in arms if arm != "oracle"}
        rows |= {f"one network, {arm} histories": node_accuracy(results, arm)
                 for arm in ("pooled", "gossip", "local")}  # fmt: skip
        _bars(grid[1, 0], rows, "cells with the fastest method", "Device left out")
        rows = {arm: speed(results, arm) for arm in arms}
        _bars(grid[1, 1], rows, "speed relative to the fastest method", "Device left out")
    plotting.save(grid[0, 0], path)


def _map(
    ax: Any, method: np.ndarray, batch: np.ndarray, share: np.ndarray, names: list[str], title: str
) -> None:
    """Most frequent method in groups of cells by batch and prefix share, as colours with names."""
    batches = [b for b in BATCHES if (batch == b).any()]
    colors = np.array([_rgb(c) for c in (*plotting.PALETTE, "#9A9A9A", "#555555", "#C49C94")])
    image = np.ones((len(SHARE_LABELS), len(batches), 3))
    for i, (low, high) in enumerate(itertools.pairwise(SHARES)):
        for j, b in enumerate(batches):
            inside = (batch == b) & (share >= low) & (share < high)
            if not inside.any():
                ax.text(j, i, "no cells", ha="center", va="center", fontsize=8, color="#888888")
                continue
            counts = np.bincount(method[inside], minlength=len(names))
            top = int(counts.argmax())
            image[i, j] = 0.45 + 0.55 * colors[top % len(colors)]
            words = names[top].replace(" ", "\n", 1)
            ax.text(j, i, f"{words}\n{counts[top] / counts.sum():.0%}", ha="center", va="center",
                    fontsize=8)  # fmt: skip
    ax.imshow(image, aspect="auto")
    ax.set_xticks(range(len(batches)), [str(b) for b in batches])
    ax.set_yticks(range(len(SHARE_LABELS)), SHARE_LABELS)
    ax.grid(False)
    plotting.titles(ax, title, "slots of the server (batch)", "prefix share of the prompt")


def _bars(ax: Any, rows: dict[str, np.ndarray], xlabel: str, title: str) -> None:
    labels = list(rows)[::-1]
    values = [rows[label] for label in labels]
    means = [value.mean() for value in values]
    errors = [2 * value.std(ddof=1) / np.sqrt(len(value)) for value in values]
    colors = [plotting.PALETTE[0] if label == "MetaInf" else "#B5B5B5" for label in labels]
    ax.barh(labels, means, color=colors)
    ax.errorbar(means, np.arange(len(labels)), xerr=errors, fmt="none", ecolor="#333333",
                elinewidth=1.2)  # fmt: skip
    ax.set_xlim(0.0, 1.0)
    ax.tick_params(axis="y", labelsize=9)
    ax.grid(False, axis="y")
    plotting.titles(ax, title, xlabel, "mean ± 2 standard errors over seeds")


def _rgb(color: str) -> list[float]:
    from matplotlib.colors import to_rgb

    return list(to_rgb(color))
