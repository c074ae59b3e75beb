"""Figure of the disruption experiment."""

from pathlib import Path

import numpy as np

from experiments.disrupted.config import Config
from experiments.harness.protocol import Results
from jaxswarm import plotting


def plot(config: Config, results: Results, path: Path) -> None:
    """Plot the survivors' test accuracy over rounds, one panel per graph family."""
    arms, time, q = results["arms"], config.times[0], config.shares[0]
    panels = np.ravel(plotting.panels(1, len(config.attachments), width=6.4, height=4.4))

    def mean_over(alive: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
        return np.where(alive[:, None], accuracy, 0.0).sum(-1) / alive.sum(-1)[:, None]

    for ax, m in zip(panels, config.attachments, strict=True):
        name = f"m={m} q={q:g}"
        shown = {
            "undisturbed": f"m={m} undisturbed",
            "random agents removed": f"{name} random",
            "hubs without data removed": f"{name} links",
            "hubs with data removed": f"{name} links and data",
            "hubs with 4x data removed": f"{name} disproportionate",
            "training alone": f"m={m} alone",
        }
        survivors = arms[f"{name} links"]["alive"]
        plotting.curves(
            {
                label: mean_over(
                    arms[arm]["alive"] if arm.endswith("random") else survivors,
                    arms[arm]["accuracy"],
                )
                for label, arm in shown.items()
            },
            results["round"],
            title=f"Barabási-Albert graph, m = {m}: {q:.0%} of the agents removed",
            ylabel=f"test accuracy of the survivors; dotted line: removal in round {time}",
            ax=ax,
        )
        ax.axvline(time, color="#9A9A9A", linestyle=":", zorder=1)
    plotting.save(panels[0], path)
