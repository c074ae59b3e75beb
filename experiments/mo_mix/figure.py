"""Figure of the MO-MIX experiment: objective planes, learning curves, preferences of agents."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.mo_mix.claims import shares
from experiments.mo_mix.config import (
    ADDITIVE,
    COARSE,
    CONCAVE,
    CONDITIONED,
    CONSENSUS,
    EXCHANGING,
    ISOLATED,
    MO_MIX,
    OUTER,
    OUTER_TENFOLD,
    OWN,
    PLANNER,
    TEAM,
    UNIFORM,
    Config,
)
from experiments.mo_mix.learners import GRID_EVERY, at_preferences
from experiments.mo_mix.worlds import PREFERENCES, best_for, share_of_front, true_front
from jaxswarm import plotting, rl
from jaxswarm.envs import deep_sea_treasure

COLORS = {
    MO_MIX: plotting.PALETTE[0],
    CONCAVE: plotting.PALETTE[0],
    UNIFORM: plotting.PALETTE[1],
    COARSE: plotting.PALETTE[5],
    ADDITIVE: plotting.PALETTE[2],
    OUTER: plotting.PALETTE[3],
    OUTER_TENFOLD: plotting.PALETTE[4],
}
GRAY = "#5A5A5A"


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw objective planes, hypervolume while learning, and the networked agents."""
    grid = results["grid"]
    draws: list[Callable[[Any], None]] = [
        lambda ax: draw_plane(grid, "convex", MO_MIX, ax),
        lambda ax: draw_plane(grid, "concave", CONCAVE, ax),
        lambda ax: draw_curves(config, grid, ax),
    ]
    for part, draw in (("treasure", draw_treasure), ("team", draw_team), ("spread", draw_spread)):
        if part in results:
            draws.append(functools.partial(draw, results[part]))
    columns = min(len(draws), 3)
    panels = plotting.panels(-(-len(draws) // columns), columns, width=5.2, height=4.4)
    for ax, draw in zip(np.ravel(panels), draws, strict=False):
        draw(ax)
    for ax in np.ravel(panels)[len(draws) :]:
        ax.remove()
    plotting.save(np.ravel(panels)[0], path)


def staircase(points: np.ndarray, floor: float) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the region that points dominate, for drawing."""
    front = rl.pareto.front(points)
    x = np.repeat(np.concatenate([[floor], front[:, 0]]), 2)[1:]
    y = np.repeat(np.concatenate([front[:, 1], [floor]]), 2)[:-1]
    return x, y


def draw_plane(grid: Results, curve: str, arm: str, ax: Any) -> None:
    """True front, returns under eleven preferences of all seeds, dominated region of the first."""
    truth, floor = true_front(2, curve), 0.0
    fronts = at_preferences(grid[arm])
    x, y = staircase(fronts[0], floor)
    ax.fill_between(x, y, floor, color=COLORS[arm], alpha=0.15, linewidth=0)
    ax.plot(*staircase(truth, floor), color=GRAY, linewidth=1.2)
    ax.plot(*truth.T, "o", color=GRAY, markersize=4, label="true front")
    best = best_for(truth, PREFERENCES)
    ax.plot(*best.T, "o", color="none", markeredgecolor="black", markersize=10,
            label="best for a preference")  # fmt: skip
    if curve == "convex" and OUTER in grid:
        points = at_preferences(grid[OUTER]).reshape(-1, 2)
        ax.plot(*points.T, "x", color=COLORS[OUTER], markersize=5, label=OUTER)
    points = fronts.reshape(-1, 2)
    ax.plot(
        *points.T,
        "D",
        color=COLORS[arm],
        markersize=4,
        alpha=0.7,
        label="MO-MIX, all seeds (shaded: one)",
    )
    ax.set_xlim(-0.2, None)
    ax.set_ylim(-0.2, None)
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    mean = np.mean(shares(grid[arm], curve))
    plotting.titles(
        ax, f"{curve.capitalize()} values: {mean:.2f} of the volume", "first objective",
        "second objective",
    )  # fmt: skip


def draw_curves(config: Config, grid: Results, ax: Any) -> None:
    """Hypervolume under the eleven preferences while learning."""
    arms = (MO_MIX, UNIFORM, COARSE, ADDITIVE)
    series = {
        arm: np.array([[share_of_front(p) for p in seed] for seed in grid[arm]["curve"]])
        for arm in arms
    }
    steps = np.arange(series[MO_MIX].shape[1]) * GRID_EVERY * config.episodes
    plotting.curves(
        series,
        steps,
        xlabel="episodes",
        ylabel="share of the true hypervolume (median, quartiles)",
        title="Learning, greedy teams",
        colors=COLORS,
        ax=ax,
    )
    best = share_of_front(best_for(true_front(), PREFERENCES))
    lines = [(best, "best for 11 preferences", "black")]
    if OUTER in grid:
        lines.append((float(np.mean(shares(grid[OUTER]))), "outer loop, at the end", COLORS[OUTER]))
    for height, label, color in lines:
        ax.axhline(height, color=color, linewidth=1.0, linestyle=(0, (4, 3)), label=label)
    ax.set_ylim(0.0, 1.02)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles[-len(lines) :], labels[-len(lines) :], frameon=False, fontsize=9, loc="lower right"
    )


def draw_treasure(treasure: dict[str, np.ndarray], ax: Any) -> None:
    """Deep-sea treasure: the true front, and returns of all seeds under eleven preferences."""
    truth = deep_sea_treasure.true_front()
    ax.plot(*truth.T, "o-", color=GRAY, markersize=4, linewidth=1.0, label="true front")
    ax.plot(*truth[[0, -1]].T, "o", color="none", markeredgecolor="black", markersize=10,
            label="best for a preference")  # fmt: skip
    for arm, marker, color in ((OUTER, "x", COLORS[OUTER]), (CONDITIONED, "D", COLORS[MO_MIX])):
        if arm in treasure:
            points = at_preferences({"front": treasure[arm]}).reshape(-1, 2)
            ax.plot(*points.T, marker, color=color, markersize=5, alpha=0.7, label=arm)
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    plotting.titles(ax, "Deep-sea treasure: a concave front", "value", "minus time")


def draw_team(team: dict[str, dict[str, np.ndarray]], ax: Any) -> None:
    """Weighted return of networked agents under three kinds of preferences, every seed."""
    kinds = (OWN, CONSENSUS, TEAM)
    for index, (arm, marker) in enumerate(((EXCHANGING, "o"), (ISOLATED, "s"))):
        for place, kind in enumerate(kinds):
            values = team[arm][kind]
            at = place + 0.16 * (2 * index - 1) + np.linspace(-0.05, 0.05, len(values))
            ax.plot(at, values, marker, color=plotting.PALETTE[index], markersize=5, alpha=0.8,
                    label=arm if place == 0 else None)  # fmt: skip
    ax.set_xticks(range(len(kinds)), kinds)
    ax.set_ylim(0.0, 1.02)
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    plotting.titles(
        ax, "Four networked agents, one point per seed", "preferences in execution",
        "weighted return, share of the best",
    )  # fmt: skip


def draw_spread(spread: dict[str, np.ndarray], ax: Any) -> None:
    """Coverage and energy of all seeds under eleven preferences."""
    for arm, marker in ((OUTER_TENFOLD, "+"), (OUTER, "x"), (MO_MIX, "D")):
        if arm not in spread:
            continue
        ax.plot(*spread[arm].reshape(-1, 2).T, marker, color=COLORS[arm], markersize=5, alpha=0.7,
                label=arm)  # fmt: skip
    rest, planner = spread[PLANNER]
    ax.plot(*rest, "*", color="black", markersize=12, label="team at rest")
    ax.plot(*planner, "P", color="black", markersize=9, label="planner")
    ax.legend(frameon=False, fontsize=9, loc="upper left")
    plotting.titles(ax, "Cooperative navigation", "coverage", "energy")
