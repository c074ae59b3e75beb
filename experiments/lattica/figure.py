"""Figure of the Lattica experiment: ladder, regions, convergence, blocks, requests, methods."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.lattica import fetching, rpc, spreading
from experiments.lattica.config import Config
from experiments.lattica.training import TRANSPORTS
from experiments.lattica.world import MIXES, PLACES
from jaxswarm import plotting
from jaxswarm.network.transport import LEVELS

_RUNGS = ("dialed, public", "+ UPnP", "+ hole punching", "+ relay")


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the layers from connections to methods."""
    grid = plotting.panels(2, 4, width=5.4, height=4.4)
    _ladder(grid[0, 0], results["reach"])
    _regions(grid[0, 1], config, results["reach"])
    _convergence(grid[0, 2], config, results)
    _store(grid[0, 3], config, results["store"])
    _blocks(grid[1, 0], config, results["fetching"])
    _requests(grid[1, 1], config, results["rpc"])
    _replication(grid[1, 2], results["spreading"])
    _methods(grid[1, 3], results)
    plotting.save(grid[0, 0], path)


def _title(ax: Any, text: str) -> None:
    ax.set_title(text, loc="left", fontsize=13)


def _ladder(ax: Any, found: Results) -> None:
    plotting.tidy(ax)
    left = np.zeros(len(MIXES))
    for rung, level in enumerate(LEVELS):
        share = np.array([np.mean(found["ladder"][mix][level]) for mix in MIXES])
        ax.barh(
            range(len(MIXES)), share - left, left=left, color=plotting.PALETTE[rung],
            label=_RUNGS[rung],
        )  # fmt: skip
        left = share
    ax.set_yticks(range(len(MIXES)), list(MIXES))
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel("share of the pairs of peers")
    ax.legend(frameon=False, fontsize=9, ncol=2, loc="upper center", bbox_to_anchor=(0.4, -0.16))
    _title(ax, "How pairs connect, by mix of NATs")


def _regions(ax: Any, config: Config, found: Results) -> None:
    plotting.tidy(ax, grid=False)
    places = list(PLACES.items())[: config.regions]
    direct, relayed = np.asarray(found["direct"]), np.asarray(found["relayed"])
    width = 5.0 / np.max(direct + relayed)
    for i, (_, (lat, lon)) in enumerate(places):
        for j in range(i):
            other_lat, other_lon = places[j][1]
            # Side by side: an offset across the line.
            along = np.array([other_lon - lon, other_lat - lat])
            across = np.array([-along[1], along[0]]) / max(np.linalg.norm(along), 1e-9) * 1.6
            for sign, table, color in ((1, direct, 0), (-1, relayed, 1)):
                ax.plot(
                    [lon + sign * across[0], other_lon + sign * across[0]],
                    [lat + sign * across[1], other_lat + sign * across[1]],
                    color=plotting.PALETTE[color], linewidth=width * table[i, j], alpha=0.8,
                )  # fmt: skip
    for name, (lat, lon) in places:
        ax.plot(lon, lat, "o", color="#222222", markersize=7)
        ax.annotate(
            name, (lon, lat), xytext=(0, 9), textcoords="offset points", ha="center", fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.0},
        )  # fmt: skip
    ax.plot([], [], color=plotting.PALETTE[0], linewidth=3, label="direct")
    ax.plot([], [], color=plotting.PALETTE[1], linewidth=3, label="relayed")
    ax.legend(frameon=False, fontsize=9, loc="lower left")
    ax.set_xlim(-180, 180)
    ax.set_ylim(-60, 75)
    ax.set_xlabel("longitude, degrees")
    ax.set_ylabel("latitude, degrees")
    _title(ax, "Links between regions; width: number")


def _convergence(ax: Any, config: Config, results: Results) -> None:
    plotting.tidy(ax)
    series = (
        ("replicas equal", config.replicas, results["store"]["rounds"]),
        ("lookup, buckets of 4", config.growth, results["lookup"]["growth"]),
    )
    for color, (name, sizes, table) in enumerate(series):
        rounds, logs = np.asarray(table, float), np.log2(sizes)
        ax.plot(
            np.repeat(logs, rounds.shape[1]), rounds.ravel(), ".", alpha=0.35,
            color=plotting.PALETTE[color],
        )  # fmt: skip
        line = np.polyfit(logs, rounds.mean(axis=1), 1)
        ax.plot(logs, np.polyval(line, logs), color=plotting.PALETTE[color], label=name)
    ax.set_xlabel("log₂ of the number of peers")
    ax.set_ylabel("rounds")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=10)
    _title(ax, "Rounds against log₂ n, lines fitted")


def _store(ax: Any, config: Config, found: Results) -> None:
    plotting.tidy(ax)
    agreement = np.asarray(found["agreement"]).mean(axis=1)
    rounds = np.arange(1, agreement.shape[1] + 1)
    for place, size in enumerate(config.replicas):
        ax.plot(rounds, agreement[place], color=plotting.PALETTE[place], label=f"{size} replicas")
    ax.axvspan(0, config.cut, color="#DDDDDD", zorder=0)
    ax.text(0.5, 1.11, "partition", va="top", fontsize=9)
    ax.set_ylim(-0.03, 1.12)
    ax.axhline(
        np.mean(found["no_tie_break"]), color="#C2321E", linestyle="--", linewidth=1.2,
        label="no tie-break, at the end",
    )  # fmt: skip
    ax.set_xlabel("round")
    ax.set_ylabel("replicas equal to the first live one")
    ax.legend(frameon=False, fontsize=9, loc="center right")
    _title(ax, "A replicated store heals")


def _blocks(ax: Any, config: Config, found: Results) -> None:
    plotting.tidy(ax)
    marks = ("o", "s", "^", "P", "D", "v")
    for place, arm in enumerate(fetching.ARMS):
        seconds = np.asarray(found["seconds"][arm]).mean(axis=1)
        copies = np.asarray(found["bytes"][arm]).mean(axis=1) / np.array(config.sizes)
        ax.plot(
            copies, seconds, color=plotting.PALETTE[place], marker=marks[place % len(marks)],
            label=arm, linewidth=0.8,
        )  # fmt: skip
    ax.set_yscale("log")
    ax.set_xlabel("bytes sent / bytes of the block")
    ax.set_ylabel("seconds until the block is there")
    shown = ", ".join(f"{size / 1e6:g}" for size in config.sizes)
    ax.legend(frameon=False, fontsize=9)
    _title(ax, f"Blocks of {shown} MB (upwards)")


def _requests(ax: Any, config: Config, found: Results) -> None:
    plotting.tidy(ax)
    rate, bound = np.asarray(found["rate"])[-1], np.asarray(found["bound"])[-1]
    for place, name in enumerate(rpc.DISTANCES):
        color = plotting.PALETTE[place]
        ax.loglog(
            rpc.SIZES, rate[place].mean(axis=-1), "o", color=color, markersize=9 - 2 * place
        )  # fmt: skip
        trip = float(np.asarray(found["round_trip"])[place]) * 1e3
        ax.loglog(
            rpc.SIZES,
            bound[place],
            color=color,
            linewidth=3.4 - 0.8 * place,
            label=f"{name}, {trip:.3g} ms",
        )
    ax.set_xlabel("bytes of a request")
    ax.set_ylabel("requests per second")
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    _title(ax, f"{config.in_flight[-1]} in flight; lines: bound")


def _replication(ax: Any, found: Results) -> None:
    plotting.tidy(ax)
    arms = list(spreading.ARMS)
    slots = [np.asarray(found[arm]["slots"], float) for arm in arms]
    ax.barh(range(len(arms)), [x.mean() for x in slots], color=plotting.PALETTE[0])
    for place, arm in enumerate(arms):
        mean = slots[place].mean()
        sent = np.asarray(found[arm]["copies"], float).mean()
        inside = mean > 0.5 * max(x.mean() for x in slots)
        ax.text(
            mean, place, f"{mean:.0f}, {sent:,.0f} blocks ", va="center", fontsize=9,
            ha="right" if inside else "left", color="white" if inside else "black",
        )  # fmt: skip
    ax.set_yticks(range(len(arms)), [arm.replace(", ", ",\n") for arm in arms], fontsize=9)
    ax.invert_yaxis()
    ax.set_xlabel("slots until all peers have the model; blocks sent")
    _title(ax, "A model in blocks to all peers")


def _methods(ax: Any, results: Results) -> None:
    plotting.tidy(ax)
    training, routing = results["training"], results["routing"]
    rows = {
        "D-PSGD, accuracy": (training["dpsgd"], "accuracy"),
        "MoDeST, accuracy": (training["modest"], "accuracy"),
        "Symphony-Coord, reward": (routing["linucb"], "reward"),
        "random choice, reward": (routing["random"], "reward"),
    }
    for place, (name, (found, what)) in enumerate(rows.items()):
        drawn = [x for x in TRANSPORTS if x in found]
        table = np.asarray([found[x][what] for x in drawn], float)
        at = np.array([TRANSPORTS.index(x) for x in drawn]) + 0.08 * (place - 1.5)
        ax.errorbar(
            at, table.mean(axis=1), 2 * table.std(axis=1) / np.sqrt(table.shape[1]), fmt="o",
            color=plotting.PALETTE[place], label=name,
        )  # fmt: skip
    ax.set_xticks(range(len(TRANSPORTS)), [x.replace(" ", "\n") for x in TRANSPORTS])
    ax.set_ylim(0, 1)
    ax.set_ylabel("mean, ± 2 standard errors")
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    _title(ax, "Methods that run on the transport")
