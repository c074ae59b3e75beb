"""Figure of the Fortytwo experiment: swarm size, comparisons, arms, judges, attacks, synthetic."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.fortytwo.aggregate import AGGREGATORS
from experiments.fortytwo.config import Config
from experiments.harness.protocol import Results
from jaxswarm import plotting

COLORS = dict(zip(AGGREGATORS, (plotting.PALETTE[i] for i in (6, 1, 4, 3, 0)), strict=True))
ARMS = {
    "rotation_head": "all as it is",
    "direct": "no rationale",
    "copies": "no diversity",
    "noise": "noise in prompts",
    "recall": "hard to verify",
}


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw accuracy by swarm size and comparisons, arms, judges, attacks and the synthetic tier."""
    axes = np.ravel(plotting.panels(2, 4, width=5.2, height=4.2))
    _draw_sizes(axes[0], results["sizes"])
    _draw_comparisons(axes[1], config, results)
    _draw_arms(axes[2], results)
    _draw_judges(axes[3], results)
    _draw_reputations(axes[4], results["byzantine"])
    _draw_attacks(axes[5], results)
    _draw_synthetic(axes[6], axes[7], config, results["synthetic"])
    plotting.save(axes[0], path)


def _draw_sizes(ax: Any, sizes: Results) -> None:
    for name, label in AGGREGATORS.items():  # dashed over what it may coincide with
        ls = "--" if name == "reputation" else "-"
        _line(ax, sizes["number"], sizes[name], COLORS[name], label, ls=ls)
    _line(ax, sizes["number"], sizes["oracle"], "black", "any node is right", ls=":")
    ax.set_xticks(sizes["number"])
    ax.set_ylim(0.0, 1.02)
    ax.legend(fontsize="x-small", frameon=False, loc="lower right")
    plotting.titles(
        ax, "Rotation task: accuracy by swarm size", "nodes", "accuracy, mean and range over pools"
    )


def _draw_reputations(ax: Any, found: Results) -> None:
    """Reputations of honest nodes and of those that invert, all pools."""
    curve, bad = found["inverter"]["curve"], found["bad"].astype(bool)  # [S, Q, N], [S, N]
    for index, (label, chosen) in enumerate((("honest", ~bad), ("inverting", bad))):
        lines = np.concatenate([c[:, b].T for c, b in zip(curve, chosen, strict=True)])
        color = plotting.PALETTE[index]
        ax.plot(lines.T, color=color, lw=0.4, alpha=0.25)
        ax.plot(lines.mean(0), color=color, lw=2.0, label=f"{label}, mean")
    ax.legend(fontsize="small", frameon=False)
    plotting.titles(ax, "Reputations", "questions", "reputation, one line per node")


def _draw_comparisons(ax: Any, config: Config, results: Results) -> None:
    found = results["comparisons"]
    for index, (name, label) in enumerate(
        (("rationale", "with rationale"), ("direct", "no rationale"))
    ):
        tokens = found[f"{name}_tokens"] / found["number"]
        text = f"{label}, {tokens[0]:.1f} tokens each"
        _line(ax, found["number"], found[name], plotting.PALETTE[index], text)
    for name, color, label in (
        (results["rotation_head"]["majority"], COLORS["majority"], "majority vote, 1 reply each"),
        (results["votes"]["accuracy"], "black", f"majority vote, {config.votes} replies each"),
    ):
        ls = ":" if color == "black" else "--"
        ax.axhline(name.mean(), color=color, ls=ls, lw=1.4, label=label)
    ax.set_xscale("log", base=2)
    ax.set_xticks(found["number"], [str(x) for x in found["number"]])
    ax.set_ylim(0.2, 1.02)
    ax.legend(fontsize="x-small", frameon=False, loc="lower right")
    plotting.titles(
        ax, "Accuracy by comparisons (both orders)", "comparisons of each node per question",
        "accuracy, mean and range over pools",
    )  # fmt: skip


def _draw_attacks(ax: Any, results: Results) -> None:
    """Accuracy of peer ranking under attack, mean and pools."""
    found, attack = results["byzantine"], results["injected"]
    bars = {"none": results["rotation"]["reputation"]}
    bars |= {kind.replace("_", "\n"): found[kind]["reputation"] for kind in found if kind != "bad"}
    bars |= {
        "wrong\nanswers": attack["wrong"]["reputation"],
        "… with\ntext": attack["text"]["reputation"],
    }
    for x, (name, values) in enumerate(bars.items()):
        color = plotting.PALETTE[0 if name == "none" else 1 if x < len(bars) - 2 else 3]
        ax.bar(x, values.mean(), 0.7, color=color)
        ax.plot(np.full(len(values), x), values, ".", color="black", ms=3)
    ax.axhline(results["rotation"]["majority"].mean(), color="black", ls="--", lw=1.0)
    ax.set_xticks(range(len(bars)), list(bars), fontsize="x-small")
    plotting.titles(
        ax, "Attacks by a quarter of the nodes", "", "accuracy; dashed: majority vote, no attack"
    )


def _draw_arms(ax: Any, results: Results) -> None:
    places = np.arange(len(ARMS))
    for index, (name, label) in enumerate(AGGREGATORS.items()):
        values = np.stack([results[arm][name] for arm in ARMS])
        x = places + 0.15 * (index - 2)
        ax.bar(x, values.mean(1), 0.15, color=COLORS[name], label=label)
        ax.plot(np.repeat(x[:, None], values.shape[1], 1), values, ".", color="black", ms=2)
    ax.set_xticks(places, ARMS.values(), fontsize="x-small")
    plotting.titles(ax, "Arms, colors as on the far left", "", "accuracy, bars: mean, dots: pools")


def _draw_judges(ax: Any, results: Results) -> None:
    flips, easy = results["flips"], results["rotation"]
    order = np.argsort(flips["judge_accuracy"].mean(1))
    x, gain = flips["judge_accuracy"].mean(1)[order], flips["reputation"] - easy["majority"]
    _line(ax, x, gain[order], COLORS["reputation"], "verdicts turned at random")
    ax.axhline(0.0, color="black", lw=1.0)
    for index, arm in enumerate(ARMS):
        found = results[arm]
        ax.plot(
            found["judge_accuracy"].mean(), (found["reputation"] - found["majority"]).mean(),
            "osDv^"[index], color=plotting.PALETTE[index], label=ARMS[arm],
        )  # fmt: skip
    ax.legend(fontsize="x-small", frameon=False)
    plotting.titles(ax, "Gain over the majority vote", "judge accuracy", "accuracy gained")


def _draw_synthetic(ax: Any, sybil_ax: Any, config: Config, found: Results) -> None:
    for index, label in enumerate(("random", "inverting")):
        ls = ("-", "--")[index]
        _line(ax, found["shares"], found["right"][index], plotting.PALETTE[index], label, ls=ls)
    _line(ax, found["shares"], found["majority"][1], plotting.PALETTE[6], "majority vote", ls="--")
    ax.legend(fontsize="small", frameon=False)
    plotting.titles(
        ax, f"Synthetic tier, {config.synthetic_nodes:,} nodes", "share of Byzantine judges",
        "accuracy",
    )  # fmt: skip
    for index, label in enumerate(("no tests", "admission tests")):
        _line(sybil_ax, config.sybils, found["influence"][index], plotting.PALETTE[index], label)
    sybil_ax.set_xscale("log")
    sybil_ax.legend(fontsize="small", frameon=False)
    plotting.titles(
        sybil_ax, "Synthetic tier: one operator's identities",
        "identities; compute of all together: one node's", "share of all reputation",
    )  # fmt: skip


def _line(ax: Any, x: Any, values: np.ndarray, color: str, label: str, ls: str = "-") -> None:
    """Mean over the last axis with the range over pools."""
    ax.plot(x, values.mean(1), marker="o", ms=3, color=color, label=label, ls=ls)
    ax.fill_between(x, values.min(1), values.max(1), color=color, alpha=0.07, lw=0)
