"""Figure of the MoDeST experiment."""

from pathlib import Path

import numpy as np

from experiments.harness.protocol import Results
from experiments.modest.config import Config
from jaxswarm import plotting


def plot(config: Config, results: Results, path: Path) -> None:
    """Plot accuracy by round and by bytes sent, and accuracy and pings around a crash."""
    from matplotlib.ticker import LogLocator

    arms, rounds = results["arms"], results["round"]
    by_round, by_bytes, crash, pings = np.ravel(plotting.panels(2, 2, width=6.4, height=4.0))
    fewest = config.aggregators[0]
    methods = {
        f"MoDeST, a = {fewest}": arms[f"modest a={fewest}"],
        "federated learning": arms["fl"],
        "D-SGD": arms["d-sgd"],
        "gossip learning": arms["gossip learning"],
    }
    accuracy = {label: arm["accuracy"] for label, arm in methods.items()}
    plotting.curves(
        accuracy,
        rounds,
        title=f"Accuracy by round: {config.sample} nodes train in MoDeST, {config.agents} in D-SGD",
        ylabel="test accuracy",
        ax=by_round,
    )
    plotting.curves(
        accuracy,
        {label: np.maximum(arm["bytes"].mean(axis=0), 1.0) for label, arm in methods.items()},
        xlabel="bytes sent by all nodes, mean over seeds",
        title="Accuracy by bytes sent",
        ylabel="test accuracy",
        ax=by_bytes,
    )
    by_bytes.set_xscale("log")
    by_bytes.xaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    shown = rounds >= config.crash / 2
    in_flight = f"crash in flight, sf={config.success:g}"
    plotting.curves(
        {
            "federated learning, survivors": arms["fl, survivors"]["accuracy"][:, shown],
            "crash between rounds": arms["crash"]["accuracy"][:, shown],
            f"in flight, success fraction {config.success:g}": arms[in_flight]["accuracy"][
                :, shown
            ],
            "in flight, success fraction 1": arms["crash in flight, sf=1"]["accuracy"][:, shown],
        },
        rounds[shown],
        title=f"Accuracy when {config.crashed:.0%} of the nodes crash before round {config.crash}",
        ylabel="test accuracy; dotted line: crash",
        ax=crash,
    )
    plotting.curves(
        {"all pings": arms["crash"]["pings"], "without answer": arms["crash"]["failures"]},
        rounds,
        title="Pings per round, crash between rounds",
        ylabel="nodes pinged in a round; dotted lines: crash, inactivity threshold",
        ax=pings,
    )
    for ax in (crash, pings):
        ax.axvline(config.crash, color="#9A9A9A", linestyle=":", zorder=1)
    if config.crash + config.inactivity <= rounds[-1]:
        pings.axvline(config.crash + config.inactivity, color="#9A9A9A", linestyle=":", zorder=1)
    plotting.save(by_round, path)
