"""Accuracy of every aggregation rule under every attack: a grid of decentralized SGD runs.

Honest agents train softmax regression on their own data and gossip; a few Byzantine neighbours send
the messages of one attack instead of their models. Attacks and seeds are one vmapped program for
each rule; all cells share data, initial models, optimizer, graph and rounds. Scores are those of
the honest agents on a common test set.

References:
    L. He, S. P. Karimireddy, M. Jaggi, Byzantine-robust decentralized learning via self-centered
    clipping, 2022; and the papers named in :mod:`jaxswarm.gossip.robust` and
    :mod:`jaxswarm.gossip.attacks`.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.byzantine_grid.config import ATTACKS, Config
from experiments.harness.protocol import Results
from jaxswarm import agents, data, errors, gossip, learning, models, rollout, topology
from jaxswarm.gossip import attacks

OPTIONS: dict[str, dict[str, float | str]] = {
    "sign_flip": {"scale": 4.0},
    "scaled_noise": {"scale": 10.0},
    "inner_product_manipulation": {"epsilon": 1.0},
    "dissensus": {"weights": "uniform"},
}
"""Arguments of attacks that do not run at their defaults. Fixed before the first run."""


def place_byzantine(graph: topology.Topology, most: int) -> np.ndarray:
    """Choose Byzantine agents so that no agent has more than ``most`` of them as in-neighbours.

    Agents are added in the order of their ids while the limit allows it.

    Returns:
        ``bool[N]``: which agents are Byzantine.
    """
    adjacency = np.asarray(graph.adjacency())
    chosen = np.zeros(graph.num_agents, bool)
    for agent in range(graph.num_agents):
        trial = chosen.copy()
        trial[agent] = True
        if (adjacency @ trial.astype(int)).max() <= most:
            chosen = trial
    attacks.check_byzantine_neighbors(graph, chosen, most)
    return chosen


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Train every cell of the grid.

    Returns:
        ``accuracy[rule][attack]``, ``[seeds]``: test accuracy after the last round, mean over
        honest agents; and ``num_byzantine``.
    """
    split = data.load("digits")
    partition = data.dirichlet_over_classes(
        split.train.labels, config.agents, alpha=config.alpha, seed=config.seed
    )
    shards = data.shards(split.train, partition)
    graph = topology.random_regular(config.agents, config.degree, seed=config.seed)
    byzantine = jnp.asarray(place_byzantine(graph, config.byzantine))
    model = models.functional(models.mlp(split.train.num_classes), split.train.features[:1])
    evaluate = learning.evaluation(model, split.test, chunk=min(config.agents, 256))
    attack_by_name = _attacks(graph, config.byzantine)
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    accuracy = {}
    for rule_name in config.rules:
        if rule_name not in gossip.ROBUST_RULES:
            raise errors.unknown("rule", rule_name, gossip.ROBUST_RULES)
        progress(rule_name)
        rule = gossip.ROBUST_RULES[rule_name](graph, config.byzantine)
        run_cell = partial(
            _run_cell,
            config,
            model,
            evaluate,
            rule,
            list(attack_by_name.values()),
            byzantine,
            shards,
        )
        run_row = jax.jit(jax.vmap(jax.vmap(run_cell, (None, 0)), (0, None)))
        scores = np.asarray(run_row(jnp.arange(len(attack_by_name)), keys))
        accuracy[rule_name] = dict(zip(attack_by_name, scores, strict=True))
    return {"accuracy": accuracy, "num_byzantine": int(byzantine.sum())}


def _attacks(graph: topology.Topology, num_byzantine: int) -> dict[str, attacks.Attack]:
    """The attacks of the grid at the strengths of this experiment."""
    return {
        name: gossip.ATTACKS[name](graph, num_byzantine, **OPTIONS.get(name, {}))
        for name in ATTACKS
    }


def _run_cell(
    config: Config,
    model: models.Model,
    evaluate: Callable[[learning.LearnerState], learning.Metrics],
    rule: gossip.GossipTransformation,
    all_attacks: list[attacks.Attack],
    byzantine: jax.Array,
    shards: data.Shards,
    attack_index: jax.Array,
    key: jax.Array,
) -> jax.Array:
    """Train one rule under one attack; final test accuracy, mean over honest agents."""
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(config.lr),
        gossip=attacks.attacked_by_one_of(rule, all_attacks, attack_index, byzantine),
        sample=data.minibatches(config.batch),
    )
    params = agents.initialize(jax.random.fold_in(key, 0), model.init, config.agents, shared=True)
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
