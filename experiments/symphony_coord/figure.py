"""Figure of the Symphony-Coord experiment: success through shocks, regret, sharing."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.symphony_coord.arms import ARMS, SHARING, shock_success
from experiments.symphony_coord.claims import saved_share
from experiments.symphony_coord.config import Config
from experiments.symphony_coord.worlds import A_DEGRADES, A_FAILS_OTHERS_DEGRADE
from jaxswarm import plotting

LATE_COLOR = "#9A9A9A"


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw four panels: success under two shocks, regret, and regret by kind of sharing."""
    grid = plotting.panels(2, 2, width=6.4, height=4.4)
    _draw_shock(
        grid[0, 0], config, results, A_FAILS_OTHERS_DEGRADE, "Agent A fails, C, D and E degrade"
    )
    _draw_shock(grid[0, 1], config, results, A_DEGRADES, "Agents A, C and E degrade")
    _draw_regret(grid[1, 0], results)
    _draw_swarm(grid[1, 1], config, results)
    plotting.save(grid[0, 0], path)


def _draw_shock(ax: Any, config: Config, results: Results, shock: str, title: str) -> None:
    """Success rates in consecutive blocks of tasks, with the shock as a dashed line."""
    block = max(config.tasks // 20, 1)
    ends = np.arange(block, config.tasks + 1, block)
    rates = {}
    for arm in ARMS:
        success = shock_success(results, shock, arm)[:, : len(ends) * block]
        rates[arm] = success.reshape(len(success), len(ends), block).mean(axis=2)
    plotting.curves(
        rates,
        ends,
        xlabel="task (dashed line: shock)",
        ylabel=f"success rate in blocks of {block} tasks, median and quartiles over seeds",
        title=title,
        colors={"oracle": plotting.PALETTE[6]},
        ax=ax,
    )
    ax.axvline(config.tasks // 2, color=LATE_COLOR, linewidth=1.0, linestyle=(0, (4, 3)))


def _draw_regret(ax: Any, results: Results) -> None:
    """Total regret against the number of tasks, both logarithmic, with fitted exponents."""
    regret = results["regret"]
    plotting.curves(
        {
            f"{name}: $T^{{{np.mean(regret['slope'][name]):.2f}}}$": total
            for name, total in regret["total"].items()
        },
        regret["at"],
        xlabel="number of tasks T",
        ylabel="total regret, with the exponent of a fitted power law",
        title="Regret with linear rewards",
        log=True,
        ax=ax,
    )
    ax.set_xscale("log")


def _draw_swarm(ax: Any, config: Config, results: Results) -> None:
    """Total regret of a requester for each kind of sharing."""
    total = {name: np.cumsum(results["swarm"][name]["regret"], axis=1) for name in SHARING}
    keep = np.unique(np.linspace(0, config.rounds - 1, 60).astype(int))
    plotting.curves(
        {name: rows[:, keep] for name, rows in total.items()},
        keep + 1,
        xlabel="task of each requester (dashed line: 30 % of the workers fail)",
        ylabel=f"total regret per requester, gossip's share of the saving: "
        f"{saved_share(results).mean():.0%}",
        title=f"Swarm of {config.nodes} requesters",
        ax=ax,
    )
    ax.axvline(config.rounds // 2, color=LATE_COLOR, linewidth=1.0, linestyle=(0, (4, 3)))
