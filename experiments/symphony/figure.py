"""Figure of the Symphony experiment: action scales, returns, actions at the bounds."""

import math
from pathlib import Path

import numpy as np

from experiments.harness.protocol import Results
from experiments.symphony.arms import BOUND
from experiments.symphony.claims import RETURN_THRESHOLD
from experiments.symphony.config import Config
from jaxswarm import plotting


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw three panels: scales under swaddling, pendulum returns, shares at the bounds."""
    scale_ax, return_ax, bounds_ax = np.ravel(plotting.panels(1, 3, width=5.4, height=4.2))
    scales = results["scales"]
    optimizer_steps = np.linspace(0, config.swaddling_steps, len(scales))
    scale_ax.plot(optimizer_steps, scales, color=plotting.PALETTE[0], lw=0.6)
    scale_ax.axhline(1.0 / math.e, color="black", lw=1.0, ls=":")
    scale_ax.text(
        optimizer_steps[-1], 1.0 / math.e + 0.01, "1/e", ha="right", va="bottom", fontsize="small"
    )
    scale_ax.set_ylim(0, 1)
    scale_ax.locator_params(axis="x", nbins=5)
    plotting.titles(
        scale_ax, "Swaddling loss alone", "optimizer steps", "action scale S, one line per start"
    )
    plotting.curves(
        results["return"],
        results["steps"],
        title="Pendulum: fading and uniform replay",
        xlabel="environment steps",
        ylabel="return of an episode, median and quartiles over seeds",
        ax=return_ax,
    )
    return_ax.axhline(RETURN_THRESHOLD, color="black", lw=1.0, ls=":")
    return_ax.text(
        results["steps"][0], RETURN_THRESHOLD, "threshold", va="bottom", fontsize="small"
    )
    shares = [100 * results[name]["fading"] for name in ("inside_noise", "clipped_noise")]
    labels = ("inside the squashing", "added and clipped")
    bounds_ax.bar(labels, [share.mean() for share in shares], color=plotting.PALETTE[:2])
    for position, share in enumerate(shares):
        bounds_ax.scatter(np.full(share.shape, position), share, color="black", s=12, zorder=3)
    bounds_ax.set_ylim(bottom=0.0)
    bounds_ax.margins(y=0.1)
    plotting.titles(
        bounds_ax,
        "Actions at the bounds, by kind of noise",
        "kind of noise",
        f"actions beyond {BOUND} of the range, %, points: seeds",
    )
    plotting.save(scale_ax, path)
