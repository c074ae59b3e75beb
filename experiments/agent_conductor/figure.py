"""Figure of the AgentConductor experiment: learned graphs, accuracy and tokens, sizes, training."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.agent_conductor.config import LEARNED, Config
from experiments.harness.protocol import Results
from jaxswarm import plotting
from jaxswarm.systems import agent_conductor as ac

SHORT = {"retrieval": "retr.", "planning": "plan", "algorithm": "algo.", "coding": "code",
         "debugging": "debug", "testing": "test"}  # fmt: skip
LABELS = {
    "N_max of hard tasks for all": "one N_max",
    "true difficulty (ablation)": "true difficulty",
    "graph reward alone (control)": "graph reward alone",
    "oracle (hidden tests)": "oracle",
}
LABELS_AT = 29_000  # tokens at which the labels of the frontier stand
GAP = 0.045  # least distance of labels
SHOWN = ("AgentConductor", "no density reward", "N_max of hard tasks for all",
         "graph reward alone (control)")  # fmt: skip


def plot(config: Config, results: Results, path: Path) -> None:
    """Draw six panels: three graphs, the accuracy–token frontier, sizes, training curves."""
    del config
    grid = plotting.panels(2, 3, width=5.6, height=4.6)
    examples = ac.RoleGraph(*(np.asarray(results["examples"][x]) for x in ac.RoleGraph._fields))
    for level, name in enumerate(ac.DIFFICULTIES):
        graph = ac.RoleGraph(*(x[level] for x in examples))
        _draw_graph(grid[0, level], graph)
        grid[0, level].set_title(
            f"First graph of a task: {name} (first seed)", loc="left", fontsize=13
        )
    _draw_frontier(grid[1, 0], results)
    _draw_sizes(grid[1, 1], results)
    reward = {LABELS.get(name, name): np.asarray(results["reward"][name]) for name in SHOWN}
    length = next(iter(reward.values())).shape[1]
    block = max(length // 20, 1)
    ends = np.arange(block, length + 1, block)
    plotting.curves(
        {
            name: x[:, : len(ends) * block].reshape(len(x), len(ends), block).mean(axis=2)
            for name, x in reward.items()
        },
        ends,
        xlabel="GRPO update",
        ylabel="reward, median and quartiles over seeds",
        title="Training (rewards of arms differ in their terms)",
        ax=grid[1, 2],
    )
    plotting.save(grid[0, 0], path)


def _draw_graph(ax: Any, graph: ac.RoleGraph) -> None:
    """Agents in columns by layer, an arrow from what is read to its reader."""
    from matplotlib.patches import FancyArrowPatch

    nodes = int(ac.graph_size(graph).nodes)
    layer = np.asarray(ac.layers(graph))[:nodes]
    place = np.zeros((max(nodes, 1), 2))
    for each in np.unique(layer):
        members = np.flatnonzero(layer == each)
        height = np.linspace(-1, 1, len(members) + 2)[1:-1] * max(len(members), 1)
        place[members] = np.stack([np.full(len(members), float(each)), -height], axis=1)
    for i, j in np.argwhere(np.asarray(ac.edges(graph))):
        bend = 0.0 if layer[i] - layer[j] == 1 else 0.2
        ax.add_patch(
            FancyArrowPatch(
                tuple(place[j]), tuple(place[i]), arrowstyle="-|>", mutation_scale=12,
                shrinkA=19, shrinkB=19, connectionstyle=f"arc3,rad={bend}", color="#8A8A8A", lw=1.1,
            )
        )  # fmt: skip
    for i in range(nodes):
        role = int(np.asarray(graph.role)[i])
        name = ac.ROLES[role] if role < len(ac.ROLES) else "?"
        color = plotting.PALETTE[role % len(plotting.PALETTE)]
        ax.scatter(*place[i], s=760, facecolor="white", edgecolor=color, linewidth=2.2, zorder=3)
        ax.annotate(SHORT.get(name, name), place[i], ha="center", va="center", fontsize=10,
                    zorder=4)  # fmt: skip
    tall = max(np.abs(place[:, 1]).max() * 1.15, 1.2)
    ax.set_xlim(place[:, 0].min() - 0.6, place[:, 0].max() + 0.6)
    ax.set_ylim(-tall, tall)
    ax.set_axis_off()


def _draw_frontier(ax: Any, results: Results) -> None:
    """Mean accuracy against mean tokens of every arm, with two standard errors."""
    arms = {name: {measure: np.asarray(each[measure], float) for measure in ("tokens", "passed")}
            for name, each in results["overall"].items() if name != "before imitation"}  # fmt: skip
    level = 0.97 + GAP
    for name in sorted(arms, key=lambda name: -arms[name]["passed"].mean()):
        x, y = arms[name]["tokens"], arms[name]["passed"]
        own = name == "AgentConductor"
        color = plotting.PALETTE[1] if own else plotting.PALETTE[0 if name in LEARNED else 6]
        ax.errorbar(
            x.mean(), y.mean(), yerr=2 * y.std(ddof=1) / np.sqrt(len(y)), fmt="o",
            color=color, markersize=9 if own else 6, elinewidth=1.0,
        )  # fmt: skip
        level = min(y.mean() + 0.06, level - GAP)
        ax.annotate(
            LABELS.get(name, name), (x.mean(), y.mean()), xytext=(LABELS_AT, level), va="center",
            fontsize=9, color=color,
            arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "lw": 0.7},
        )  # fmt: skip
    ax.set_xscale("log")
    ticks = (2_000, 5_000, 10_000, 20_000)
    ax.set_xticks(ticks, [f"{x:,}" for x in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(1_200, 110_000)
    plotting.titles(
        ax, "Accuracy and tokens (blue: learned, grey: not)", "tokens per task (log scale)",
        "share of test tasks that pass, ± 2 standard errors",
    )  # fmt: skip


def _draw_sizes(ax: Any, results: Results) -> None:
    """Mean numbers of agents and references of first graphs by difficulty."""
    x = np.arange(len(ac.DIFFICULTIES))
    arms = ("AgentConductor", "N_max of hard tasks for all", "imitation alone")
    for k, name in enumerate(arms):
        for measure, style in (("nodes", "-"), ("edges", "--")):
            values = np.asarray(results["test"][name][measure], float)
            error = 2 * values.std(axis=0, ddof=1) / np.sqrt(len(values))
            word = "agents" if measure == "nodes" else "references"
            ax.errorbar(x, values.mean(axis=0), yerr=error, linestyle=style, marker="o",
                        color=plotting.PALETTE[(1, 0, 6)[k]],
                        label=f"{LABELS.get(name, name)}, {word}")  # fmt: skip
    ax.set_xticks(x, ac.DIFFICULTIES)
    ax.legend(frameon=False, fontsize=9)
    plotting.titles(ax, "Size of first graphs by true difficulty", "difficulty (hidden)",
                    "mean number, ± 2 standard errors over seeds")  # fmt: skip
