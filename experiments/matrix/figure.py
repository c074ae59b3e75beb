"""Figure of the Matrix experiment: throughput, message times, admission, bytes of a message."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.matrix.config import Config
from experiments.matrix.workflows import dialogue
from jaxswarm import plotting
from jaxswarm.systems import matrix

LABELS = ("central orchestrator", "peer to peer", "dispatcher per role")  # of matrix.SCHEDULERS
GRAY = "#9A9A9A"
BAR_WIDTH = 0.36


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw four panels: throughput with its bounds, message times, admission, bytes."""
    axes = np.ravel(plotting.panels(2, 2, width=5.8, height=4.2))
    sweep_ax, times_ax, admission_ax, bytes_ax = axes
    _draw_sweep(sweep_ax, config, results)
    _draw_times(times_ax, config, results)
    _draw_admission(admission_ax, config, results)
    _draw_bytes(bytes_ax, results)
    plotting.save(sweep_ax, path)


def _draw_sweep(ax: Any, config: Config, results: Results) -> None:
    """Throughput of the schedulers; dashed and thin lines are bounds by operational laws."""
    throughput, at = np.asarray(results["sweep"]["throughput"]), np.array(config.concurrency)
    plotting.curves(
        {label: throughput[index].T for index, label in enumerate(LABELS)},
        at,
        xlabel="rows at once",
        ylabel="hops per second, median and quartiles over seeds, gray: predicted bounds",
        title="Throughput",
        ax=ax,
    )
    flow = dialogue(config)
    laws = [matrix.saturation(flow, name, config.tau) for name in matrix.SCHEDULERS]
    for law in laws:
        ax.axhline(min(law.control, law.pools), color=GRAY, linewidth=1.0, linestyle=(0, (4, 3)))
    law = laws[-1]
    ax.plot(at, np.minimum(law.slope * at, law.pools), color=GRAY, linewidth=1.0, zorder=0)
    ax.set_ylim(bottom=0.0)


def _draw_times(ax: Any, config: Config, results: Results) -> None:
    """Gain of peer to peer over the message time; squares: measured times, the paper's rows."""
    times = 1e3 * np.array(config.taus)
    gains = np.asarray(results["taus"]).mean(axis=1)
    ax.plot(times, gains, marker="o", color=plotting.PALETTE[0])
    ax.lines[-1].set_label(f"assumed times, {config.servers} servers")
    measured = results["measured"]
    for size, seconds, gain in zip(
        config.histories, measured["seconds"], measured["ratio"], strict=True
    ):
        at = (1e3 * seconds.min(), gain.mean())
        (square,) = ax.plot(*at, marker="s", linestyle="", color=plotting.PALETTE[1])
        ax.annotate(
            f"{size // 1000} kB", at, (0, 8), textcoords="offset points", ha="center", fontsize=7
        )
    square.set_label(f"measured for rows of so many bytes, {config.rows_of_paper:,} servers")
    ax.axhline(1.0, color="#5A5A5A", linewidth=1.0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(0.8, 4 * max(gains.max(), measured["ratio"].max()))
    ax.legend(frameon=False, loc="upper left")
    plotting.titles(
        ax,
        "Gain by the time of a message",
        "milliseconds of a message",
        "throughput ratio, peer to peer / central orchestrator",
    )


def _draw_admission(ax: Any, config: Config, results: Results) -> None:
    """Throughput ratio of admission by row over admission by batch."""
    place = np.arange(len(config.slots))
    labels = {
        "lognormal": f"lognormal rows (log-std {config.spread:g})",
        "constant": "rows of equal duration",
    }
    for index, (name, label) in enumerate(labels.items()):
        ax.bar(
            place + (index - 0.5) * BAR_WIDTH,
            results["admission"][name].mean(axis=1),
            BAR_WIDTH,
            label=label,
            color=plotting.PALETTE[index],
        )
    ax.axhline(1.0, color="#5A5A5A", linewidth=1.0)
    ax.set_xticks(place, [str(slots) for slots in config.slots])
    ax.set_ylim(0, 1.35 * float(results["admission"]["lognormal"].mean(axis=1).max()))
    ax.grid(False, axis="x")
    ax.legend(frameon=False, loc="upper left")
    plotting.titles(
        ax,
        "Admission of rows",
        "rows at once",
        "throughput ratio, row by row / batch by batch, mean over seeds",
    )


def _draw_bytes(ax: Any, results: Results) -> None:
    """Bytes of a message, simulated and predicted."""
    saved = results["bytes"]
    place = np.arange(2)
    for index, (name, label) in enumerate((("size", "simulated"), ("predicted", "predicted"))):
        ax.bar(
            place + (index - 0.5) * BAR_WIDTH,
            saved[name].mean(axis=1),
            BAR_WIDTH,
            label=label,
            color=plotting.PALETTE[index],
        )
    rates = saved["throughput"].mean(axis=1)
    names = ("whole history", "long texts in a store")
    ax.set_xticks(place, [f"{n}\n{r:.0f} hops/s" for n, r in zip(names, rates, strict=True)])
    ax.grid(False, axis="x")
    ax.legend(frameon=False)
    plotting.titles(
        ax, "Message size", "message content, with central throughput", "bytes of a message"
    )
