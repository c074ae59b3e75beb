"""Gossip learning with plain and variance-corrected averaging, from common and own initial models.

Agents on a random regular graph train a tanh network and average conservatively with their
neighbours after every SGD step. Averaging ``M`` uncorrelated layers divides the variance of their
weights by about ``M`` and undoes Xavier's initialization, so that training waits on a plateau until
the networks have become correlated. Variance correction rescales every averaged layer to the mean
variance of the layers that were averaged. Two controls: from one common initial model the problem
is absent, and a server that averages *different* initial models shows it as gossip does.

Shapes: ``S`` seeds, ``N`` agents, ``M`` samples of an agent, ``R`` evaluations (the first before
training).

References:
    Y. Tian, Z. Al-Ars, M. Kitsak, P. Hofstee, Vanishing variance problem in fully decentralized
    neural-network systems, 2024.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.protocol import Results
from experiments.variance_correction.config import Config
from jaxswarm import agents, data, gossip, learning, models, rollout, topology


class Arm(NamedTuple):
    """How the agents average, where they start and how the data are distributed.

    Attributes:
        averaging: plain or variance-corrected averaging over the graph, or a server that averages
            all models plainly.
        self_weight: weight of an agent's own model in its average.
        shared: whether all agents start from one common model.
        iid: whether the data are distributed IID, or by a Dirichlet distribution.
    """

    averaging: Literal["plain", "corrected", "server"]
    self_weight: float
    shared: bool = False
    iid: bool = True


def arms_by_name(config: Config) -> dict[str, Arm]:
    """All arms: averaging rule, initial models and distribution of the data."""
    own_weight = config.self_weight
    return {
        "isolated": Arm("plain", 1.0),
        "plain": Arm("plain", own_weight),
        "corrected": Arm("corrected", own_weight),
        "plain, one start": Arm("plain", own_weight, shared=True),
        "server, one start": Arm("server", 1.0 / config.agents, shared=True),
        "server, own starts": Arm("server", 1.0 / config.agents),
        "plain, non-IID": Arm("plain", own_weight, iid=False),
        "corrected, non-IID": Arm("corrected", own_weight, iid=False),
    }


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Train all arms on the same seeds, then average independent models once.

    Returns:
        ``tick [R]``; ``arms``: name -> ``accuracy`` (test accuracy, mean over agents), ``variance``
        (of the first layer's weights, mean over agents) and ``correlation`` (of the first layers
        of two agents, mean over pairs), each ``[S, R]``; and ``shrinkage [S]``, the variance of
        the average of ``N`` independent first layers as a fraction of their own.
    """
    split = data.load(config.data, path=config.path)
    network = models.mlp(
        *config.hidden, split.train.num_classes, activation="tanh", initializer="xavier"
    )
    model = models.functional(network, split.train.features[:1])
    graph = gossip.mixing(topology.random_regular(config.agents, config.degree, seed=config.seed))
    operators = {
        "plain": graph,
        "corrected": graph,
        "server": gossip.complete_mean(config.agents),
    }
    samples = data.shards(split.train, data.iid(split.train.labels, 1))
    partitions = _partitions(config, split.train)
    base = jax.random.key(config.seed)
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.fold_in(base, seed)))(
        jnp.arange(config.seeds)
    )
    initialize = jax.jit(jax.vmap(lambda key: agents.initialize(key, model.init, config.agents)))
    own = initialize(keys[:, 0])
    common = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:, :1], leaf.shape), own)
    run_seeds = jax.jit(
        jax.vmap(partial(_run_seed, config, model, operators), (None, None, None, None, 0, 0, 0)),
        static_argnums=0,
    )
    results: Results = {
        "tick": np.arange(config.ticks // config.every + 1) * config.every,
        "arms": {},
    }
    for name, arm in arms_by_name(config).items():
        progress(name)
        curves = run_seeds(
            arm.averaging,
            jnp.float32(arm.self_weight),
            samples,
            split.test,
            common if arm.shared else own,
            keys[:, 1],
            partitions[arm.iid],
        )
        results["arms"][name] = jax.tree.map(np.asarray, curves)
    progress("one average of independent models")
    seeds = jax.vmap(lambda seed: jax.random.fold_in(base, seed))(jnp.arange(config.seeds))
    kernels = _first_kernel(initialize(seeds))
    results["shrinkage"] = np.asarray(jax.vmap(_shrinkage)(kernels))
    return results


def _run_seed(
    config: Config,
    model: models.Model,
    operators: dict[str, gossip.Mixing],
    averaging: str,
    self_weight: jax.Array,
    samples: data.Shards,
    test: data.Dataset,
    params: Any,
    key: jax.Array,
    partition: dict[str, jax.Array],
) -> dict[str, jax.Array]:
    """Train one seed of one arm; accuracy, variance and correlation, ``[R]`` each."""
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(config.lr, momentum=config.momentum or None),
        gossip=gossip.variance_corrected(
            operators[averaging], self_weight=self_weight, correct=averaging == "corrected"
        ),
        sample=data.minibatches(config.batch),
    )
    evaluate_accuracy = learning.evaluation(model, test)

    def evaluate(state: learning.LearnerState) -> dict[str, jax.Array]:
        kernel = _first_kernel(state.params)
        return {
            "accuracy": jnp.mean(evaluate_accuracy(state).accuracy),
            "variance": jnp.mean(gossip.layer_variance(kernel)),
            "correlation": _correlation(kernel),
        }

    initial = learner.init(params)
    before = evaluate(initial)
    _, records = rollout(
        learner.step,
        initial,
        config.ticks,
        key=key,
        inputs=replace(samples, **partition),
        every=config.every,
        evaluate=evaluate,
    )
    return jax.tree.map(
        lambda first, rest: jnp.concatenate([first[None], rest]), before, records.evaluation
    )


def _partitions(config: Config, train: data.Dataset) -> dict[bool, dict[str, jax.Array]]:
    """Partitions of every seed, IID (``True``) and non-IID (``False``), padded to one width.

    Each is ``indices`` and ``mask`` ``[S, N, M]`` and ``counts [S, N]``.
    """
    seeds = [config.seed * 1000 + index for index in range(config.seeds)]
    partitions = {
        True: [data.iid(train.labels, config.agents, seed=seed) for seed in seeds],
        False: [
            data.dirichlet_over_agents(train.labels, config.agents, seed=seed, alpha=config.alpha)
            for seed in seeds
        ],
    }
    width = max(part.capacity for parts in partitions.values() for part in parts)

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(np.asarray(array), ((0, 0), (0, width - np.shape(array)[1])))

    return {
        iid: {
            "indices": jnp.stack([padded(part.indices) for part in parts]),
            "mask": jnp.stack([padded(part.mask) for part in parts]),
            "counts": jnp.stack([np.asarray(part.counts) for part in parts]),
        }
        for iid, parts in partitions.items()
    }


def _first_kernel(params: Any) -> jax.Array:
    """Weights of the first dense layer of every agent, ``[..., N, inputs, outputs]``."""
    return params["Dense_0"]["kernel"]


def _shrinkage(kernel: jax.Array) -> jax.Array:
    """Variance of the average of the agents' layers as a fraction of the mean of theirs."""
    averaged = gossip.layer_variance(jnp.mean(kernel, axis=0, keepdims=True))[0]
    return averaged / jnp.mean(gossip.layer_variance(kernel))


def _correlation(kernel: jax.Array) -> jax.Array:
    """Mean correlation between the weights of two agents, over all pairs, in ``O(N P)``."""
    flat = kernel.reshape(kernel.shape[0], -1)
    flat = flat - jnp.mean(flat, axis=1, keepdims=True)
    unit = flat / jnp.linalg.norm(flat, axis=1, keepdims=True)
    n = kernel.shape[0]
    return (jnp.sum(jnp.square(jnp.sum(unit, axis=0))) - n) / (n * (n - 1))
