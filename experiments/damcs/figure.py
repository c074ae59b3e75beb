"""Figure of the DAMCS experiment: frames of an episode, goals of its agents, steps of all arms."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from experiments.damcs.config import ARMS, PAIR, SILENT, SINGLE, SIX, Config
from experiments.harness.protocol import Results
from jaxswarm import plotting
from jaxswarm.envs.crafter import ITEMS, viewer
from jaxswarm.systems.damcs import Goal

FRAMES = 3
SHOWN = ("wood", "stone", "coal", "iron", "diamond")
TOOLS = ("wood_pickaxe", "stone_pickaxe", "iron_pickaxe")
GOAL_COLORS = {
    Goal.COLLECT_WOOD: "#3F7D3A",
    Goal.COLLECT_STONE: "#8F8F8F",
    Goal.COLLECT_COAL: "#2E2E2E",
    Goal.COLLECT_IRON: "#D79A6B",
    Goal.COLLECT_DIAMOND: "#35C4E8",
    Goal.BUILD: "#8A5A2B",
    Goal.MAKE_PICKAXE: "#B5179E",
    Goal.SHARE: "#F2B134",
    Goal.WAIT: "#F4A6C0",
    Goal.EXPLORE: "#DDE3EA",
    Goal.REPLENISH: "#5B8FD0",
}


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw frames with inventories, a Gantt chart of goals, and the steps of every arm."""
    grid = plotting.panels(2, FRAMES, width=5.4, height=5.2)
    film = results["film"]
    frames = np.linspace(0, len(film["step"]) - 1, FRAMES).round().astype(int)
    for column, frame in enumerate(frames):
        draw_frame(film, int(frame), grid[0, column])
    goals = grid[1, 0]
    draw_goals(np.asarray(film["goal"]), goals)
    draw_steps(config, results, grid[1, 1])
    if "learned" in results:
        draw_learned(results, grid[1, 2])
    else:
        draw_shares(config, results, grid[1, 2])
    plotting.save(grid[0, 0], path)


def draw_frame(film: Results, frame: int, ax: Any) -> None:
    """The map around the team, and what every agent holds."""
    position, alive = np.asarray(film["position"])[frame], np.asarray(film["alive"])[frame]
    cows = np.asarray(film["cows"])[frame]
    none = np.zeros(0, int)
    world = SimpleNamespace(
        terrain=film["terrain"][frame],
        position=position,
        alive=alive,
        plants=SimpleNamespace(position=none.reshape(0, 2), health=none, age=none),
        cows=SimpleNamespace(position=cows, health=np.where(cows[:, 0] >= 0, 3, 0)),
    )
    viewer.draw(world, None, ax)
    lines = []
    for agent, held in enumerate(np.asarray(film["inventory"])[frame]):
        items = [f"{name} {held[ITEMS.index(name)]}" for name in SHOWN if held[ITEMS.index(name)]]
        tools = [name.split("_")[0] for name in TOOLS if held[ITEMS.index(name)]]
        text = ", ".join(items) or "nothing"
        text += f"; pickaxe: {tools[-1]}" if tools else ""
        lines.append(f"{agent}: {text}" if alive[agent] else f"{agent}: dead")
    ax.set_title(f"Step {int(film['step'][frame])}", loc="left")
    ax.text(
        0.0, -0.02, "\n".join(lines), transform=ax.transAxes, va="top", fontsize=7, linespacing=1.25
    )


def draw_goals(goal: np.ndarray, ax: Any) -> None:
    """A bar for every agent, colored by its goal at every step."""
    from matplotlib.patches import Patch

    for agent in range(goal.shape[1]):
        changes = np.flatnonzero(np.diff(goal[:, agent], prepend=-2))
        ends = np.append(changes[1:], len(goal))
        for start, end in zip(changes, ends, strict=True):
            kind = int(goal[start, agent])
            if kind >= 0:
                ax.broken_barh(
                    [(start, end - start)], (agent - 0.4, 0.8), color=GOAL_COLORS[Goal(kind)]
                )
    shown = [kind for kind in Goal if (goal == kind).any()]
    handles = [
        Patch(color=GOAL_COLORS[kind], label=kind.name.lower().replace("_", " ")) for kind in shown
    ]
    ax.legend(
        handles=handles,
        fontsize=7,
        ncols=4,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        frameon=False,
    )
    ax.set_xlim(0, len(goal))
    ax.set_ylim(goal.shape[1] - 0.5, -0.5)
    ax.set_yticks(range(goal.shape[1]))
    ax.grid(False, axis="y")
    ax.set_title("Goals in this episode", loc="left")
    ax.set_xlabel("step")
    ax.set_ylabel("agent")


def draw_steps(config: Config, results: Results, ax: Any) -> None:
    """Steps to the diamond of every arm: median, quartiles, worlds as points."""
    names = list(ARMS)
    rng = np.random.default_rng(0)
    for row, name in enumerate(names):
        steps = np.asarray(results["arms"][name]["steps"], float)
        low, middle, high = np.percentile(steps, [25, 50, 75])
        color = plotting.PALETTE[0] if name == SIX else "#7A7A7A"
        jitter = row + 0.22 * (rng.random(len(steps)) - 0.5)
        ax.plot(steps, jitter, ".", color=color, alpha=0.35, markersize=4)
        ax.plot([low, high], [row, row], color=color, linewidth=3, solid_capstyle="round")
        ax.plot([middle], [row], "o", color=color, markersize=7)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, config.time_limit * 1.03)
    ax.grid(False, axis="y")
    ax.set_title("Steps to the first diamond", loc="left")
    ax.set_xlabel(f"steps (median, quartiles; {config.time_limit} if there is none)")


def draw_shares(config: Config, results: Results, ax: Any) -> None:
    """Share of worlds with a diamond, by step, of teams that differ in size and messages."""
    for name, color in zip(
        (SINGLE, PAIR, SIX, SILENT), ("#B0B0B0", "#7A7A7A", None, "#222222"), strict=True
    ):
        arm = results["arms"][name]
        steps = np.sort(np.asarray(arm["steps"])[np.asarray(arm["diamond"])])
        count = len(arm["steps"])
        at = np.concatenate([[0], steps, [config.time_limit]])
        share = np.concatenate([np.arange(len(steps) + 1), [len(steps)]]) / count
        ax.step(at, share, where="post", label=name, color=color or plotting.PALETTE[0])
    ax.set_xlim(0, config.time_limit)
    ax.set_ylim(0, 1.02)
    ax.legend(frameon=False, loc="lower right")
    ax.set_title("Worlds with a diamond", loc="left")
    ax.set_xlabel("step")
    ax.set_ylabel(f"share of {config.worlds} worlds")


def draw_learned(results: Results, ax: Any) -> None:
    """Achievements of learnt, random and scripted teams."""
    learned = results["learned"]
    heights = {name: np.asarray(found["achieved"], float) for name, found in learned.items()}
    for name in (SIX,):
        heights[name] = np.asarray(results["arms"][name]["achieved"]).sum(axis=1).astype(float)
    for column, (name, values) in enumerate(heights.items()):
        color = plotting.PALETTE[0] if name == SIX else "#7A7A7A"
        ax.bar(column, values.mean(), color=color, width=0.6)
        ax.plot(np.full(len(values), column), values, ".", color="#222222", alpha=0.4)
    ax.set_xticks(range(len(heights)), [name.replace(", ", ",\n") for name in heights], fontsize=8)
    ax.set_ylim(0, 20)
    ax.grid(False, axis="x")
    ax.set_title("Achievements of six agents in an episode", loc="left")
    ax.set_ylabel("achievements of 20 (mean; points: worlds)")
