"""Agents that hear each other's actions before they choose: what a Bayesian network is worth.

The coordination game of two and three agents in tables, by exact policy gradient: no sampling, no
critic, no network, so that nothing but the graph differs between the arms. Nobody hears anybody
(independent softmax policies), everybody hears the agent before (a line of N − 1 edges), or all
before (the full graph, which can be any joint policy). Seeds draw the first tables.

As in the authors' code, steps are of 0.01 and states weigh ``1 / N`` in the objective, which only
scales the step; unlike there, a line of two agents has its one edge. The learnt, state-dependent
graph and its PPO form are not part of this experiment.

References:
    D. Chen, Q. Zhang, Context-aware Bayesian network actor-critic methods for cooperative
    multi-agent reinforcement learning, 2023.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from jaxswarm import agents, plotting, statistics
from jaxswarm.rl import bayesian
from jaxswarm.rollout import rollout

NAME = "bn_actor_critic"
TITLE = "Joint policies as Bayesian networks"
PAPER = Paper(
    "D. Chen, Q. Zhang",
    "Context-aware Bayesian network actor-critic methods for cooperative multi-agent "
    "reinforcement learning",
    2023,
)

# Fixed before the first run; shares of the optimal value.
GAIN = 0.03  # of the full graph over none
CLOSED = 0.25  # what is left of the Nash gap of the first tables
GRAPHS = {
    "independent": bayesian.independent,
    "line": bayesian.line,
    "full": bayesian.full,
}


@dataclass(frozen=True)
class Config:
    """Sizes."""

    sizes: tuple[int, ...] = (2, 3)
    iterations: int = 2_000
    every: int = 50
    seeds: int = 49
    lr: float = 0.01
    discount: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sizes or any(n not in (2, 3, 5) for n in self.sizes):
            raise ValueError(f"sizes: expected some of 2, 3 and 5, got {self.sizes}")
        if self.iterations % self.every:
            raise ValueError(f"every: expected a divisor of {self.iterations}, got {self.every}")
        if not 0.0 <= self.discount < 1.0:
            raise ValueError(f"discount: expected within [0, 1), got {self.discount}")


SCALES = {
    "smoke": Config(sizes=(2,), iterations=20, every=10, seeds=3),
    "small": Config(),
    "full": Config(sizes=(2, 3, 5), iterations=5_000, every=100, seeds=12),
}


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """``{size: {"value" [graphs, S, records], "gap", "start" [graphs, S]}}``."""
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    results: dict[str, Any] = {}
    for n in config.sizes:
        progress(f"{n} agents")
        results[str(n)] = _size(config, n, keys)
    results["iterations"] = np.arange(1, config.iterations // config.every + 1) * config.every
    return jax.tree.map(np.asarray, results)


def _size(config: Config, n: int, keys: jax.Array) -> dict[str, Any]:
    """All graphs and seeds in one program; values as shares of the best."""
    game = bayesian.coordination_game(n)
    learner = bayesian.bayesian_policy_gradient(game, weight=game.num_states / n)
    best = jnp.mean(bayesian.best_values(game, config.discount))
    shape = (n, game.num_states, game.num_states, 2)

    def arm(dag: jax.Array, key: jax.Array) -> Any:
        numbers = bayesian.BayesianParameters(dag, config.lr, config.discount)
        start = learner.init(jax.random.normal(key, shape))
        end, records = rollout(
            lambda k, s, _: learner.step(k, s, numbers),
            start,
            config.iterations,
            key=key,
            every=config.every,
        )

        def gap(tables: jax.Array) -> jax.Array:
            return jnp.max(bayesian.nash_gap(tables, game, dag, config.discount, 300)) / best

        return records.info.value / best, gap(start), gap(end)

    dags = jnp.stack([jnp.asarray(make(n)) for make in GRAPHS.values()])
    over_seeds = jax.vmap(arm, (None, 0))
    value, start, gap = jax.jit(jax.vmap(over_seeds, (0, None)))(dags, keys)
    return {"value": value, "start": start, "gap": gap}


def claims(results: dict[str, Any]) -> list[Claim]:
    """Hearing helps, all hearing more, and everybody ends near an equilibrium."""
    made = []
    for n, found in results.items():
        if n == "iterations":
            continue
        none, line, full = found["value"][:, :, -1]
        left = statistics.summarize(found["gap"].mean(axis=0) / found["start"].mean(axis=0))
        made += [
            claim(
                NAME,
                f"{n} agents: the full graph earns {GAIN} more of the optimum",
                "independent policies",
                statistics.compare(full, none),
                at_least=GAIN,
            ),
            claim(
                NAME,
                f"{n} agents: and its interval is above zero",
                "independent policies",
                statistics.compare(full, none),
                at_least=0.0,
                judge="interval",
            ),
            claim(
                NAME,
                f"{n} agents: a line is worth something",
                "independent policies",
                statistics.compare(line, none),
                at_least=0.0,
                judge="interval",
            ),
            claim(
                NAME,
                f"{n} agents: the full graph is worth no less than the line",
                "the line",
                statistics.compare(full, line),
                at_least=0.0,
            ),
            claim(
                NAME,
                f"{n} agents: ascent leaves a quarter of the Nash gap or less",
                "the first tables",
                left,
                at_most=CLOSED,
                note="the largest gain of one agent, mean over graphs",
            ),
        ]
    return made


def plot(results: dict[str, Any], path: Path) -> None:
    """Value against iterations for each graph, and what one agent could still gain."""
    sizes = [n for n in results if n != "iterations"]
    grid = plotting.panels(1, len(sizes) + 1, width=4.8, height=3.8)
    for column, n in enumerate(sizes):
        plotting.curves(
            dict(zip(GRAPHS, results[n]["value"], strict=True)),
            results["iterations"],
            title=f"{n} agents: who hears more, earns more",
            xlabel="exact gradient steps",
            ylabel="share of the optimal value, median and quartiles",
            ax=grid[0, column],
        )
    ax = grid[0, len(sizes)]
    place = np.arange(len(GRAPHS))
    for shift, n in enumerate(sizes):
        ax.bar(
            place + 0.8 * (shift + 0.5) / len(sizes) - 0.4,
            results[n]["gap"].mean(axis=1),
            width=0.7 / len(sizes),
            color=plotting.PALETTE[shift],
            label=f"{n} agents",
        )
    ax.set_xticks(place, list(GRAPHS))
    ax.set_title("What one agent could still gain", loc="left", fontsize=13)
    ax.set_ylabel("Nash gap, share of the optimal value")
    ax.legend(frameon=False)
    plotting.save(grid[0, 0], path)


if __name__ == "__main__":
    harness.main(__name__)
