"""Figure of the DADAO experiment."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.dadao.config import LABELS, METHODS, Config, graph_label
from experiments.harness.protocol import Results
from jaxswarm import plotting

_SMALLEST = 1e-10  # errors below are not drawn


def plot(config: Config, results: Results, path: Path) -> None:
    """Plot the error against gradients (above) and edge uses (below), one column per graph."""
    arms = results["graphs"]
    axes = plotting.panels(2, len(arms), width=4.4, height=3.6)
    xlabels = {"gradients": "gradients of all agents", "edges": "edge uses"}
    for column, (name, by_method) in enumerate(arms.items()):
        for row, (kind, xlabel) in enumerate(xlabels.items()):
            ax = axes[row][column]
            for color, method in zip(plotting.PALETTE, METHODS, strict=False):
                _plot_seeds(ax, by_method[method], kind, color=color, method=method)
            ax.axhline(config.target, color="0.5", lw=0.8, ls=":")
            ax.set_xscale("log")
            ax.set_yscale("log")
            ax.set_xlabel(xlabel)
            if column == 0:
                ax.set_ylabel("mean of |x − x*|² over agents")
            if row == 0:
                ax.set_title(f"{graph_label(name)} graph, {int(results['agents'][name])} agents")
    figure = axes[0][0].figure
    handles, names = axes[1][0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=len(names), frameon=False, fontsize=11
    )
    figure.suptitle(
        "Squared distance to the optimum against gradients and edge uses\n"
        f"one line per seed; dotted: target error {config.target:g}, at which ADOM+ is stopped",
        fontsize=13,
    )
    plotting.save(axes[0][0], path)


def _plot_seeds(ax: Any, arm: dict[str, np.ndarray], kind: str, *, color: str, method: str) -> None:
    """Draw one method's error against one cost, one line per seed."""
    for seed, (error, x) in enumerate(zip(arm["error"], arm[kind], strict=True)):
        shown = (np.maximum.accumulate(error[::-1])[::-1] >= _SMALLEST) & (x > 0)
        ax.plot(
            x[shown],
            error[shown],
            color=color,
            lw=1.2,
            alpha=0.7,
            ls="--" if method.endswith("multi-consensus") else "-",
            label=LABELS[method] if seed == 0 else None,
        )
