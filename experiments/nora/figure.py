"""Figure of the NORA experiment: regrets with switch times, offline data, swarms, resets."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.nora.classes import RADII
from experiments.nora.config import GRAPHS, TARGETS, Config
from experiments.nora.play import recorded
from jaxswarm import plotting

SHOWN = (
    "NORA",
    "loss rule",
    "no reset",
    "DOUHUA",
    "LSVI-UCB",
    "no optimism",
    "reset in every episode",
)
GRAY = "#9A9A9A"
LEAST = 1e-4  # smallest excess that is drawn


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the lock and each part; lines are medians over seeds, bands quartiles."""
    grid = plotting.panels(2, 3, width=6.4, height=4.6)
    draw_lock(grid[0, 0], config, results)
    for ax, part, draw in (
        (grid[0, 1], "offline", draw_offline),
        (grid[0, 2], "class", draw_class),
        (grid[1, 0], "swarm", draw_swarm),
        (grid[1, 1], "decoy", draw_decoy),
        (grid[1, 2], "rate", draw_rate),
    ):
        if part in results:
            draw(ax, config, results[part])
        else:
            ax.set_axis_off()
    plotting.save(grid[0, 0], path)


def draw_regrets(ax: Any, totals: dict[str, np.ndarray], episodes: int, title: str) -> None:
    """Cumulative regrets over episodes, both logarithmic."""
    plotting.curves(
        totals,
        recorded(episodes),
        xlabel="episode",
        ylabel="cumulative regret",
        title=title,
        log=True,
        ax=ax,
    )
    ax.set_xscale("log")


def draw_lock(ax: Any, config: Config, results: Results) -> None:
    """Regrets of several arms, and ticks at the first seed's switches below them."""
    totals = {name: results["lock"][name]["total"] for name in SHOWN}
    draw_regrets(ax, totals, config.episodes, "Lock: regret, and NORA's switches as ticks")
    low, high = ax.get_ylim()
    bottom = low * (low / high) ** 0.12
    ax.set_ylim(bottom, high)
    switches = results["lock"]["NORA"]["times"]
    ax.vlines(switches, bottom, low, color=plotting.PALETTE[0], linewidth=0.8)
    x = recorded(config.episodes)
    first = results["lock"]["no optimism"]["total"][:, 0].mean()
    ax.plot(x, first * x**0.5, color=GRAY, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    ax.set_xlabel("episode (dashed: growth as √T)")


def draw_offline(ax: Any, config: Config, offline: Results) -> None:
    """Total regret over the size of the offline data; size 0 stands left of the others."""
    sizes = np.array(config.offline, float)
    shown = np.where(sizes == 0, sizes[1] / 4.0, sizes)
    totals = {
        kind: np.stack([offline["arms"][f"{kind} {n}"]["total"][:, -1] for n in config.offline], 1)
        for kind in ("NORA", "no optimism", "offline only")
    }
    plotting.curves(
        totals,
        shown,
        xlabel="episodes of offline data",
        ylabel=f"total regret of {config.hybrid_episodes:,} episodes",
        title="Lock with offline data",
        log=True,
        ax=ax,
    )
    ax.set_xscale("log")
    ax.set_xticks(shown, [f"{n:,}" for n in config.offline])
    ax.minorticks_off()


def draw_class(ax: Any, config: Config, classes: Results) -> None:
    """Largest excess loss of the optimal values so far, as a share of the radius."""
    episodes = np.arange(1, config.class_episodes + 1)
    keep = np.unique(np.geomspace(1, len(episodes), 80).round().astype(int)) - 1
    so_far = {name: np.maximum.accumulate(classes[name]["excess"], axis=1) for name in RADII}
    plotting.curves(
        {name: np.maximum(excess[:, keep], LEAST) for name, excess in so_far.items()},
        episodes[keep],
        xlabel="episode (dashed: radius)",
        ylabel="excess loss of the optimal values so far / radius (median, range)",
        title=f"Exact version space of {int(classes['size'])} tables",
        log=True,
        band=(0.0, 100.0),
        ax=ax,
    )
    ax.axhline(1.0, color=GRAY, linewidth=1.0, linestyle=(0, (4, 3)))
    ax.set_xscale("log")


def draw_swarm(ax: Any, config: Config, swarm: Results) -> None:
    """Regret of an agent for each graph: NORA solid, the greedy learner dashed."""
    draw_regrets(
        ax,
        {graph: swarm["NORA"][graph]["total"] for graph in GRAPHS},
        config.swarm_episodes,
        f"{config.agents} agents: NORA (solid), rare LSVI-UCB (dashed)",
    )
    at = recorded(config.swarm_episodes)
    for graph, color in zip(GRAPHS, plotting.PALETTE, strict=False):
        greedy = np.median(swarm["rare LSVI-UCB"][graph]["total"], axis=0)
        ax.plot(at, greedy, color=color, linewidth=1.4, linestyle=(0, (4, 2)))


def draw_decoy(ax: Any, config: Config, decoy: Results) -> None:
    """Regrets with and without resets, at two rates."""
    totals = {name: found["total"] for name, found in decoy.items()}
    draw_regrets(ax, totals, config.decoy_episodes, "Decoy: what resets cost and save")


def draw_rate(ax: Any, config: Config, rate: Results) -> None:
    """Episodes until the mean regret is ε, on random linear processes, with a line of slope 2."""
    del config
    times = np.where(np.isfinite(rate["times"]), rate["times"], np.nan)
    if np.isnan(times).all():  # too few episodes for the first target
        ax.set_axis_off()
        return
    inverse = 1.0 / np.array(TARGETS)
    plotting.curves(
        {"NORA": times},
        inverse,
        xlabel="1/ε, in units of a uniform policy's regret (dashed: slope 2)",
        ylabel="episodes until the mean regret is ε",
        title="Random linear processes",
        log=True,
        ax=ax,
    )
    first = np.nanmedian(times[:, 0])
    ax.plot(inverse, first * (inverse / inverse[0]) ** 2, color=GRAY, linestyle=(0, (4, 3)))
    ax.set_xscale("log", base=2)
