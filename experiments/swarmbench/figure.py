"""Figure of the SwarmBench experiment: scores over the view, learning, variance explained."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.swarmbench.claims import explained_variance, random_scores, scripted_scores
from experiments.swarmbench.config import MESSAGES, MOTION, SAME_SIGHT, Config
from jaxswarm import plotting
from jaxswarm.envs import swarmbench


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the scores of every task with and without messages, and what explains them."""
    grid = plotting.panels(2, 4, width=4.8, height=4.0)
    for position, task in enumerate(swarmbench.TASKS):
        ax = grid[divmod(position, 4)]
        draw_scores(config, task, results["tasks"][task], ax)
    draw_learning(config, results["tasks"], grid[1, 1])
    draw_explained(results["tasks"], grid[1, 2])
    grid[1, 3].set_axis_off()
    plotting.save(grid[0, 0], path)


def draw_learning(config: Config, tasks: Results, ax: Any) -> None:
    """Scores of the trained networks while learning, as shares of the scripted policy's."""
    steps = np.arange(1, config.looks + 1) * config.iterations // config.looks
    series = {
        task: tasks[task]["curve"] / scripted_scores(config, tasks[task], SAME_SIGHT).mean()
        for task in config.learned
    }
    plotting.curves(
        series,
        steps * config.envs * config.horizon / 1000,
        title="Learning",
        xlabel="thousand environment steps",
        ylabel="score / the scripted policy's (median, quartiles)",
        ax=ax,
    )


def draw_scores(config: Config, task: str, found: Results, ax: Any) -> None:
    """Scores of the scripted policy over its view; random moves; trained networks."""
    views = np.array([2 * sight + 1 for sight in config.sights])
    series = {
        name: np.stack(
            [scripted_scores(config, found, s, messages=messages) for s in config.sights], axis=1
        )
        for name, messages in (("messages", True), ("no messages", False))
    }
    ax.axhline(
        random_scores(found).mean(),
        color="#9A9A9A",
        linestyle=(0, (4, 3)),
        label="random moves (mean)",
    )
    if "learned" in found:
        ax.plot(
            np.full(len(found["learned"]), config.learner_view),
            found["learned"],
            "D",
            color=plotting.PALETTE[3],
            markersize=5,
            label="trained networks",
        )
    plotting.curves(
        series,
        views,
        title=task.capitalize(),
        xlabel="view: k of k × k cells",
        ylabel="score of an episode (median, quartiles)",
        ax=ax,
    )
    ax.set_xticks(views)
    handles, labels = ax.get_legend_handles_labels()
    marked = [
        (handle, label)
        for handle, label in zip(handles, labels, strict=True)
        if label not in series  # the curves are labelled at their ends
    ]
    ax.legend(
        *zip(*marked, strict=True),
        frameon=False,
        fontsize=10,
        ncols=2,
        columnspacing=1.0,
        loc="upper left",
        bbox_to_anchor=(-0.06, -0.2),
        borderaxespad=0.0,
    )


def draw_explained(tasks: Results, ax: Any) -> None:
    """Adjusted R² of the score by movement and by the amount of messages, one pair per task."""
    position = np.arange(len(swarmbench.TASKS))
    for index, (name, measures) in enumerate((("movement", MOTION), ("messages sent", MESSAGES))):
        ax.barh(
            position + 0.38 * index - 0.19,
            explained_variance(tasks, measures),
            height=0.36,
            color=plotting.PALETTE[index],
            label=name,
        )
    ax.set_yticks(position, list(swarmbench.TASKS))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    plotting.titles(ax, "Variance of the score explained by", "adjusted R² over all episodes", "")
    ax.set_title(ax.get_title(loc="left"), loc="left", pad=27)
    ax.legend(
        frameon=False,
        fontsize=10,
        ncols=2,
        loc="lower left",
        bbox_to_anchor=(-0.02, 0.99),
        borderaxespad=0.0,
    )
