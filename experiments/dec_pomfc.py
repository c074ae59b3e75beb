"""Steering a swarm by decision rules: learnt with the mean field in sight, executed without it.

One policy sees the mean field of a simulated swarm and chooses, in every step, a decision rule for
all agents; PPO trains it. What it chose for one reference swarm is then a fixed sequence of rules,
which fresh swarms execute, each agent knowing its own observation only. Baselines learn one policy
for all agents directly in the finite swarm: IPPO, and a MAPPO-like variant whose critic sees the
mean field. All learners get the same environment steps, epochs and minibatches.

The step size and both λ come from a coarse search on another seed: ten pairs for the upper level,
four for the baselines. Swarms begin within ±0.8 π: from perfect disorder the limit stays disordered
for ever, whatever the rule. The fixed rule looks farther (0.35) than the learnt ones (0.25), so
that at N = 8 agents are not mostly alone.

References:
    K. Cui, S. Hauck, C. Fabian, H. Koeppl, Learning decentralized partially observable mean field
    control for artificial collective behavior, 2024. Its experiment section was not at hand: tasks'
    numbers and budgets are ours.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.dec_pomfc_arms import (
    ARMS,
    TASKS,
    Config,
    agents_themselves,
    chaos,
    execution,
    upper_level,
)
from experiments.harness import Claim, Paper, claim
from experiments.programs import program
from jaxswarm import agents, plotting, statistics

NAME = "dec_pomfc"
TITLE = "Decentralised partially observable mean-field control"
PAPER = Paper(
    "K. Cui, S. Hauck, C. Fabian, H. Koeppl",
    "Learning decentralized partially observable mean field control",
    2024,
)

SCALES = {
    "smoke": Config(
        agents=8,
        steps=8,
        envs=2,
        iterations=2,
        points=3,
        hidden=8,
        swarms=4,
        chaos_swarms=4,
        sizes=(4, 8),
        transfer=(),
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        tasks=("kuramoto", "vicsek", "aggregation"),
        agents=200,
        iterations=150,
        envs=4,
        sizes=(8, 16, 32, 64, 128, 256, 512),
        transfer=(2, 8, 32, 1000),
    ),
}


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Returns of every task and arm, ``[seeds]``, and the fixed rule's in swarms of all sizes."""
    key = jax.random.key(config.seed)
    progress("propagation of chaos")
    results: dict[str, Any] = {"chaos": chaos(jax.random.fold_in(key, 0), config)}
    keys = agents.keys(jax.random.fold_in(key, 1), config.seeds)
    for name in config.tasks:
        task = TASKS[name](config, config.agents)
        progress(f"{name}: decision rules")
        upper = upper_level(config, task, keys)
        progress(f"{name}: independent learners")
        flat = agents_themselves(config, task, keys)
        progress(f"{name}: execution")
        returns = {}
        for n in sorted({config.agents, *config.transfer}):
            made = TASKS[name](config, n)
            carried = program(lambda x, k, made=made: execution(config, made, x, k))
            returns[str(n)] = carried(upper["numbers"], keys)
        results[name] = {
            "agents": config.agents,
            "curves": upper["curves"] | flat["curves"],
            "oracle": upper["oracle"],
            "returns": returns[str(config.agents)] | flat["returns"],
            "transfer": returns,
        }
    return jax.tree.map(np.asarray, results)


def scores(found: dict[str, Any], returns: dict[str, Any]) -> dict[str, np.ndarray]:
    """0 for the swarm left alone, 1 for the optimum (which no start from disorder reaches).

    The best reward of all three tasks is 0.
    """
    idle = np.asarray(found["returns"]["uncontrolled"])
    return {arm: 1.0 - np.asarray(value) / idle for arm, value in returns.items()}


def slopes(results: dict[str, Any]) -> np.ndarray:
    """``[seeds]``: exponents of the bias in the swarm's size."""
    x, bias = np.log(results["chaos"]["sizes"]), np.abs(results["chaos"]["bias"])
    return np.array([np.polyfit(x, np.log(bias[:, s]), 1)[0] for s in range(bias.shape[1])])


def claims(results: dict[str, Any]) -> list[Claim]:
    """Propagation of chaos, kernels against bins, learning by rules against agents' own."""
    bias = np.abs(results["chaos"]["bias"])
    sizes = results["chaos"]["sizes"]
    exponent = statistics.summarize(slopes(results))
    left = statistics.summarize(bias[-1] / bias[0])
    limit = "the density's return"
    made = [
        claim(NAME, "the bias of J^N falls at least as N^-0.4", limit, exponent, at_most=-0.4),
        claim(NAME, "the bias of J^N falls at most as N^-1.1", limit, exponent, at_least=-1.1),
        claim(
            NAME,
            f"the bias at N = {sizes[-1]} is a quarter of that at {sizes[0]} or less",
            limit,
            left,
            at_most=0.25,
        ),
    ]
    for name, found in results.items():
        if name == "chaos":
            continue
        score = scores(found, found["returns"])
        oracle = scores(found, found["oracle"])["kernel"]
        made += [
            claim(
                NAME,
                f"{name}: kernel rules earn no less than histogram rules",
                "histogram",
                statistics.compare(score["kernel"], score["histogram"]),
                at_least=0.0,
                note="share of the way from uncontrolled to the optimum",
            ),
            *(
                claim(
                    NAME,
                    f"{name}: {arm} rules are twice as near to the optimum as no control",
                    "uncontrolled",
                    statistics.summarize(score[arm]),
                    at_least=0.5,
                    note="share of the way from uncontrolled to the optimum",
                )
                for arm in ARMS[:2]
            ),
            *(
                claim(
                    NAME,
                    f"{name}: decision rules earn 0.9 of {arm} or more",
                    f"0.9 of {arm}",
                    statistics.compare(score["kernel"], 0.9 * score[arm]),
                    at_least=0.0,
                    note="share of the way from uncontrolled to the optimum",
                )
                for arm in ARMS[2:]
            ),
            claim(
                NAME,
                f"{name}: without the mean field, rules keep 0.9 of what they earn with it",
                "0.9 of the policy that sees the mean field",
                statistics.compare(score["kernel"], 0.9 * oracle),
                at_least=0.0,
                control=True,
                note="the policy that sees it is an oracle",
            ),
        ]
    return made


def plot(results: dict[str, Any], path: Path) -> None:
    """Bias against size; learning curves; returns of the sequences in swarms of other sizes."""
    names = [name for name in results if name != "chaos"]
    grid = plotting.panels(1, 1 + 2 * len(names), width=5.2, height=4.0)
    sizes, bias = results["chaos"]["sizes"], np.abs(results["chaos"]["bias"])
    ax = plotting.curves(
        {"measured": bias.T},
        sizes,
        title=f"A fixed rule's bias falls as $N^{{{slopes(results).mean():.2f}}}$",
        xlabel="swarm size N",
        ylabel="|mean return − return of the limit|",
        log=True,
        band=(0.0, 100.0),
        ax=grid[0, 0],
    )
    ax.plot(sizes, bias[0].mean() * sizes[0] / sizes, "--", color="#9A9A9A", linewidth=1.2)
    ax.annotate("1/N", (sizes[-1], bias[0].mean() * sizes[0] / sizes[-1]), color="#666666")
    ax.set_xscale("log", base=2)
    for column, name in enumerate(names):
        found = results[name]
        idle = float(found["returns"]["uncontrolled"].mean())
        plotting.curves(
            {arm: found["curves"][arm] for arm in ARMS},
            xlabel="iteration",
            ylabel="episode return in training, median and quartiles of seeds",
            title=f"{name}: four learners, one budget",
            ax=grid[0, 1 + 2 * column],
        )
        ax = grid[0, 2 + 2 * column]
        series = {}
        numbers = sorted(int(n) for n in found["transfer"])
        for arm in (*ARMS[:2], "uncontrolled"):
            series[arm] = np.stack([found["transfer"][str(n)][arm] for n in numbers], axis=1)
        n = int(found["agents"])
        title = f"{name}: rules learnt at N = {n} serve others"
        plotting.curves(
            series,
            np.array(numbers),
            xlabel="swarm size N",
            ylabel="discounted return, agents without the mean field",
            title=title,
            colors={"uncontrolled": "#5A5A5A"},
            ax=ax,
        )
        ax.set_xscale("log", base=2)
        for arm, mark, color in (("IPPO", "s", 2), ("MAPPO", "D", 3)):
            value = float(found["returns"][arm].mean())
            ax.plot([n], [value], mark, color=plotting.PALETTE[color], label=arm, markersize=7)
        ax.axhline(0.5 * idle, color="#9A9A9A", linewidth=1.0, linestyle=(0, (4, 3)))
        ax.annotate("half-way to the optimum", (numbers[0], 0.5 * idle - 2.5), color="#666666")
        ax.legend(*_marks(ax), frameon=False, fontsize=10, loc=(0.02, 0.3))
    plotting.save(grid[0, 0], path)


def _marks(ax: Any) -> tuple[list[Any], list[str]]:
    handles, labels = ax.get_legend_handles_labels()
    chosen = [(h, label) for h, label in zip(handles, labels, strict=True) if "PPO" in label]
    return [h for h, _ in chosen], [label for _, label in chosen]


if __name__ == "__main__":
    harness.main(__name__)
