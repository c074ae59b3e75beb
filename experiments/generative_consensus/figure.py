"""Figure of the generative consensus experiment: distances, profiles, attacks and replicas."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.generative_consensus.claims import best_hash
from experiments.generative_consensus.comparisons import METHODS, PIXELS
from experiments.generative_consensus.config import Config
from experiments.generative_consensus.training import ARMS
from experiments.generative_consensus.worlds import ATTACKS, EXAMPLE_ATTACKS
from experiments.harness.protocol import Results
from jaxswarm import plotting
from jaxswarm.trust import profiles

THRESHOLD = "#C2321E"
SHORT = 44  # bits that the histograms show
SHORT_NAMES = {"float32": "f32", "op by op": "ops", "bfloat16": "bf16", "float16": "f16"}


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw histograms of distances, the matrix of profiles, attacks, replicas, and examples."""
    found = next(iter(results["images"].values()))
    grid = plotting.panels(2, 3, width=6.4, height=4.4)
    _draw_histograms(grid[0, 0], found)
    names = list(profiles.PROFILES)[: found["matrix"].shape[-1]]
    plotting.heatmap(
        found["matrix"].mean(axis=0),
        names,
        [SHORT_NAMES.get(name, name) for name in names],
        format=".3f",
        title="Honest outputs that match, prover × verifier",
        limits=(0.95, 1.0),
        ax=grid[0, 1],
    )
    _draw_attacks(grid[0, 2], found)
    training = results["training"]
    plotting.curves(
        {arm: training[arm]["close"] for arm in ARMS},
        training["steps"],
        xlabel="training step",
        ylabel="probes whose hash is within two bits of the first replica's",
        title=f"Replicas in four profiles, exchange every {config.every} steps",
        ax=grid[1, 0],
    )
    plotting.curves(
        {arm: training[arm]["distance"] for arm in ARMS},
        training["steps"],
        xlabel="training step",
        ylabel="distance of parameters, relative",
        title="Largest distance to the first replica",
        log=True,
        ax=grid[1, 1],
    )
    _draw_examples(grid[1, 2], found["examples"])
    plotting.save(grid[0, 0], path)


def _draw_histograms(ax: Any, found: Results) -> None:
    """Shares of honest and of impostor pairs at each distance, with the tolerance."""
    best = best_hash(found)
    tolerance = float(found["tolerance"][METHODS.index(best)])
    bits = np.arange(SHORT + 1)
    for position, (name, label) in enumerate(
        (("honest", "same job, other profile"), ("impostor", "other job, same digit"))
    ):
        counts = found["pairs"][name]
        share = counts / counts.sum()
        ax.bar(
            bits, share[: SHORT + 1], width=0.9, alpha=0.65, color=plotting.PALETTE[position],
            label=f"{label} ({counts.sum():.2g} pairs)",
        )  # fmt: skip
    ax.axvline(tolerance + 0.5, color=THRESHOLD, linewidth=1.8, linestyle="--", label="tolerance")
    ax.set_yscale("log")
    ax.set_ylim(bottom=1e-6, top=100.0)
    ax.legend(frameon=False, fontsize=9, loc="upper right")
    plotting.titles(ax, f"Hamming distances of {best}", "differing bits of 64", "share of pairs")


def _draw_attacks(ax: Any, found: Results) -> None:
    """Share of attackers that three verifiers reject."""
    rows = np.arange(len(ATTACKS))[::-1]
    for position, method in enumerate((best_hash(found), PIXELS)):
        rates = [float(np.mean(found["attacks"][attack][method])) for attack in ATTACKS]
        ax.barh(
            rows - 0.4 * position + 0.2, rates, height=0.38, color=plotting.PALETTE[position],
            label=method,
        )  # fmt: skip
    ax.set_yticks(rows, ATTACKS, fontsize=9)
    ax.set_xlim(0, 1.02)
    ax.legend(frameon=False, fontsize=10, loc="lower right")
    plotting.titles(ax, "Attackers that a majority rejects", "share", "")


def _draw_examples(ax: Any, images: np.ndarray) -> None:
    """Images of four jobs, one row each: reference, bfloat16 and four attacks."""
    rows = [np.concatenate(list(each), axis=1) for each in np.asarray(images)]
    ax.imshow(np.concatenate(rows), cmap="gray", vmin=0, vmax=255)
    ax.grid(False)
    names = ("float32", "bfloat16", *(name.replace(" ", "\n", 1) for name in EXAMPLE_ATTACKS))
    side = images.shape[-1]
    ax.set_xticks(side * (np.arange(len(names)) + 0.5), names, fontsize=8)
    ax.set_yticks([])
    ax.set_title("Outputs of four jobs", loc="left", fontsize=13)
