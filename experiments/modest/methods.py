"""Methods of the MoDeST experiment, each compiled for all seeds at once.

A method is a function ``(partition, schedules) -> (info, evaluation)`` of arguments stacked over
seeds; its results are recorded every ``config.every`` rounds.

Shapes: ``S`` seeds, ``N`` nodes, ``A`` slots for aggregates.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.modest.config import Config
from jaxswarm import agents, data, gossip, learning, models, rollout
from jaxswarm.algorithm import Algorithm
from jaxswarm.systems import modest as protocol

RunSeeds = Callable[[dict[str, jax.Array], protocol.Membership], tuple[Any, dict[str, jax.Array]]]
Score = Callable[[Any], jax.Array]
"""``score(params) -> accuracy``: test accuracy of one model."""


class Setup(NamedTuple):
    """What all arms share.

    Attributes:
        model: the network as pure functions.
        train: the training set.
        test: the test set.
        samples: the training set as shards, whose owners a partition replaces.
        keys: ``[S]`` keys of the runs.
    """

    model: models.Model
    train: data.Dataset
    test: data.Dataset
    samples: data.Shards
    keys: jax.Array


def modest(
    config: Config,
    setup: Setup,
    *,
    aggregators: int,
    success: float,
    present: np.ndarray | None = None,
) -> RunSeeds:
    """MoDeST with a number of aggregators and a success fraction.

    Args:
        config: sizes.
        setup: model, data and keys.
        aggregators: aggregators of a round.
        success: fraction of the sampled models that an aggregator waits for.
        present: ``bool[N]``, nodes that are known from the start; all by default.
    """
    algorithm = protocol.modest(
        learning.classification_loss(setup.model),
        config.agents,
        sample_size=config.sample,
        aggregators=aggregators,
        success=success,
        inactivity=config.inactivity,
        present=present,
        **_local_training(config),
    )

    def evaluate(state: protocol.ModestState, score: Score) -> dict[str, jax.Array]:
        held = state.aggregator >= 0
        scores = jax.vmap(score)(state.aggregates)
        holders = jnp.sum(held)
        joined = state.views.joined
        return {
            "accuracy": jnp.sum(jnp.where(held, scores, 0.0)) / jnp.maximum(holders, 1),
            "bytes": state.sent.total,
            "kinds": jnp.stack(state.sent),
            "disagreement": jnp.mean(jnp.var(joined.astype(jnp.float32), axis=0)),
            "joiner_in_view": joined[:, -1],
            "last_active": jnp.max(state.views.last_active, axis=0),
            "round": state.round,
        }

    return _compile(config, setup, algorithm, evaluate)


def federated(config: Config, setup: Setup) -> RunSeeds:
    """Federated learning: the same sampling by a server that knows which nodes are online."""
    algorithm = protocol.federated(
        learning.classification_loss(setup.model),
        config.agents,
        sample_size=config.sample,
        **_local_training(config),
    )

    def evaluate(state: protocol.FederatedState, score: Score) -> dict[str, jax.Array]:
        return {
            "accuracy": score(jax.tree.map(lambda leaf: leaf[0], state.model)),
            "bytes": state.sent,
        }

    return _compile(config, setup, algorithm, evaluate)


def all_nodes(config: Config, setup: Setup, rule: gossip.GossipTransformation) -> RunSeeds:
    """Decentralized SGD: all nodes train in every round and mix their models by ``rule``."""
    algorithm = learning.decentralized(
        learning.classification_loss(setup.model), gossip=rule, **_local_training(config)
    )

    def evaluate(state: learning.LearnerState, score: Score) -> dict[str, jax.Array]:
        return {
            "accuracy": jnp.mean(jax.lax.map(score, state.params, batch_size=50)),
            "bytes": state.traffic.total.bytes,
        }

    return _compile(config, setup, algorithm, evaluate, model_per_node=True)


def _local_training(config: Config) -> dict[str, Any]:
    return {
        "local": optax.sgd(config.lr),
        "local_steps": config.local_steps,
        "sample": data.minibatches(config.batch),
    }


def _compile(
    config: Config,
    setup: Setup,
    algorithm: Algorithm,
    evaluate: Callable[[Any, Score], dict[str, jax.Array]],
    *,
    model_per_node: bool = False,
) -> RunSeeds:
    """All seeds of an algorithm as one program; partition and schedules are its arguments.

    Args:
        config: sizes.
        setup: model, data and keys.
        algorithm: its state begins with one model, or with one per node.
        evaluate: ``(state, score) -> metrics``.
        model_per_node: whether there is a model per node; such an algorithm gets no schedule.
    """

    def run_seed(
        key: jax.Array,
        partition: dict[str, jax.Array],
        schedule: protocol.Membership,
        samples: data.Shards,
        test: data.Dataset,
    ) -> tuple[Any, dict[str, jax.Array]]:
        shards = data.Shards(samples.features, samples.labels, **partition)
        initial = setup.model.init(jax.random.fold_in(key, 0))

        def score(params: Any) -> jax.Array:
            predicted = jnp.argmax(setup.model.apply(params, test.features), axis=-1)
            return jnp.mean(predicted == jnp.asarray(test.labels))

        _, records = rollout(
            algorithm.step,
            algorithm.init(agents.broadcast(initial, config.agents) if model_per_node else initial),
            config.rounds,
            key=jax.random.fold_in(key, 1),
            inputs=shards if model_per_node else (shards, schedule),
            every=config.every,
            evaluate=lambda state: evaluate(state, score),
        )
        return records.info, records.evaluation

    run_seeds = jax.jit(jax.vmap(run_seed, (0, 0, 0, None, None)))
    return lambda partition, schedules: run_seeds(
        setup.keys, partition, schedules, setup.samples, setup.test
    )
