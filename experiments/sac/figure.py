"""Figure of the SAC experiment: returns and entropies, temperatures, the network."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.sac.claims import TARGET_ENTROPY
from experiments.sac.config import Config
from jaxswarm import plotting


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw four panels: pendulum returns, entropies, bandit temperatures, network returns."""
    grid = plotting.panels(2, 2, width=6.4, height=4.2)
    return_ax, entropy_ax, bandit_ax, network_ax = np.ravel(grid)
    plotting.curves(
        results["return"],
        results["steps"],
        title="Pendulum: evaluation return",
        xlabel="environment steps",
        ylabel="undiscounted return of an episode, median and quartiles over seeds",
        ax=return_ax,
    )
    plotting.curves(
        results["entropy"],
        results["steps"],
        title="Pendulum: entropy of the policy",
        xlabel="environment steps",
        ylabel="entropy, nats, median and quartiles over seeds",
        ax=entropy_ax,
    )
    entropy_ax.axhline(TARGET_ENTROPY, color="black", lw=1.0, ls=":")
    entropy_ax.text(results["steps"][0], TARGET_ENTROPY, "target", va="bottom", fontsize="small")
    _draw_bandit(bandit_ax, config, results)
    plotting.curves(
        results["network"],
        results["network_steps"],
        title=f"Network of {config.agents} pendula with private rewards",
        xlabel="environment steps of each agent",
        ylabel="true team return, median and quartiles over seeds",
        ax=network_ax,
    )
    plotting.save(network_ax, path)


def _draw_bandit(ax: Any, config: Config, results: Results) -> None:
    """Learned temperatures of every seed against the closed form."""
    exact = results["bandit"]["closed_form"]
    ax.plot(exact, exact, color="black", lw=1.0, label="learned = closed form")
    for index, entropy in enumerate(config.entropies):
        learned = results["bandit"]["learned"][index]
        ax.scatter(
            np.full(learned.shape, exact[index]), learned, s=18,
            color=plotting.PALETTE[index % len(plotting.PALETTE)],
            label=f"target entropy {entropy:g} nats",
        )  # fmt: skip
    ax.legend(fontsize="small", frameon=False)
    plotting.titles(
        ax,
        "Bandit: temperature for each target entropy",
        "temperature, closed form",
        "learned temperature, one point per seed",
    )
