"""Every robust rule against every attack on one grid: a small swarm learning digits.

Honest agents train softmax regression on their own data and gossip; a few Byzantine neighbours lie
by one of the attacks. Attacks and seeds are one vmapped program per rule; all cells share data,
initial models, optimiser, graph and rounds. Scores are of honest agents on a global test set.

References:
    L. He, S. P. Karimireddy, M. Jaggi, Byzantine-robust decentralized learning via self-centered
    clipping, 2022; and the papers named in :mod:`jaxswarm.gossip.robust` and
    :mod:`jaxswarm.gossip.attacks`. Not a reproduction of one paper's numbers.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

if __name__ == "__main__":  # run as a file: find the packages from the repository root
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import harness
from experiments.harness import Claim, Paper, claim
from jaxswarm import (
    agents,
    data,
    errors,
    gossip,
    learning,
    models,
    plotting,
    rollout,
    statistics,
    topology,
)
from jaxswarm.gossip import attacks

NAME = "byzantine_grid"
TITLE = "Every robust rule against every attack"
PAPER = Paper(
    "L. He, S. P. Karimireddy, M. Jaggi",
    "Byzantine-robust decentralized learning via self-centered clipping",
    2022,
)


@dataclass(frozen=True)
class Config:
    """Sizes; every cell of the grid shares them."""

    agents: int = 24  # N
    degree: int = 8  # of the random regular graph
    byzantine: int = 2  # attackers in the neighbourhood of any honest agent, at most
    rounds: int = 120
    alpha: float = 1.0  # Dirichlet concentration of classes over agents: small is non-IID
    batch: int = 16
    lr: float = 0.3
    rules: tuple[str, ...] = tuple(gossip.RULES)
    seeds: int = 5
    seed: int = 0


SCALES = {
    "smoke": Config(agents=12, degree=6, rounds=5, seeds=2, rules=("averaging", "median")),
    "small": Config(),
    "full": Config(agents=1000, degree=12, byzantine=2, rounds=400, seeds=10),
}

STRENGTHS: dict[str, dict[str, float]] = {
    "sign_flip": {"scale": 4.0},
    "scaled_noise": {"scale": 10.0},
    "inner_product_manipulation": {"epsilon": 1.0},
}
"""Where the default is not used. Fixed before the first run."""

MEDIANS = ("median", "trimmed_mean", "multi_krum", "geometric_median")


def liars(graph: topology.Topology, most: int) -> np.ndarray:
    """``bool[N]``: attackers added one by one while no agent hears more than ``most`` of them."""
    hears = np.asarray(graph.adjacency())
    chosen = np.zeros(graph.num_agents, bool)
    for agent in range(graph.num_agents):
        trial = chosen.copy()
        trial[agent] = True
        if (hears @ trial.astype(int)).max() <= most:
            chosen = trial
    attacks.expect_tolerable(graph, chosen, most)
    return chosen


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """``accuracy[rule][attack]``: ``[seeds]``, the mean over honest agents after the last round."""
    split = data.load("digits")
    deal = data.dirichlet_over_classes(
        split.train.labels, config.agents, alpha=config.alpha, seed=config.seed
    )
    shards = data.shards(split.train, deal)
    graph = topology.random_regular(config.agents, config.degree, seed=config.seed)
    W = gossip.mixing(graph, "uniform")
    byzantine = jnp.asarray(liars(graph, config.byzantine))
    model = models.functional(models.mlp(split.train.num_classes), split.train.features[:1])
    evaluate = learning.evaluation(model, split.test, chunk=min(config.agents, 256))
    lies = {
        name: make(W) if name == "dissensus" else make(**STRENGTHS.get(name, {}))
        for name, make in gossip.ATTACKS.items()
    }
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    accuracy = {}
    for rule_name in config.rules:
        if rule_name not in gossip.RULES:
            raise errors.unknown("rule", rule_name, gossip.RULES)
        progress(rule_name)
        rule = gossip.RULES[rule_name](graph, config.byzantine)

        def cell(which: jax.Array, key: jax.Array, rule: Any = rule) -> jax.Array:
            learner = learning.decentralized(
                learning.classification_loss(model),
                local=optax.sgd(config.lr),
                gossip=attacks.attacked_by_one_of(rule, list(lies.values()), which, byzantine),
                sample=data.minibatches(config.batch),
            )
            params = agents.initialize(
                jax.random.fold_in(key, 0), model.init, config.agents, shared=True
            )
            state, _ = rollout(
                learner.step,
                learner.init(params),
                config.rounds,
                key=jax.random.fold_in(key, 1),
                inputs=shards,
                every=config.rounds,
            )
            scores = jnp.where(byzantine, 0.0, evaluate(state).accuracy)
            return jnp.sum(scores) / jnp.sum(~byzantine)

        grid = jax.jit(jax.vmap(jax.vmap(cell, (None, 0)), (0, None)))
        scores = np.asarray(grid(jnp.arange(len(lies)), keys))
        accuracy[rule_name] = dict(zip(lies, scores, strict=True))
    return {"accuracy": accuracy, "num_byzantine": int(byzantine.sum())}


def claims(results: dict[str, Any]) -> list[Claim]:
    """Averaging must break, robust rules must not, and they must not cost much in peace."""
    table = results["accuracy"]
    worst = {rule: np.min(list(cells.values()), axis=0) for rule, cells in table.items()}
    fall = statistics.compare(table["averaging"]["none"], worst["averaging"])
    made = [
        claim(
            NAME,
            "some attack breaks plain averaging",
            "averaging, no attack",
            fall,
            at_least=0.3,
            judge="every seed",
            control=True,
        )
    ]
    for rule in (name for name in MEDIANS if name in table):
        gain = statistics.compare(worst[rule], worst["averaging"])
        made.append(
            claim(
                NAME,
                f"{rule} at its worst attack beats averaging at its",
                "averaging",
                gain,
                at_least=0.2,
                judge="interval",
            )
        )
        cost = statistics.compare(table["averaging"]["none"], table[rule]["none"])
        made.append(
            claim(NAME, f"{rule} costs little without attack", "averaging", cost, at_most=0.05)
        )
    if "centered_clipping" in table:
        clipped = statistics.compare(
            table["centered_clipping"]["dissensus"], table["averaging"]["dissensus"]
        )
        made.append(
            claim(
                NAME,
                "clipping about the own model is no worse than averaging under dissensus",
                "averaging",
                clipped,
                at_least=0.0,
            )
        )
    return made


def plot(results: dict[str, Any], path: Path) -> None:
    """The grid of mean accuracies."""
    table = results["accuracy"]
    names = list(next(iter(table.values())))
    values = np.array([[np.mean(table[rule][attack]) for attack in names] for rule in table])
    axes = plotting.heatmap(values, list(table), names)
    plotting.save(axes, path)


if __name__ == "__main__":
    harness.main(__name__)
