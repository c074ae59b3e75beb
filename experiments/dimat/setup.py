"""Network, data and pre-trained agents that all arms of the DIMAT experiment share.

Shapes: ``S`` seeds, ``N`` agents, ``M`` samples of an agent, ``B`` samples in a batch.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.dimat.config import Config
from jaxswarm import agents, data, errors, gossip, learning, models, rollout
from jaxswarm.learning import matching

PARTITIONS = {"IID": data.iid, "disjoint": data.disjoint_classes}


class Setup(NamedTuple):
    """What all arms share.

    Attributes:
        module: the network.
        model: the network as pure functions.
        spec: its interchangeable units.
        split: training and test set.
        proxy: ``[num_batches, B, ...]``, samples of the training set on which units are matched.
        steps: optimizer steps of one cycle.
    """

    module: models.MLP | models.CNN
    model: models.Model
    spec: matching.PermutationSpec
    split: data.Split
    proxy: jax.Array
    steps: int


def make_setup(config: Config) -> Setup:
    """Network, data and step counts of a configuration."""
    split = data.load("digits")
    if config.network == "mlp":
        module: models.MLP | models.CNN = models.mlp(*config.hidden, split.train.num_classes)
    elif config.network == "cnn":
        module = models.cnn(
            split.train.num_classes,
            channels=config.channels,
            widths=config.hidden[:1],
            norm="batch",
        )
    else:
        raise errors.unknown("network", config.network, ("mlp", "cnn"))
    model = models.functional(module, split.train.features[:1])
    shapes = jax.eval_shape(lambda: (model.init(jax.random.key(0)), model.init_stats()))
    size = samples_per_agent(config, split)
    batches = max(1, min(len(split.train.labels), config.proxy) // config.batch)
    rows = np.random.default_rng(config.seed).permutation(len(split.train.labels))
    proxy = split.train.features[rows[: batches * config.batch]]
    return Setup(
        module,
        model,
        matching.permutation_spec(module, *shapes),
        split,
        jnp.asarray(proxy.reshape(batches, config.batch, *proxy.shape[1:])),
        config.epochs * -(-size // config.batch),
    )


def samples_per_agent(config: Config, split: data.Split) -> int:
    """``M``, the same for every distribution of the data and every seed."""
    partitions = [make(split.train.labels, config.shares, seed=0) for make in PARTITIONS.values()]
    return min(int(np.asarray(partition.counts).min()) for partition in partitions)


def shards(config: Config, split: data.Split, deal: str) -> data.Shards:
    """Samples of every agent for all seeds, leaves ``[S, ...]``.

    Agent ``i`` holds part ``i mod shares``.

    Args:
        config: sizes and base seed.
        split: training and test set.
        deal: a name of :data:`PARTITIONS`.
    """
    size = samples_per_agent(config, split)
    by_seed = [
        data.shards(
            split.train,
            data.truncated(PARTITIONS[deal](split.train.labels, config.shares, seed=seed), size),
        )
        for seed in range(config.seed, config.seed + config.seeds)
    ]
    part = jnp.arange(config.agents) % config.shares
    stacked = agents.stack(by_seed)
    return data.Shards(
        features=stacked.features,
        labels=stacked.labels,
        indices=stacked.indices[:, part],
        mask=stacked.mask[:, part],
        counts=stacked.counts[:, part],
    )


def own_batches(config: Config, held: data.Shards) -> jax.Array:
    """Each agent's own samples in batches, ``[N, num_batches, B, ...]``."""
    size = held.indices.shape[1]
    width = min(size, config.batch)
    rows = held.indices[:, : size // width * width].reshape(len(held.indices), -1, width)
    return held.features[rows]


def pretrain(config: Config, setup: Setup, key: jax.Array, held: data.Shards) -> tuple[Any, Any]:
    """Train every agent alone from an initialization of its own.

    Returns:
        Parameters and batch statistics, leaves ``[N, ...]``.
    """
    init_key, run_key = jax.random.split(key)
    learner = learning.decentralized(
        learning.classification_loss(setup.model),
        local=optax.adam(config.lr),
        gossip=gossip.identity(),
        local_steps=setup.steps,
        sample=data.minibatches(config.batch),
        stateful=setup.model.has_stats,
    )
    params = agents.initialize(init_key, setup.model.init, config.agents)
    stats = agents.broadcast(setup.model.init_stats(), config.agents)
    rounds = -(-config.pretrain_epochs // config.epochs)
    state, _ = rollout(
        learner.step, learner.init(params, stats), rounds, key=run_key, inputs=held, every=rounds
    )
    return state.params, state.model_state


def score(setup: Setup, params: Any, stats: Any) -> jax.Array:
    """Accuracy of each agent on the common test set, ``[N]``."""
    test = setup.split.test

    def score_agent(params_and_stats: tuple[Any, Any]) -> jax.Array:
        params, stats = params_and_stats
        logits = setup.model.apply(params, test.features, stats or None)
        return models.accuracy(logits, test.labels)

    return jax.lax.map(score_agent, (params, stats), batch_size=64)
