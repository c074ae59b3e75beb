"""Figure of the HAMLET experiment: the timeline of a play, and completion of all arms.

Shapes: ``T`` moments, ``N`` actors, ``F`` facts, ``Q`` points.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np

from experiments.hamlet.config import Config
from experiments.hamlet.training import make_production
from experiments.harness.protocol import Results
from jaxswarm import plotting
from jaxswarm.envs import theatre

GREY = "#9A9A9A"
BEAT, FAILED = plotting.PALETTE[0], "#C44E52"


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the timeline; below it completion and latency of the arms, unless it is a session."""
    import matplotlib.pyplot as plt

    stage = make_production(config).stage
    if config.play:
        figure, ax = plt.subplots(figsize=(13.0, 6.0))
        _timeline(ax, stage, results["timeline"])
    else:
        figure = plt.figure(figsize=(14.0, 11.5))
        grid = figure.add_gridspec(
            2, 2, height_ratios=(1.15, 1.0), hspace=0.42, wspace=0.2,
            left=0.19, right=0.97, top=0.95, bottom=0.06,
        )  # fmt: skip
        _timeline(figure.add_subplot(grid[0, :]), stage, results["timeline"])
        _completion(figure.add_subplot(grid[1, 0]), results)
        _tradeoff(figure.add_subplot(grid[1, 1]), results)
    plotting.save(figure, path)
    plt.close(figure)


def _timeline(ax: Any, stage: theatre.Stage, given: Results) -> None:
    """Rows of actors (beats) and props (where they are, their state) over the play's clock."""
    data = {name: np.asarray(value) for name, value in given.items()}
    clock, end = data["clock"], max(float(data["end"]), 1.0)
    facts = data["facts"]
    n, p = stage.num_actors, len(stage.props)
    rows = [*stage.actors, *stage.props]
    y = {name: len(rows) - 1 - k for k, name in enumerate(rows)}
    _points(ax, data, end, len(rows))
    after = np.append(clock[1:], end)
    for i, name in enumerate(stage.actors):
        acted = data["acts"][:, i] != 0
        helped = acted & data["effective"][:, i]
        failed = acted & ~data["succeeded"][:, i]
        other = acted & ~helped & ~failed
        for mask, marker, color in ((other, "o", GREY), (helped, "o", BEAT), (failed, "x", FAILED)):
            face = color if marker == "x" or color == BEAT else "none"
            ax.scatter(
                after[mask], np.full(mask.sum(), y[name]), marker=marker, s=34, zorder=4,
                facecolors=face, edgecolors=None if marker == "x" else color,
                color=color if marker == "x" else None,
            )  # fmt: skip
        prompted = data["prompt"][:, i] > 0
        ax.scatter(
            after[prompted], np.full(prompted.sum(), y[name] + 0.33), marker="v", s=42,
            color=plotting.PALETTE[1], zorder=5,
        )  # fmt: skip
        away = ~data["present"][:, i]
        ax.broken_barh(
            [(s, e - s) for s, e in zip(clock[away], after[away], strict=True)],
            (y[name] - 0.25, 0.5), color="#E5E5E5", zorder=1,
        )  # fmt: skip
    for k, name in enumerate(stage.props):
        _prop(ax, stage, k, facts, np.append(clock, end), y[name])
    ax.axhline(p - 0.5, color="#888888", linewidth=0.8)
    ax.set_yticks([y[name] for name in rows], rows)
    ax.set_xlim(0.0, end * 1.02)
    ax.set_ylim(-0.7, len(rows) + 0.5)
    ax.grid(False)
    handles = [
        _dot("o", BEAT, "act that helps"), _dot("o", "none", "other act", GREY),
        _dot("x", FAILED, "act that fails"), _dot("v", plotting.PALETTE[1], "advancer's prompt"),
    ]  # fmt: skip
    ax.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=4, frameon=False
    )
    plotting.titles(
        ax, f"Timeline of one play: {n} actors, {p} props", "seconds since the beginning", ""
    )


def _points(ax: Any, data: dict[str, np.ndarray], end: float, top: int) -> None:
    """Bands of the points, with their scene."""
    clock, point = data["clock"], data["point"]
    for k in range(int(point.max()) + 1):
        inside = point == k
        if not inside.any():
            continue
        begin = float(clock[inside][0])
        later = clock[point > k]
        finish = float(later[0]) if len(later) else end
        if k % 2:
            ax.axvspan(begin, finish, color="#F3EFE6", zorder=0)
        ax.axvline(finish, color="#777777", linewidth=0.8, linestyle=":")
        ax.text(
            (begin + finish) / 2, top + 0.05, f"scene {int(data['scene'][k]) + 1}\npoint {k + 1}",
            ha="center", va="center", fontsize=8.5,
        )  # fmt: skip


def _prop(
    ax: Any, stage: theatre.Stage, k: int, facts: np.ndarray, times: np.ndarray, y: float
) -> None:
    """Where a prop is over time: a bar for each place or holder, labelled; its state by marks."""
    where = np.concatenate([facts[:, stage.inside[k]], facts[:, stage.holds[:, k]]], axis=1)
    owner = where.argmax(axis=1)
    names = [*stage.places, *stage.actors]
    cuts = [0, *(np.flatnonzero(np.diff(owner)) + 1), len(owner) - 1]
    span = times[-1]
    for first, last in itertools.pairwise(cuts):
        held = owner[first] >= len(stage.places)
        color = "#DDE7F0" if held else "#F0E6D2"
        width = times[last] - times[first]
        ax.broken_barh([(times[first], width)], (y - 0.3, 0.6), facecolors=color,
                       edgecolors="white", zorder=2)  # fmt: skip
        name = names[owner[first]]
        if width > span * 0.011 * len(name):
            ax.text(times[first] + width / 2, y, name, ha="center", va="center", fontsize=7.5,
                    zorder=3)  # fmt: skip
    for number, fact in enumerate(stage.facts):
        if fact[0] == "is" and fact[1] == stage.props[k] and fact[2] != theatre.INTACT:
            for t in np.flatnonzero(np.diff(facts[:, number].astype(int)) > 0) + 1:
                ax.plot([times[t]] * 2, [y - 0.33, y + 0.33], color="#333333", lw=1.6, zorder=4)
                ax.text(times[t], y + 0.42, fact[2], ha="center", fontsize=7.5, zorder=4)


def _completion(ax: Any, results: Results) -> None:
    names = list(results["summary"])[::-1]
    values = [np.asarray(results["summary"][name]["complete"]) for name in names]
    means = [value.mean() for value in values]
    errors = [2 * value.std(ddof=1) / np.sqrt(len(value)) for value in values]
    ax.barh(names, means, color=[BEAT if name == "full" else GREY for name in names])
    ax.errorbar(means, np.arange(len(names)), xerr=errors, fmt="none", ecolor="#333333",
                elinewidth=1.2)  # fmt: skip
    ax.set_xlim(0.0, 1.02)
    ax.grid(False, axis="y")
    plotting.titles(ax, "Completed plays", "share, mean ± 2 standard errors over seeds", "")


def _tradeoff(ax: Any, results: Results) -> None:
    """Completion against latency of the ways to decide."""
    offsets = {"full": (8, 8), "always slow": (-8, 10), "always fast": (8, -14),
               "never silent": (8, 8)}  # fmt: skip
    for name, offset in offsets.items():
        fields = results["summary"][name]
        x, y = np.asarray(fields["thinking"]), np.asarray(fields["complete"])
        color = BEAT if name == "full" else "#555555"
        ax.errorbar(
            x.mean(), y.mean(), xerr=2 * x.std(ddof=1) / len(x) ** 0.5,
            yerr=2 * y.std(ddof=1) / len(y) ** 0.5, fmt="o", color=color,
        )  # fmt: skip
        ax.annotate(
            name, (x.mean(), y.mean()), xytext=offset, textcoords="offset points", fontsize=9,
            color=color, ha="right" if offset[0] < 0 else "left",
        )  # fmt: skip
    ax.margins(0.18)
    plotting.titles(
        ax, "Completion and latency", "seconds of latency of a play, all actors together",
        "completed plays, share",
    )  # fmt: skip


def _dot(marker: str, face: str, label: str, edge: str | None = None) -> Any:
    from matplotlib.lines import Line2D

    color = edge or face
    return Line2D([], [], linestyle="", marker=marker, color=color, markerfacecolor=face,
                  label=label)  # fmt: skip
