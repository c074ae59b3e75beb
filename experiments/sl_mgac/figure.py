"""Figure of the SL-MGAC experiment: value estimates over training, reward and usage of each arm."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.sl_mgac.claims import PLANNER, diverged, true_largest, usage
from experiments.sl_mgac.config import Config
from experiments.sl_mgac.learners import ARMS, RANKING
from jaxswarm import plotting, statistics

COLORS = {arm: plotting.PALETTE[i] for arm, i in zip(ARMS, (0, 5, 2, 3, 1, 4), strict=True)}
SHOWN = ("SL-MGAC", "no supervised head", "SAC", "DQN")
"""Arms whose value estimates are drawn, every seed a line."""
KNOWN = ("never", "always", "bandit", PLANNER)


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw value estimates of every seed, and reward and usage with intervals over seeds."""
    grid = plotting.panels(1, 3, width=5.6, height=4.6)
    figure = grid[0, 0].figure
    _draw_values(grid[0, 0], config, results)
    arms = {arm: results["arms"][arm] for arm in (*ARMS, RANKING)}
    arms |= {name: results["known"][name] for name in KNOWN}
    never = results["known"]["never"]
    rewards = {arm: statistics.summarize(found["reward"]) for arm, found in arms.items()}
    plotting.intervals(
        rewards,
        threshold=rewards["SL-MGAC"].value,
        xlabel="reward of a user, 10 s",
        title="Reward (dashed: SL-MGAC)",
        ax=grid[0, 1],
    )
    plotting.intervals(
        {arm: statistics.summarize(usage(found, never)) for arm, found in arms.items()},
        threshold=1.0 - config.delta,
        xlabel="watch time / that without insertions",
        title="Usage (dashed: constraint)",
        ax=grid[0, 2],
    )
    plotting.save(figure, path)


def _draw_values(ax: Any, config: Config, results: Results) -> None:
    every = config.steps // config.records
    steps = every * (1 + np.arange(config.records))
    for arm in SHOWN:
        mean = results["curves"][arm]["mean"]
        lost = diverged(results, arm)
        label = f"{arm}, {lost.sum()} of {len(lost)} diverged" if lost.any() else arm
        for s, curve in enumerate(mean):
            ax.plot(steps, curve, color=COLORS[arm], lw=1.1, label=label if s == 0 else None)
            if lost[s]:
                ax.plot(steps[-1], curve[-1], "x", color=COLORS[arm], ms=9, mew=2)
    largest = true_largest(results)
    text = "mean value of logged states under the policy"
    if max(np.nanmax(results["curves"][arm]["mean"]) for arm in SHOWN) > largest:
        ax.set_yscale("symlog", linthresh=largest)
    ax.legend(frameon=False, fontsize=9)
    plotting.titles(ax, "Value estimates, one line for each seed", "gradient steps", text)
