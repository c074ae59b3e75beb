"""Figure of the TSCAC experiment: Pareto planes of watch time against each auxiliary response."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.tscac.claims import gains, relative, worst
from experiments.tscac.config import METHODS, WEIGHTS, Config
from jaxswarm import plotting, statistics
from jaxswarm.envs.feed import RESPONSES

CURVES = ("TSCAC", "TSCAC, closed form", "RCPO", "weighted sum", "Lagrangian", "Pareto", "ranking")
POINTS = {"watch only": "X", "interactions only": "P", "behavior cloning": "s"}
COLORS: dict[str, str] = dict(
    zip(CURVES, (plotting.PALETTE[i] for i in (0, 1, 2, 3, 4, 5, 6)), strict=True)
)


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw a plane for each auxiliary response and for the worst one, and the exact trade-off."""
    panels = np.ravel(plotting.panels(2, 4, width=4.6, height=4.0))
    for i, name in enumerate(RESPONSES[1:]):
        title = f"{name.capitalize()}s" + (" (fewer is up)" if name == "hate" else "")
        draw_plane(panels[i], results, lambda x, i=i: x[..., 1 + i], title)
    draw_plane(panels[5], results, worst, "Worst auxiliary response")
    draw_exact(panels[6], results["exact"])
    draw_estimates(panels[7], results)
    panels[0].legend(frameon=False, fontsize=7, loc="upper left")
    plotting.save(panels[0], path)


def draw_plane(ax: Any, results: Results, take: Any, title: str) -> None:
    """Gains of watch time and of one auxiliary response, means over seeds with intervals."""
    for method in (*CURVES, *POINTS):
        found = gains(results, method)
        x, y = summaries(found[..., 0]), summaries(take(found))
        color = COLORS.get(method, "#333333")
        marker = POINTS.get(method, "o")
        style = "none" if method in POINTS else "-"
        ax.plot(x[0], y[0], linestyle=style, color=color, marker=marker, ms=4, lw=1.2, label=method)
        ax.errorbar(x[0], y[0], y[1:], x[1:], fmt="none", ecolor=color, elinewidth=0.6, alpha=0.6)
    oracle = relative(results, np.asarray(results["oracle"])).mean(0)
    ax.plot(oracle[:, 0], take(oracle), ":", color="#9A9A9A", lw=1.0, label="oracle")
    ax.axhline(0.0, color="#9A9A9A", lw=0.6)
    ax.axvline(0.0, color="#9A9A9A", lw=0.6)
    means = np.concatenate([take(gains(results, m)).mean(0) for m in (*CURVES, *POINTS)])
    ax.set_xlim(-0.3, 0.8)
    ax.set_ylim(means.min() - 0.1, means.max() + 0.15)
    plotting.titles(ax, title, "gain of watch time", "gain over the log")


def summaries(values: np.ndarray) -> np.ndarray:
    """Means over seeds and lengths of error bars below and above, ``[3, G]``."""
    found = [statistics.summarize(column) for column in values.T]
    mean = np.array([each.value for each in found])
    low, high = (np.array([each.interval[k] for each in found]) for k in (0, 1))
    return np.stack([mean, mean - low, high - mean])


def draw_exact(ax: Any, exact: Results) -> None:
    """Values in random processes along λ."""
    for name, color in (("watch", plotting.PALETTE[0]), ("auxiliary", plotting.PALETTE[3])):
        mean, below, above = summaries(np.asarray(exact[name]))
        ax.errorbar(WEIGHTS, mean, [below, above], color=color, marker="o", ms=4, label=name)
        ax.axhline(np.mean(exact[f"{name}_only" if name == "watch" else "auxiliary_watch_only"]),
                   color=color, ls=":", lw=1.0)  # fmt: skip
    ax.set_xscale("log")
    ax.legend(frameon=False, fontsize=8)
    plotting.titles(ax, "Exact, random processes", "λ", "value / that of a uniform policy")


def draw_estimates(ax: Any, results: Results) -> None:
    """Watch time of a request: estimated from the held-out log, and true."""
    for method in METHODS:
        requests = np.asarray(results["requests"][method])
        true = np.asarray(results["online"][method])[..., 0] / requests
        guess = np.asarray(results["estimate"][method])[..., 0]
        color = COLORS.get(method, "#333333")
        ax.plot(true.ravel(), guess.ravel(), "o", ms=3, color=color, alpha=0.6)
    ends = np.array(ax.get_xlim())
    ax.plot(ends, ends, color="#9A9A9A", lw=0.8)
    plotting.titles(ax, "Watch time of a request", "simulator", "NCIS, held-out log")
