"""Figure of the verified-inference experiment: committees, soundness, cost, inversion, words."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.harness.protocol import Results
from experiments.verified_inference.committee import SWAPPED, TOTAL
from experiments.verified_inference.config import Config
from experiments.verified_inference.integrity import SMALL_PRIME
from experiments.verified_inference.permutation import CLIMB, TIERS
from experiments.verified_inference.splitting import DEFENSES, SHOWN
from jaxswarm import plotting, statistics


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw detection on the hypergeometric curve, soundness, cost, inversion and permutations."""
    grid = plotting.panels(2, 3, width=5.6, height=4.4)
    _detection(grid[0, 0], config, results["committee"])
    _soundness(grid[0, 1], results["integrity"])
    _cost(grid[0, 2], config, results["integrity"])
    _errors(grid[1, 0], results["split"])
    _images(grid[1, 1], config, results["split"])
    plotting.curves(
        {
            f"{tier.replace(' kind of', '')}": np.asarray(
                results["permutation"]["recovered"][tier][CLIMB]
            ).T
            for tier in TIERS
        },
        np.array(config.lengths),
        xlabel="permuted tokens that are seen",
        ylabel="share of the text restored",
        title="Permuted vocabulary, broken",
        ax=grid[1, 2],
    )
    grid[1, 2].set_xscale("log")
    plotting.save(grid[0, 0], path)


def _detection(ax: Any, config: Config, found: Results) -> None:
    plotting.tidy(ax)
    detected = np.asarray(found["detection"][SWAPPED][TOTAL])  # [F, K, S]
    for row, share in enumerate(config.byzantine):
        color = plotting.PALETTE[row]
        ax.plot(config.sizes, np.asarray(found["law"])[row], color=color, linewidth=1.2)
        ax.plot(config.sizes, detected[row].mean(axis=-1), "o", color=color)
        at = (config.sizes[-1], float(np.asarray(found["law"])[row, -1]))
        ax.annotate(
            f"{share:.0%}", at, xytext=(8, -3), textcoords="offset points", color=color, fontsize=10
        )
    ax.set_xticks(config.sizes)
    ax.set_xlabel("members of a committee")
    ax.set_ylabel("wrong outputs refused")
    ax.set_title("By share of Byzantine nodes; lines: law", loc="left", fontsize=13)


def _soundness(ax: Any, found: Results) -> None:
    plotting.tidy(ax)
    rough = {k: np.asarray(v) for k, v in found["tampered_small_prime"].items()}
    names = list(rough)
    rates = [rough[name][1] / max(rough[name][0], 1) for name in names]
    ax.barh(range(len(names)), rates, color=plotting.PALETTE[0])
    ax.axvline(1.0 / SMALL_PRIME, color="#C2321E", linewidth=1.2)
    for place, name in enumerate(names):
        ax.text(
            rates[place], place, f" {int(rough[name][1])} of {int(rough[name][0])}", va="center",
            fontsize=9,
        )  # fmt: skip
    ax.set_xlim(0, 2.0 / SMALL_PRIME)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.set_xlabel("tampered claims accepted")
    ax.set_title(f"Field of {SMALL_PRIME}; red: 1/{SMALL_PRIME}", loc="left", fontsize=13)


def _cost(ax: Any, config: Config, found: Results) -> None:
    plotting.tidy(ax)
    counts = np.asarray(found["multiply_adds"])
    ratio = counts[..., 0] / counts[..., 1]
    for place, rows in enumerate(config.rows):
        ax.loglog(
            config.costs, ratio[:, place], "o-", label=f"{rows} rows" if rows > 1 else "1 row"
        )
    ax.axhline(0.2, color="#9A9A9A", linewidth=1.0, linestyle="--")
    ax.set_xlabel("width of a square layer")
    ax.set_ylabel("multiply-adds, check / product")
    ax.set_title("Cost of checking", loc="left", fontsize=13)
    ax.legend(frameon=False, fontsize=10)


def _errors(ax: Any, found: Results) -> None:
    mean = float(found["mean"])
    shown = {}
    for defense in DEFENSES:
        for attack, name in (("decoder", "decoder"), ("white_box", "search")):
            errors = np.asarray(found[attack][defense])
            for cut in (0, len(errors) - 1):
                label = f"{defense}, cut {cut + 1}, {name}"
                shown[label] = statistics.summarize(errors[cut] / mean)
    plotting.intervals(
        shown, xlabel="inversion error / error of the mean image", title="Inversion", ax=ax
    )


def _images(ax: Any, config: Config, found: Results) -> None:
    images = np.asarray(found["images"])
    side = round(images.shape[-1] ** 0.5)
    tiles = np.pad(
        images.reshape(len(images), SHOWN, side, side), ((0, 0), (0, 0), (1, 1), (1, 1)),
    )  # fmt: skip
    ax.imshow(
        np.concatenate([np.concatenate(row, axis=0) for row in tiles], axis=1), cmap="gray_r",
        vmin=0.0, vmax=1.0,
    )  # fmt: skip
    names = ["image", "mean"]
    for cut in range(len(config.widths)):
        names += [f"cut {cut + 1}, decoder", f"cut {cut + 1}, search"]
    ax.set_xticks(
        [(side + 2) * (i + 0.5) for i in range(len(names))], names, fontsize=8, rotation=90
    )
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.tick_params(length=0)
    ax.set_title("What activations reveal, no defense", loc="left", fontsize=13)
