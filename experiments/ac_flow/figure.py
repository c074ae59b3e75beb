"""Figure of the AC-Flow experiment: reward against diversity, stress, particles, teams, digits."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.ac_flow import mixture
from experiments.ac_flow.arms import TIMES
from experiments.ac_flow.comparison import MATCHED
from experiments.ac_flow.config import METHODS, Config
from experiments.ac_flow.team import GRAPHS
from experiments.harness.protocol import Results
from jaxswarm import plotting

COLORS = dict(zip(METHODS, (plotting.PALETTE[i] for i in (1, 4, 3, 0, 5)), strict=True))
MARKERS = dict(zip(METHODS, "svDo^", strict=True))


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the reward–diversity plane, the chosen runs, teams, and particles before and after."""
    has_digits = "digits" in results
    grid = plotting.panels(4 if has_digits else 3, TIMES, width=3.9, height=3.7)
    figure = grid[0, 0].figure
    for ax in grid[0]:
        ax.remove()
    spec = grid[0, 0].get_gridspec()
    plane = plotting.tidy(figure.add_subplot(spec[0, 0:2]))
    runs = plotting.tidy(figure.add_subplot(spec[0, 2:4]))
    team = plotting.tidy(figure.add_subplot(spec[0, 4]))
    _draw_plane(plane, results)
    _draw_runs(runs, config, results)
    _draw_teams(team, results)
    for row, name in enumerate(("pretrained", "after AC-Flow")):
        _draw_particles(grid[1 + row], results["strip"][row], name)
    if has_digits:
        first = next(iter(results["digits"].values()))
        _draw_digits(grid[3], first["images"])
    plotting.save(figure, path)


def _draw_plane(ax: Any, results: Results) -> None:
    ideal = results["ideal"]
    for method, name in METHODS.items():
        cells = results["methods"][method]["grid"]
        diversity = cells["entropy"].mean(1) / ideal["entropy"]
        reward = cells["reward"].mean(1)
        for first in np.unique(cells["cells"][:, 0]):
            line = cells["cells"][:, 0] == first
            ax.plot(diversity[line], reward[line], color=COLORS[method], lw=0.8, alpha=0.5)
        ax.plot(
            diversity, reward, MARKERS[method], color=COLORS[method], ms=4.5, alpha=0.85,
            label=name,
        )  # fmt: skip
    ax.plot(1.0, ideal["reward"], "*", color="black", ms=13, label="ideal (exact samples)")
    reference = results["reference"]
    ax.plot(
        reference["entropy"].mean() / ideal["entropy"], reference["reward"].mean(), "P",
        color="#5A5A5A", ms=9, label="pretrained",
    )  # fmt: skip
    ax.axvline(MATCHED, color="#5A5A5A", lw=1.0, ls="--")
    ax.legend(fontsize="small", frameon=False, loc="lower left")
    plotting.titles(
        ax,
        "Reward against diversity along (τ, α)",
        "mode entropy relative to the ideal; lines: constant τ (or share)",
        "mean reward, tuning seeds",
    )


def _draw_runs(ax: Any, config: Config, results: Results) -> None:
    """Final runs on test seeds: the two chosen penalties, large rewards, and no penalty."""
    ideal, largest = results["ideal"]["entropy"], f"scaled_{config.scales[-1]:g}"
    kinds = (
        ("chosen", "o", "chosen penalties"),
        ("low", "o", ""),
        (largest, "x", f"larger penalty, reward × {config.scales[-1]:g}"),
        ("alpha_0", "+", "α = 0"),
    )
    for method in METHODS:
        found = results["methods"][method]
        for kind, marker, _ in kinds:
            if kind in found:
                ax.plot(
                    found[kind]["entropy"] / ideal, found[kind]["reward"], marker,
                    color=COLORS[method], ms=5, alpha=0.75,
                )  # fmt: skip
    for _, marker, label in kinds:
        if label:
            ax.plot([], [], marker, color="#5A5A5A", label=label)
    ax.plot(1.0, results["ideal"]["reward"], "*", color="black", ms=13)
    ax.axvline(MATCHED, color="#5A5A5A", lw=1.0, ls="--")
    ax.legend(fontsize="small", frameon=False, loc="lower left")
    plotting.titles(
        ax, "Test seeds, colors as on the left", "mode entropy relative to the ideal", "mean reward"
    )


def _draw_teams(ax: Any, results: Results) -> None:
    teams = results["teams"]
    for index, graph in enumerate(GRAPHS):
        ax.plot(
            teams["own_entropy"][index], teams["own_reward"][index], "o^s"[index],
            color=plotting.PALETTE[index], label=graph,
        )  # fmt: skip
    ax.legend(fontsize="small", frameon=False)
    plotting.titles(ax, "Agents that gossip", "mode entropy of a flow, nats", "own mean reward")


def _draw_particles(axes: Any, positions: np.ndarray, name: str) -> None:
    for index, (ax, points) in enumerate(zip(axes, positions, strict=True)):
        rewards = np.array(mixture.MODE_REWARDS)
        plotting.stage(ax, x=(-3.2, 3.2), y=(-3.2, 3.2))
        ax.scatter(
            *mixture.CENTERS.T, s=300, c=rewards, cmap="YlOrBr", vmin=0.0, vmax=1.3, alpha=0.55,
            edgecolors="#9A9A9A", linewidths=0.8, zorder=1,
        )  # fmt: skip
        ax.scatter(*points.T, s=4, color=plotting.PALETTE[0], alpha=0.7, zorder=2)
        ax.set_title(
            f"{name}, t = {index / (len(axes) - 1):g}", loc="left", fontsize=12
        )  # 0 is noise


def _draw_digits(axes: Any, images: dict[str, np.ndarray]) -> None:
    shown = [name for name in ("reference", *METHODS) if name in images]
    names = METHODS | {"reference": "pretrained"}
    for ax, name in zip(axes, shown, strict=False):
        side = round(images[name].shape[1] ** 0.5)
        pictures = np.clip(images[name].reshape(4, 5, side, side), -1.0, 1.0)
        ax.imshow(
            np.pad(pictures, ((0, 0), (0, 0), (1, 0), (1, 0)), constant_values=-0.4)
            .transpose(0, 2, 1, 3)
            .reshape(4 * (side + 1), 5 * (side + 1)),
            cmap="gray_r",
            vmin=-1.0,
            vmax=1.0,
        )
        plotting.stage(ax)
        ax.set_title(names[name], loc="left", fontsize=12)
    for ax in axes[len(shown) :]:
        ax.remove()
