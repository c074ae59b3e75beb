"""Figure of the single-merging experiment."""

from pathlib import Path

import numpy as np

from experiments.harness.protocol import Results
from experiments.single_merging.arms import own_starts, window_arm
from experiments.single_merging.config import Config
from jaxswarm import plotting


def plot(config: Config, results: Results, path: Path) -> None:
    """Plot test accuracy over rounds by schedule, and final accuracy by start of the window."""
    arms, rounds = results["arms"], results["round"]
    left, right = np.ravel(plotting.panels(1, 2, width=6.4, height=4.4))
    plotting.curves(
        {
            "average every round": arms["server"]["local"],
            "single merge": arms["single merge"]["local"],
            "sparse gossip, merged": arms["sparse"]["merged"],
            "constant rate, same budget": arms["constant, same budget"]["local"],
            "sparse gossip": arms["sparse"]["local"],
            "isolated, merged": arms["isolated"]["merged"],
            "isolated": arms["isolated"]["local"],
            "isolated, own starts, merged": arms[own_starts("isolated")]["merged"],
        },
        rounds,
        title="Accuracy by communication schedule",
        ylabel="test accuracy; mean over agents, or of the merged model",
        ax=left,
    )
    starts = np.asarray(config.starts)
    windows = np.stack([arms[window_arm(start)]["local"][:, -1] for start in starts], axis=1)
    constant = {name: arms[name]["local"][:, -1:] + 0.0 * starts for name in ("server", "sparse")}
    plotting.curves(
        {
            "average every round": constant["server"],
            "dense window": windows,
            "sparse gossip": constant["sparse"],
        },
        starts,
        colors={"sparse gossip": plotting.PALETTE[4]},  # as in the left panel
        xlabel="start of the dense window as a fraction of the run",
        title="Final accuracy by start of the dense window",
        ylabel="test accuracy after the last round, mean over agents",
        ax=right,
    )
    plotting.save(left, path)
