"""Train with every aggregation rule under every attack and scenario, and score the honest agents.

Shapes: ``N`` agents (honest agents first, then Sybils), ``S`` seeds.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.images import flattened
from experiments.harness.protocol import Results
from experiments.sybilwall.config import ATTACKS, LOCAL_ONLY, SYBILWALL, Config, scenario_names
from experiments.sybilwall.scenarios import build_scenarios, partition_data
from jaxswarm import agents, data, gossip, learning, models, rollout, sweep, topology
from jaxswarm.gossip import robust
from jaxswarm.systems import sybilwall

FLIPPED = (0, 1)  # the two classes whose labels the label flip swaps
BACKDOOR_CLASS = 1  # the class as which stamped images are labelled
MULTI_KRUM_KEEPS = 3  # models that Multi-Krum averages
LARGE = 200  # with more agents, the histories of two runs do not fit into memory side by side


class Setup(NamedTuple):
    """What all arms of a run share.

    Attributes:
        config: sizes.
        model: the classifier.
        test: the global test set.
        patch: the backdoor's square.
        stamped: images of the test set with the square.
        graphs: the graphs of all scenarios, stacked.
        W: uniform mixing weights on these graphs.
        sybil: ``bool[N]``.
        victims: ``bool[scenarios, N]``, honest agents with an edge to a Sybil.
    """

    config: Config
    model: models.Model
    test: data.Dataset
    patch: Any
    stamped: Any
    graphs: topology.Topology
    W: gossip.Mixing
    sybil: np.ndarray
    victims: np.ndarray


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure attack score and accuracy of the honest agents under each rule.

    Returns:
        ``{"score": {rule: table}, "accuracy": {rule: table}}``; tables are
        ``[attacks, scenarios, S]``, in the order of ``ATTACKS`` and ``scenario_names(config)``.
    """
    split = flattened(data.load(config.data, path=config.path))
    setup = build_setup(config, split)
    samples, parts = partition_data(config, split.train, setup.graphs.num_agents)
    results: Results = {"score": {}, "accuracy": {}}
    for rule in config.rules:
        progress(rule)
        measures = jax.jit(functools.partial(run_rule, setup, rule))(samples, parts)
        for name, tables in results.items():
            tables[rule] = np.asarray(measures[name])
    return results


def build_setup(config: Config, split: data.Split) -> Setup:
    """Build the model, the graphs of all scenarios and the backdoor's test images."""
    model = models.functional(models.logistic(split.train.num_classes), split.train.features[:1])
    swarms = build_scenarios(config)
    graphs = topology.stack([swarm.topology for swarm in swarms.values()])
    ids = np.arange(graphs.num_agents)
    side = round(split.train.features.shape[1] ** 0.5)
    patch = data.square_patch(side, side, config.patch)
    return Setup(
        config=config,
        model=model,
        test=split.test,
        patch=patch,
        stamped=data.stamp(split.test.features, patch),
        graphs=graphs,
        W=gossip.mixing(graphs, "uniform", connected=False),
        sybil=ids >= config.honest,
        victims=np.stack([np.isin(ids, swarm.attack_edges[:, 0]) for swarm in swarms.values()]),
    )


def run_rule(
    setup: Setup, rule: str, samples: data.Shards, parts: dict[str, jax.Array]
) -> dict[str, jax.Array]:
    """Run one rule under all attacks, scenarios and seeds: ``[attacks, scenarios, S]`` each."""

    def run_seed(attack: jax.Array, scenario: jax.Array, seed_and_parts: Any) -> Any:
        seed, parts_of_seed = seed_and_parts
        part = jax.tree.map(lambda leaf: leaf[attack], parts_of_seed)
        shards = data.Shards(samples.features, samples.labels, **part)
        params = train(setup, rule, attack, scenario, seed, shards)
        return score(setup, attack, params)

    return sweep(
        run_seed,
        jnp.arange(len(ATTACKS)),
        jnp.arange(len(scenario_names(setup.config))),
        (jnp.arange(setup.config.seeds), parts),
        at_once=1 if setup.graphs.num_agents > LARGE else None,
    )


def train(
    setup: Setup,
    rule: str,
    attack: jax.Array,
    scenario: jax.Array,
    seed: jax.Array,
    shards: data.Shards,
) -> Any:
    """Train all agents in one scenario and return the models of the honest agents."""
    config = setup.config
    learner = learning.decentralized(
        learning.classification_loss(setup.model),
        local=optax.sgd(config.lr),
        gossip=gossip.sybil_attack(
            aggregation_rule(setup, rule, scenario),
            jnp.asarray(setup.sybil),
            jnp.asarray(setup.victims)[scenario],
        ),
        local_steps=config.local_steps,
        sample=poisoned_batches(setup, attack),
    )
    key = jax.random.fold_in(jax.random.key(config.seed), seed)
    params = agents.initialize(key, setup.model.init, setup.graphs.num_agents, shared=True)
    state, _ = rollout(
        learner.step,
        learner.init(params),
        config.rounds,
        key=jax.random.fold_in(key, 1),
        inputs=shards,
        every=config.rounds,
    )
    return jax.tree.map(lambda leaf: leaf[: config.honest], state.params)


def aggregation_rule(setup: Setup, name: str, scenario: jax.Array) -> gossip.GossipTransformation:
    """Build an aggregation rule that works on the graph of ``scenario`` (traced)."""
    graphs, config = setup.graphs, setup.config
    # Traced, because some agents have fewer neighbors than Krum's theory asks for one Byzantine.
    tolerated = jnp.asarray(scenario) * 0 + 1

    def on_scenario(rule: gossip.GossipTransformation) -> gossip.GossipTransformation:
        def mix(key: jax.Array, params: Any, state: Any, exchange: gossip.Exchange) -> Any:
            return rule.mix(key, params, state, exchange._replace(index=scenario))

        return gossip.GossipTransformation(rule.init, mix, rule.supports)

    if name == "averaging":
        return on_scenario(gossip.averaging(setup.W))
    if name == "median":
        return on_scenario(robust.median(graphs))
    if name == "krum":
        return on_scenario(robust.krum(graphs, tolerated))
    if name == "multi-krum":
        return on_scenario(robust.multi_krum(graphs, tolerated, MULTI_KRUM_KEEPS))
    if name == "foolsgold":
        return robust.foolsgold(graphs, member=scenario)
    if name in (SYBILWALL, LOCAL_ONLY):
        return sybilwall.sybilwall(
            graphs,
            traveled=config.remote_records,
            history=config.history,
            gossip_histories=name == SYBILWALL,
            member=scenario,
        )
    raise ValueError(f"name: expected an aggregation rule, got {name!r}")


def poisoned_batches(setup: Setup, attack: jax.Array) -> Callable[..., Any]:
    """Sample minibatches; those of Sybils are poisoned by ``ATTACKS[attack]`` (traced)."""
    honest = data.minibatches(setup.config.batch)
    stamp = data.backdoor(setup.patch, BACKDOOR_CLASS, share=0.5)
    flipped = data.poisoned(honest, data.flip_pair(*FLIPPED), setup.sybil)
    backdoored = data.poisoned(honest, stamp, setup.sybil)

    def sample(key: jax.Array, shards: data.Shards, **options: Any) -> data.Batch:
        return jax.tree.map(
            lambda a, b: jnp.where(attack == 0, a, b),
            flipped(key, shards, **options),
            backdoored(key, shards, **options),
        )

    return sample


def score(setup: Setup, attack: jax.Array, params: Any) -> dict[str, jax.Array]:
    """Mean attack score and accuracy of the honest agents' models on the test set, scalars.

    The score of the label flip is the share of test samples of either flipped class that are given
    the other's label; that of the backdoor is the share of stamped images, not of class 1, that are
    given label 1.
    """

    def predictions(features: Any) -> jax.Array:
        logits = jax.vmap(lambda p: setup.model.apply(p, features))(params)
        return jnp.argmax(logits, axis=-1)

    labels = jnp.asarray(setup.test.labels)
    clean = predictions(setup.test.features)
    stamped = predictions(setup.stamped)
    first, second = FLIPPED
    flip = (
        data.attack_score(clean, setup.test.labels, first, second)
        + data.attack_score(clean, setup.test.labels, second, first)
    ) / 2
    other = (labels != BACKDOOR_CLASS).astype(jnp.float32)
    backdoor = (stamped == BACKDOOR_CLASS).astype(jnp.float32) @ other / jnp.sum(other)
    return {
        "score": jnp.mean(jnp.where(attack == 0, flip, backdoor)),
        "accuracy": jnp.mean(clean == labels[None, :]),
    }
