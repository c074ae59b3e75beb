"""Figure of the networked actor-critic experiment: team returns while learning."""

from pathlib import Path

import numpy as np

from experiments.harness.protocol import Results
from experiments.networked_actor_critic.config import Config
from experiments.networked_actor_critic.linear import GRAPH_ARMS
from jaxswarm import plotting

SHARE = "team return, as a share of always giving"

COLORS = {
    "team reward": plotting.PALETTE[0],
    "complete graph": plotting.PALETTE[1],
    "ring": plotting.PALETTE[2],
    "network": plotting.PALETTE[2],
    "critics only": plotting.PALETTE[3],
    "isolated": plotting.PALETTE[6],
}
"""The same color for the same arm in the panels of linear critics and of PPO."""


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw team returns over time: graphs, restricted communication and attack, PPO.

    Lines are medians over seeds, bands quartiles.
    """
    graphs, restricted, deep = np.ravel(plotting.panels(1, 3, width=5.8, height=4.2))
    linear = results["linear"]
    steps = np.arange(1, config.steps // config.every + 1) * config.every
    plotting.curves(
        {arm: linear[arm] for arm in reversed(GRAPH_ARMS)},
        steps,
        title="Linear critics, dilemma: communication graphs",
        xlabel="step",
        ylabel=SHARE,
        colors=COLORS,
        ax=graphs,
    )
    plotting.curves(
        {arm: returns for arm, returns in linear.items() if arm not in GRAPH_ARMS},
        steps,
        title="Restricted or Byzantine messages, action values",
        xlabel="step",
        ylabel=SHARE,
        ax=restricted,
    )
    plotting.curves(
        results["ppo"],
        np.arange(1, config.iterations + 1),
        title=f"PPO, donation game of {config.ppo_agents} agents",
        xlabel="iteration",
        ylabel=SHARE,
        colors=COLORS,
        ax=deep,
    )
    plotting.save(graphs, path)
