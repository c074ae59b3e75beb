"""Figure of the Dec-POMFC experiment: bias over swarm size, learning curves, other swarm sizes."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.dec_pomfc.claims import TASK_NAMES, bias_exponents
from experiments.dec_pomfc.config import AGENT_ARMS, RULE_ARMS, UNCONTROLLED, Config
from experiments.harness.protocol import Results
from jaxswarm import plotting

GRAY = "#9A9A9A"
DARK = "#666666"


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw the bias of finite swarms, and two panels for every task."""
    grid = plotting.panels(1, 1 + 2 * len(config.tasks), width=5.4, height=4.2)
    draw_bias(config, results["chaos"], grid[0, 0])
    for column, task in enumerate(config.tasks):
        found = results["tasks"][task]
        name = TASK_NAMES[task].capitalize()
        plotting.curves(
            {arm: found["curves"][arm] for arm in (*RULE_ARMS, *AGENT_ARMS)},
            xlabel="PPO iteration",
            ylabel="episode return in training (median, quartiles)",
            title=f"{name}: learning curves",
            ax=grid[0, 1 + 2 * column],
        )
        draw_transfer(config, name, found, grid[0, 2 + 2 * column])
    plotting.save(grid[0, 0], path)


def draw_bias(config: Config, chaos: Results, ax: Any) -> None:
    """Absolute bias of a fixed rule's return over the swarm size, beside a line of slope -1."""
    sizes, bias = np.array(config.sizes), np.abs(chaos["bias"])
    exponent = bias_exponents(config, chaos).mean()
    plotting.curves(
        {"measured": bias.T},
        sizes,
        title=f"Bias of a fixed rule, fitted slope {exponent:.2f}",
        xlabel="swarm size N",
        ylabel="|mean return - return of the limit| (median, range)",
        log=True,
        band=(0.0, 100.0),
        ax=ax,
    )
    reference = bias[0].mean() * sizes[0] / sizes
    ax.plot(sizes, reference, "--", color=GRAY, linewidth=1.2)
    ax.annotate(
        "slope -1",
        (sizes[-1], reference[-1]),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        color=DARK,
    )
    ax.set_xscale("log", base=2)


def draw_transfer(config: Config, name: str, found: Results, ax: Any) -> None:
    """Returns of the learned rules in swarms of other sizes; IPPO and MAPPO at their own."""
    numbers = sorted(int(n) for n in found["transfer"])
    plotting.curves(
        {
            arm: np.stack([found["transfer"][str(n)][arm] for n in numbers], axis=1)
            for arm in (*RULE_ARMS, UNCONTROLLED)
        },
        np.array(numbers),
        xlabel="swarm size N in execution",
        ylabel="discounted return without the mean field",
        title=f"{name}: rules trained with N = {config.agents}",
        colors={UNCONTROLLED: "#5A5A5A"},
        ax=ax,
    )
    ax.set_xscale("log", base=2)
    if len(numbers) == 1:  # lines of one point would be invisible
        for line in ax.lines:
            line.set_marker("o")
    for arm, marker, color in zip(AGENT_ARMS, "sD", plotting.PALETTE[2:], strict=False):
        value = float(found["returns"][arm].mean())
        ax.plot(
            [config.agents], [value], marker, color=color, label=arm, markersize=7, linestyle="none"
        )
    halfway = 0.5 * float(found["returns"][UNCONTROLLED].mean())
    ax.axhline(
        halfway, color=GRAY, linewidth=1.0, linestyle=(0, (4, 3)), label="score 0.5 (halfway)"
    )
    handles, labels = ax.get_legend_handles_labels()
    shown = {label: handle for handle, label in zip(handles, labels, strict=True)}
    for arm in (*RULE_ARMS, UNCONTROLLED):  # labelled at the ends of their lines
        del shown[arm]
    ax.legend(shown.values(), shown.keys(), frameon=False, fontsize=10, loc="best")
