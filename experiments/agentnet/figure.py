"""Figure of the AgentNet experiment: training, test success of all arms, final state."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.agentnet.config import ARMS, Config
from experiments.harness.protocol import Results
from jaxswarm import plotting, topology

CURVES = ("AgentNet", "global router", "random next agent", "no routing")


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw four panels: training curves, test success, learnt capabilities, edges."""
    grid = plotting.panels(2, 2, width=6.6, height=4.8)
    _draw_training(grid[0, 0], results)
    _draw_success(grid[0, 1], results)
    capability = np.asarray(results["capability"])
    if not config.degree:
        capability = capability[: ARMS[config.arms[0]].members]
    plotting.heatmap(
        capability,
        [f"agent {agent}" for agent in range(len(capability))],
        [f"type {kind}" for kind in range(capability.shape[1])],
        title=f"Learnt capabilities ({config.arms[0]}, first seed)",
        ax=grid[1, 0],
    )
    grid[1, 0].images[-1].colorbar.set_label("capability")
    if config.degree:
        _draw_edge_count(grid[1, 1], results)
    else:
        _draw_edges(grid[1, 1], capability, np.asarray(results["weight"]))
    plotting.save(grid[0, 0], path)


def _draw_training(ax: Any, results: Results) -> None:
    """Success rate of training tasks in consecutive blocks."""
    training = {name: np.asarray(results["training"][name]) for name in CURVES
                if name in results["training"]}  # fmt: skip
    length = next(iter(training.values())).shape[1]
    block = max(length // 12, 1)
    ends = np.arange(block, length + 1, block)
    rates = {
        name: success[:, : len(ends) * block].reshape(len(success), len(ends), block).mean(axis=2)
        for name, success in training.items()
    }
    plotting.curves(
        rates,
        ends,
        xlabel="training task",
        ylabel=f"success rate in blocks of {block} tasks, median and quartiles over seeds",
        title="Training",
        ax=ax,
    )


def _draw_success(ax: Any, results: Results) -> None:
    """Success rate of every arm on the test tasks, with two standard errors."""
    names = list(results["success"])[::-1]
    values = [np.asarray(results["success"][name]) for name in names]
    means = [value.mean() for value in values]
    errors = [2 * value.std(ddof=1) / np.sqrt(len(value)) for value in values]
    colors = [plotting.PALETTE[0] if name == "AgentNet" else "#9A9A9A" for name in names]
    ax.barh(names, means, color=colors)
    ax.errorbar(means, np.arange(len(names)), xerr=errors, fmt="none", ecolor="#333333",
                elinewidth=1.2)  # fmt: skip
    ax.set_xlim(0.0, 1.0)
    ax.grid(False, axis="y")
    plotting.titles(ax, "Test tasks", "success rate, mean ± 2 standard errors over seeds", "")


def _draw_edges(ax: Any, capability: np.ndarray, weight: np.ndarray) -> None:
    """The members' graph: nodes by best capability, line widths by edge weight."""
    members = len(capability)
    # On the complete graph the neighbours of an agent are in ascending order, members first.
    weights = weight[:members, : members - 1].ravel()
    plotting.graph(
        topology.complete(members),
        capability.max(axis=1),
        edges=np.maximum(weights - 0.45, 0.01),
        title=f"Edge weights (line width), {weights.min():.2f} to {weights.max():.2f}",
        ax=ax,
    )
    ax.collections[-1].colorbar.set_label("best capability of an agent")


def _draw_edge_count(ax: Any, results: Results) -> None:
    """Edges above the threshold over the tasks."""
    edges = np.asarray(results["edges"], float)
    keep = np.unique(np.linspace(0, edges.shape[1] - 1, 60).astype(int))
    plotting.curves(
        {"edges": edges[:, keep]},
        keep + 1,
        xlabel="task",
        ylabel="edges above the threshold, median and quartiles over seeds",
        title="Edges in use",
        ax=ax,
    )
