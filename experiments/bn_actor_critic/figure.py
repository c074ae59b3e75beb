"""Figure of the Bayesian-network actor-critic experiment: tables, networked agents and teams."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.bn_actor_critic.claims import GAME_NAMES, TEAM_ARM_NAMES
from experiments.bn_actor_critic.config import Config
from experiments.bn_actor_critic.games import INFORMED_STEPS, informed_values
from experiments.harness.protocol import Results
from jaxswarm import plotting

TABULAR_ARMS = ("no edges", "line", "full graph")


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw values over gradient steps, final mean rewards, and returns and densities of teams.

    Lines are medians over seeds, bands quartiles. Dashed: the best that given graphs allow in the
    game of one informed agent (no edges, full graph, graphs that depend on the state).
    """
    teams = results.get("teams", {})
    columns = len(config.sizes) + 1
    grid = plotting.panels(1 + len(teams), columns, width=5.0, height=4.0)
    for column, n in enumerate(config.sizes):
        plotting.curves(
            dict(zip(TABULAR_ARMS, results["tables"][str(n)]["value"], strict=True)),
            np.arange(1, config.iterations // config.every + 1) * config.every,
            title=f"Coordination game in tables, {n} agents",
            xlabel="exact gradient step",
            ylabel="share of the optimal value",
            ax=grid[0, column],
        )
    draw_neighbors(results["neighbors"], grid[0, len(config.sizes)])
    for row, (game, found) in enumerate(teams.items(), 1):
        draw_team(config, game, found, grid[row, 0], grid[row, 1])
        for ax in grid[row, 2:]:
            ax.set_axis_off()
    plotting.save(grid[0, 0], path)


def draw_neighbors(found: dict[str, np.ndarray], ax: Any) -> None:
    """Final mean rewards of the networked agents: means as bars, seeds as dots."""
    position = np.arange(len(found))
    means = [values.mean() for values in found.values()]
    ax.barh(position, means, color=plotting.PALETTE[0], height=0.6)
    for row, values in enumerate(found.values()):
        ax.plot(values, np.full(len(values), row), ".", color="black", alpha=0.35)
    ax.set_yticks(position, list(found))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    plotting.titles(
        ax,
        "Three networked agents on a path",
        "mean reward, share of the best",
        "",
    )


def draw_team(
    config: Config,
    game: str,
    found: dict[str, dict[str, np.ndarray]],
    returns: Any,
    densities: Any,
) -> None:
    """Returns and densities in training; the axis of returns shows the second half's range."""
    names = {arm: TEAM_ARM_NAMES[arm].removeprefix("the ") for arm in found}
    title = GAME_NAMES[game].removeprefix("the ")
    late = [of_arm["curve"][:, of_arm["curve"].shape[1] // 2 :] for of_arm in found.values()]
    low, high = min(x.min() for x in late), max(x.max() for x in late)
    if game == "informed":
        best = [INFORMED_STEPS * x for x in informed_values(config.informed).values()]
        low, high = min(low, *best), max(high, *best)
        for value in best:
            returns.axhline(value, color="#9A9A9A", linestyle=(0, (4, 3)), linewidth=1.0)
    returns.set_ylim(low - 0.1 * (high - low), high + 0.1 * (high - low))
    plotting.curves(
        {names[arm]: of_arm["curve"] for arm, of_arm in found.items()},
        title=f"BN-MAPPO on {title}",
        xlabel="PPO iteration",
        ylabel="episode return of the team in training",
        ax=returns,
    )
    plotting.curves(
        {names[arm]: of_arm["density"] for arm, of_arm in found.items()},
        title=f"Graphs on {title}",
        xlabel="PPO iteration",
        ylabel="density (1: full graph)",
        ax=densities,
    )
