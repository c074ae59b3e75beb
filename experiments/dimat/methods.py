"""Learning algorithms of the DIMAT experiment, and the matching of a model with its own copy.

Shapes: ``N`` agents, ``T`` cycles of merging and training.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from experiments.dimat.config import ARMS, MERGING, PER_CYCLE, Config
from experiments.dimat.setup import Setup, own_batches, score
from jaxswarm import data, errors, gossip, learning, rollout, topology
from jaxswarm.algorithm import Algorithm
from jaxswarm.learning import matching


def learner(config: Config, setup: Setup, graph: topology.Topology, arm: str) -> Algorithm:
    """The algorithm of an arm.

    Raises:
        ValueError: if ``arm`` is not one of ``ARMS``.
    """
    if arm not in ARMS:
        raise errors.unknown("arm", arm, ARMS)
    if arm in MERGING:
        return _merging_learner(config, setup, graph, arm)
    loss = learning.classification_loss(setup.model)
    sample = data.minibatches(config.batch)
    sgd = optax.sgd(config.sgd_lr, config.momentum)
    if arm == "CGA, every step":
        return learning.cross_gradient(loss, graph, local=sgd, sample=sample, weights="uniform")
    push_sum = arm == "SGP"
    return learning.decentralized(
        loss,
        local=sgd,
        gossip=gossip.push_sum(gossip.mixing(graph, "push"))
        if push_sum
        else gossip.averaging(gossip.mixing(graph, "uniform")),
        local_steps=setup.steps if arm in PER_CYCLE else 1,
        sample=sample,
        order="adapt_then_combine" if push_sum else "parallel",
        stateful=setup.model.has_stats,
    )


def _merging_learner(config: Config, setup: Setup, graph: topology.Topology, arm: str) -> Algorithm:
    """Merge with the neighbours' matched models, then train."""

    def match_data(
        key: jax.Array, held: data.Shards
    ) -> matching.SharedInputs | matching.LocalInputs:
        del key
        if arm == "DIMAT, local data":
            return matching.LocalInputs(own_batches(config, held))
        return matching.SharedInputs(setup.proxy)

    return matching.merge_and_train(
        learning.classification_loss(setup.model),
        model=setup.model,
        local=optax.adam(config.lr)
        if config.as_published
        else optax.sgd(config.sgd_lr, config.momentum),
        gossip=matching.matched_averaging(
            graph,
            setup.spec,
            _matcher(setup, arm),
            weights="uniform",
            basis="first" if graph.name.startswith("complete") else "own",
            chunk=config.chunk,
        ),
        local_steps=setup.steps,
        sample=data.minibatches(config.batch),
        match_data=match_data,
        fresh_optimizer=config.as_published,
        watch=lambda params, stats: jnp.mean(score(setup, params, stats)),
    )


def follow(
    config: Config, setup: Setup, arm: str, algorithm: Algorithm
) -> Callable[..., dict[str, jax.Array]]:
    """Run of one seed of an arm from pre-trained agents.

    Returns:
        ``(key, (params, stats), shards) -> curves``, ``[T]`` each: ``accuracy``, mean over agents
        at the end of each cycle; ``transfers``, models sent so far; and, for arms that merge and
        then train, ``merged``, the accuracy between the two.
    """
    steps_per_cycle = 1 if arm in PER_CYCLE else setup.steps

    def evaluate(state: Any) -> tuple[jax.Array, jax.Array]:
        accuracy = jnp.mean(score(setup, state.params, state.model_state or {}))
        return accuracy, state.traffic.total.messages

    def run_seed(
        key: jax.Array, initial: tuple[Any, Any], held: data.Shards
    ) -> dict[str, jax.Array]:
        has_stats = setup.model.has_stats
        state = algorithm.init(*initial) if has_stats else algorithm.init(initial[0])
        _, records = rollout(
            algorithm.step,
            state,
            config.cycles * steps_per_cycle,
            key=key,
            inputs=held,
            every=steps_per_cycle,
            evaluate=evaluate,
        )
        accuracy, transfers = records.evaluation
        curves = {"accuracy": accuracy, "transfers": transfers}
        return curves | ({"merged": records.info.merged} if arm in MERGING else {})

    return run_seed


def match_own_copy(setup: Setup, key: jax.Array, params: Any) -> dict[str, jax.Array]:
    """Match a model with its own copy in a random order of units, and merge the two.

    Returns:
        ``recovered``, the fraction of units that are matched to themselves, and ``gap``, the
        largest change of a parameter, both matched before rectification, where every unit is
        active; ``firing``, the fraction of the units that are ever active after rectification that
        are matched to themselves when matched as DIMAT does.
    """
    groups = matching.sizes(matching.PermutationSpec(setup.spec.params), params)
    orders = matching.random_permutations(key, groups)
    copy = matching.permute(params, orders, setup.spec.params)
    expected = matching.invert(orders)
    x = setup.proxy

    def match(activated: bool) -> matching.Permutations:
        others = jax.tree.map(lambda leaf: leaf[None], copy)
        found = _activation_matcher(setup, activated).match(setup.spec, params, others, x)
        return {name: order[0] for name, order in found.items()}

    linear, rectified = match(False), match(True)
    aligned = matching.permute(copy, linear, setup.spec.params)
    gaps = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - 0.5 * (a + b))), params, aligned)
    stats = setup.model.recalibrate(params, x)
    activations = matching.features_of(setup.module)(params, stats, x.reshape(-1, *x.shape[2:]))
    largest = {
        name: jnp.max(jnp.abs(activations[name]).reshape(-1, groups[name]), axis=0)
        for name in activations
    }
    active = jnp.concatenate([largest[g] > 0 for g in groups])
    right = jnp.concatenate([rectified[g] == expected[g] for g in groups])
    return {
        "recovered": jnp.mean(jnp.concatenate([linear[g] == expected[g] for g in groups])),
        "gap": jnp.max(jnp.stack(jax.tree.leaves(gaps))),
        "firing": jnp.sum(right & active) / jnp.sum(active),
    }


def _matcher(setup: Setup, arm: str) -> matching.Matcher:
    if arm == "WA":
        return matching.no_matching()
    if arm == "WM":
        return matching.weight_matching()
    return _activation_matcher(setup, True)


def _activation_matcher(setup: Setup, activated: bool) -> matching.Matcher:
    """Matching by activations, after (``activated``) or before the nonlinearity."""
    return matching.activation_matching(
        matching.features_of(setup.module, activated=activated),
        recalibrate=setup.model.recalibrate if setup.model.has_stats else None,
    )
