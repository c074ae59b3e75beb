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
    """The trust graph around a root, with the edge that all walks to the Sybils pass."""
    edges, role = np.asarray(example["edges"]), np.asarray(example["role"])
    order = np.unique(edges, return_inverse=True)
    users, edges = order[0], order[1].reshape(edges.shape)
    graph = topology.from_edges(edges, len(users), directed=True)
    at = plotting.layout(graph)
    plotting.graph(
        graph, role[users].astype(float), positions=at, cmap="viridis", node_size=45.0,
        title="Trust around a root (yellow: Sybils)", ax=ax,
    )  # fmt: skip
    attacker = np.flatnonzero(role[users] == 2)
    entering = edges[np.isin(edges[:, 1], attacker) & (role[users][edges[:, 0]] < 2)]
    for source, target in entering:
        ax.annotate(
            "", at[target], at[source], zorder=4,
            arrowprops={"arrowstyle": "-|>", "color": BOTTLENECK, "linewidth": 2.0},
        )  # fmt: skip
