"""Figure of the Web3Recommend experiment: Sybil gains, relevance, gossip, and an attack."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.web3recommend.arms import ARMS
from experiments.web3recommend.config import Config
from jaxswarm import plotting, statistics, topology
from jaxswarm.trust import graphs

BOTTLENECK = "#C2321E"
ROLES = ("user", "root", "attacker", "Sybil")  # by number, see arms.example
ATTACKER = ROLES.index("attacker")


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw gains against the number of Sybils for three attacks, relevance, gossip, a network."""
    grid = plotting.panels(2, 3, width=5.6, height=4.2)
    for ax, shape in zip(grid[0], graphs.SHAPES, strict=True):
        plotting.curves(
            {arm: results["gain"][shape][arm] for arm in ARMS},
            np.array(config.sybils),
            xlabel="number of Sybils",
            ylabel="promoted items' share of the scores",
            title=f"Sybils in a {shape}",
            ax=ax,
        )
    hits = results["relevance"]["hits"]
    plotting.intervals(
        {arm: statistics.summarize(values) for arm, values in hits.items()},
        xlabel=f"users with their hidden favorite in the first {config.top} items",
        title="Relevance without an attack",
        ax=grid[1, 0],
    )
    found = results["gossip"]
    plotting.curves(
        {"overlap of lists": found["overlap"].T, "edges held": found["stored"]},
        found["rounds"],
        xlabel="round of gossip",
        ylabel="fraction of those by all edges",
        title="Lists by a node's own view",
        ax=grid[1, 1],
    )
    _draw_attack(grid[1, 2], results["example"])
    plotting.save(grid[0, 0], path)


def _draw_attack(ax: Any, example: Results) -> None:
    """The trust graph around a root, with the edges by which walks enter the attacker's region."""
    edges, role = np.asarray(example["edges"]), np.asarray(example["role"])
    users, ends = np.unique(edges, return_inverse=True)
    ends, kind = ends.reshape(edges.shape), role[users]
    at = plotting.layout(topology.from_edges(ends, len(users), directed=True))
    entering = (kind[ends[:, 1]] == ATTACKER) & (kind[ends[:, 0]] < ATTACKER)
    for (source, target), enters in zip(ends, entering, strict=True):
        color, width = (BOTTLENECK, 2.0) if enters else ("#9A9A9A", 0.8)
        style = {"arrowstyle": "-|>", "color": color, "linewidth": width, "shrinkB": 4.0}
        ax.annotate("", at[target], at[source], arrowprops=style)
    for position, name in enumerate(ROLES):
        here = at[kind == position]
        ax.scatter(*here.T, s=50, color=plotting.PALETTE[position], zorder=3, label=name)
    ax.legend(frameon=False, loc="lower left", fontsize=10)
    ax.set_aspect("equal")
    ax.margins(0.1)
    ax.set_axis_off()
    ax.set_title("Trust around a root; red: the way to all Sybils", loc="left", fontsize=13)
