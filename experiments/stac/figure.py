"""Figure of the STAC experiment: visits to the disc, returns while learning, the chain."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.stac.config import Config
from jaxswarm import envs, plotting


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw six panels: visits at three pessimism weights, returns, deviations, value errors."""
    axes = np.ravel(plotting.panels(2, 3, width=4.9, height=4.1))
    count = len(config.betas)
    _draw_visits(axes[:3], (0, count // 2, count - 1), config, results)
    plotting.curves(
        {
            f"β = {beta:g}": returns
            for beta, returns in zip(config.betas, results["mass"]["return"], strict=True)
        },
        results["steps"],
        title="Point mass: evaluation return",
        xlabel="steps of each environment",
        ylabel="undiscounted return, median and quartiles over seeds",
        ax=axes[3],
    )
    _draw_chain(axes[4], axes[5], config, results)
    plotting.save(axes[0], path)


def _draw_visits(axes: Any, chosen: tuple[int, ...], config: Config, results: Results) -> None:
    """Maps of the evaluation episodes' steps for the ``chosen`` pessimism weights."""
    mass = results["mass"]
    visits = [mass["visits"][index].sum(axis=0) for index in chosen]
    shares = [counts / max(counts.sum(), 1.0) for counts in visits]
    largest = max(float(share.max()) for share in shares)
    disc = envs.RiskyPointMass().params
    angle = np.linspace(0, 2 * np.pi, 100)
    for ax, index, share in zip(axes, chosen, shares, strict=True):
        image = ax.imshow(
            np.sqrt(share.T / largest), origin="lower", extent=(0, 1, 0, 1), cmap="Blues",
            vmin=0.0, vmax=1.0, aspect="equal",
        )  # fmt: skip
        ax.plot(
            disc.disc_center + disc.disc_radius * np.cos(angle),
            disc.disc_center + disc.disc_radius * np.sin(angle),
            color=plotting.PALETTE[1],
        )
        ax.grid(False)
        ax.set_xlabel("x")
        inside = 100 * mass["inside"][index].mean()
        ax.set_title(
            f"β = {config.betas[index]:g}: {inside:.0f} % of steps in the disc",
            loc="left",
            fontsize=13,
        )
    axes[0].set_ylabel("y")
    bar = axes[-1].figure.colorbar(image, ax=axes[-1], fraction=0.045, pad=0.03)
    ticks = (0.0, 0.01, 0.1, 0.3, 1.0)
    bar.set_ticks([float(np.sqrt(tick)) for tick in ticks], labels=[f"{tick:g}" for tick in ticks])
    bar.set_label("steps in a cell, relative to the largest")


def _draw_chain(deviation_ax: Any, error_ax: Any, config: Config, results: Results) -> None:
    """The critic's standard deviations with the exact ones, and its value errors."""
    chain = results["chain"]
    states = np.arange(1, chain["exact"].shape[1] + 1)
    for index, beta in enumerate(config.betas):
        color = plotting.PALETTE[index % len(plotting.PALETTE)]
        learned = chain["deviation"][index]
        deviation_ax.errorbar(
            states + 0.08 * (index - 1), learned.mean(0), learned.std(0), fmt="o", color=color,
            label=f"critic, β = {beta:g}",
        )  # fmt: skip
        deviation_ax.plot(states, chain["exact"][index], color=color, lw=1.0)
        errors = chain["value_error"][index]
        error_ax.scatter(np.full(errors.shape, beta), errors, color=color)
    deviation_ax.plot([], [], color="#5A5A5A", lw=1.0, label="exact spread, same β")
    deviation_ax.set_ylim(bottom=0.0)
    deviation_ax.set_xticks(states)
    deviation_ax.legend(fontsize="small", frameon=False, loc="lower center", ncols=2)
    plotting.titles(
        deviation_ax,
        "Chain: spread of the one-step target",
        "state",
        "standard deviation, mean ± std over seeds, units of reward",
    )
    error_ax.axhline(0.0, color="black", lw=1.0)
    plotting.titles(
        error_ax,
        "Chain: value error of the critic",
        "pessimism weight β",
        "critic's mean - exact value, one point per seed",
    )
