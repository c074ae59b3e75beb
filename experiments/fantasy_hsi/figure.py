"""Figure of the FantasyHSI experiment: a figure strip, completions, errors and realism."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.fantasy_hsi.arms import (
    BEST_CLIPS,
    BEST_RUNS,
    CLOSED,
    NO_RETRIES,
    OPEN,
    OPEN_HEADING,
)
from experiments.fantasy_hsi.claims import by_horizon, probe
from experiments.fantasy_hsi.config import HORIZONS, Config
from experiments.harness.protocol import Results
from jaxswarm import plotting
from jaxswarm.envs import scenes
from jaxswarm.systems import fantasy_hsi

COLORS = {
    CLOSED: plotting.PALETTE[0],
    NO_RETRIES: plotting.PALETTE[2],
    OPEN: plotting.PALETTE[1],
    OPEN_HEADING: plotting.PALETTE[4],
    BEST_CLIPS: plotting.PALETTE[3],
    BEST_RUNS: "#8A8A8A",
}
GRAY = "#9A9A9A"


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw four panels: strip, completion and end error over the horizon, realism."""
    grid = plotting.panels(2, 2, width=6.6, height=5.0)
    _draw_strip(grid[0, 0], results["strip"])
    _draw_lines(grid[0, 1], results, "completed", "completed tasks, mean of seeds",
                "Completion against horizon", list(COLORS))  # fmt: skip
    _draw_lines(grid[1, 0], results, "error", "end error (m), mean of seeds",
                "End error against horizon", [CLOSED, OPEN, OPEN_HEADING, BEST_CLIPS])  # fmt: skip
    _draw_realism(grid[1, 1], results)
    plotting.save(grid[0, 0], path)


def _draw_strip(ax: Any, strip: dict[str, np.ndarray]) -> None:
    """The figure in the horizontal plane and as sticks, rejected clips gray."""
    scene = scenes.Scene(*(np.asarray(strip[f"scene_{name}"]) for name in scenes.Scene._fields))
    scenes.draw_scene(scene, ax)
    kinds = np.asarray(strip["kind"])
    count = int((kinds >= 0).sum())
    shown = {"accepted or corrective": False, "rejected": False}
    for clip, kind in zip(strip["clips"][:count], kinds[:count], strict=True):
        rejected = kind == fantasy_hsi.REJECTED
        color = GRAY if rejected else COLORS[CLOSED]
        label = "rejected" if rejected else "accepted or corrective"
        pelvis = clip[:, 0, :2]
        ax.plot(
            *pelvis.T, color=color, lw=2.0, zorder=4 if rejected else 3,
            label=None if shown[label] else label,
        )  # fmt: skip
        shown[label] = True
        if rejected:
            continue
        for frame in clip[-1:]:
            _sticks(ax, frame, color)
    start = strip["pose"]
    taken = strip["clips"][:count][kinds[:count] != fantasy_hsi.REJECTED]
    walked = np.concatenate([start[None, :2], taken[:, :, 0, :2].reshape(-1, 2)])
    ax.plot(*start[:2], "o", color="#1B1B1B", ms=7, zorder=6, label="start")
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.02), ncol=3, fontsize=9, frameon=False)
    side = 0.5 * float(max(np.ptp(walked, axis=0).max(), 2.0)) + 0.9
    middle = (walked.min(axis=0) + walked.max(axis=0)) / 2
    ax.set(xlim=(middle[0] - side, middle[0] + side), ylim=(middle[1] - side, middle[1] + side))
    ax.set_title(
        f"One task of eight actions, seen obliquely ({2 * side:.1f} m wide)",
        loc="left",
        fontsize=13,
    )


def _sticks(ax: Any, frame: np.ndarray, color: str) -> None:
    """Bones of one frame, heights drawn along y at half scale."""
    at = frame[:, :2] + np.array([[0.0, 0.5]]) * frame[:, 2:]
    for one, two in fantasy_hsi.BONES:
        ax.plot(*at[[one, two]].T, color="#333333", lw=0.7, alpha=0.8, zorder=5)


def _draw_lines(
    ax: Any, results: Results, field: str, ylabel: str, title: str, arms: list[str]
) -> None:
    for shift, arm in enumerate(arms):
        values = by_horizon(results, arm, field)
        mean = values.mean(axis=1)
        spread = values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
        x = np.array(HORIZONS) * (1 + 0.012 * (shift - 2))
        ax.errorbar(x, mean, yerr=spread, color=COLORS[arm], marker="o", ms=5, lw=1.8, label=arm)
    ax.set_xscale("log", base=2)
    ax.set_xticks(HORIZONS, [str(h) for h in HORIZONS])
    ax.minorticks_off()
    ax.set_xlabel("actions of the plan")
    ax.set_ylabel(ylabel)
    ax.set_ylim(bottom=0)
    ax.set_title(f"{title} (± standard error)", loc="left", fontsize=13)
    ax.legend(fontsize=9, frameon=False)


def _draw_realism(ax: Any, results: Results) -> None:
    """Skate, bone error and penetration relative to the base generator."""
    fields = {"skate": "foot skate", "bone_error": "bone error", "burst": "penetration",
              "contact": "contact count"}  # fmt: skip
    generators = {"base": "base", "winners": "winners only", "dpo": "DPO"}
    colors = [GRAY, plotting.PALETTE[2], plotting.PALETTE[0]]
    for number, (generator, label) in enumerate(generators.items()):
        ratios = [
            probe(results, generator, field) / np.maximum(probe(results, "base", field), 1e-9)
            for field in fields
        ]
        x = np.arange(len(fields)) + 0.26 * (number - 1)
        ax.bar(
            x, [r.mean() for r in ratios], 0.25, color=colors[number], label=label,
            yerr=[r.std(ddof=1) / np.sqrt(len(r)) for r in ratios],
        )  # fmt: skip
    ax.set_xticks(np.arange(len(fields)), list(fields.values()))
    ax.set_ylabel("relative to the base generator")
    ax.set_ylim(0.0, 1.4)
    ax.set_title("Single clips in test scenes (± standard error)", loc="left", fontsize=13)
    ax.legend(fontsize=9, frameon=False)
