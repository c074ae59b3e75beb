"""Figure of the SAPO experiment: reward curves, gains with intervals, bytes, specialists."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.sapo.claims import SOLVED, WINDOW, arms_of, gain, label, learned
from experiments.sapo.config import Config, ratio_name
from jaxswarm import plotting, statistics

COLORS = ("#5A5A5A", *plotting.PALETTE)


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the figure.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.sapo.arms.run`.
        path: of the PNG.
    """
    axes = plotting.panels(2, 3, width=5.0, height=3.9)
    low, alone = results["low"], arms_of(config)[0]
    arms = [alone, *(ratio_name(config, j) for j in config.external), "filtered"]
    colors: dict[str, str] = dict(zip([*arms, "right_only", "oracle_right"], COLORS, strict=False))
    _curves(axes[0, 0], low, [*arms, "right_only", "oracle_right"], colors, "Low base pass rate")
    _curves(axes[0, 1], results["high"], list(results["high"]), colors, "High base pass rate")
    _bytes(axes[0, 2], low, arms, colors)
    for ax, kind, title in (
        (axes[1, 0], "low", "Low base: gain in cumulative reward"),
        (axes[1, 1], "specialists", "Specialists: gain in cumulative reward"),
    ):
        found = results[kind]
        gains = {label(arm): gain(found, arm, alone) for arm in found if arm != alone}
        plotting.intervals(
            gains, xlabel=f"gain over {label(alone)}, fraction of it", title=title, ax=ax
        )
    _learned(axes[1, 2], config, results["specialists"])
    plotting.save(axes[0, 0].figure, path)


def _curves(ax: Any, found: Results, arms: list[str], colors: dict[str, str], title: str) -> None:
    """Moving averages of the reward, mean over seeds and its band of one standard error."""
    for arm in arms:
        reward = found[arm]["reward"]
        window = min(WINDOW, reward.shape[1])
        kernel = np.ones(window) / window
        smooth = np.stack([np.convolve(curve, kernel, "valid") for curve in reward])
        at = np.arange(smooth.shape[1]) + window
        mean, error = smooth.mean(0), smooth.std(0, ddof=1) / np.sqrt(len(smooth))
        ax.plot(at, mean, color=colors[arm], lw=2.2, label=label(arm))
        ax.fill_between(at, mean - error, mean + error, color=colors[arm], alpha=0.18, lw=0)
    plotting.tidy(ax)
    ax.legend(fontsize="small", frameon=False, loc="lower right", ncols=2)
    ax.set_ylim(bottom=0.0)
    plotting.titles(ax, title, "round", f"own reward, {window}-round mean ± standard error")


def _bytes(ax: Any, low: Results, arms: list[str], colors: dict[str, str]) -> None:
    """Bytes of text that an agent sends in a round."""
    sent = [low[arm]["bytes"].mean() for arm in arms]
    ax.bar(range(len(arms)), sent, color=[colors[arm] for arm in arms])
    plotting.tidy(ax)
    ax.set_xticks(range(len(arms)), [label(arm) for arm in arms])
    plotting.titles(ax, "Text sent by an agent", "", "bytes in a round, all receivers together")


def _learned(ax: Any, config: Config, found: Results) -> None:
    shares = {
        label(arm): statistics.summarize(learned(config, each)) for arm, each in found.items()
    }
    plotting.intervals(
        shares,
        xlabel=f"share solved above {100 * SOLVED:.0f} %",
        title="Specialists: unseen families",
        ax=ax,
    )
