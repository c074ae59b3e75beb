"""What the DIMAT experiment runs: pre-trained agents, and every arm on from there.

Shapes: ``S`` seeds, ``N`` agents, ``M`` samples of one agent, ``T`` cycles of merging and training.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import agents, data, errors, gossip, learning, models, rollout, topology
from jaxswarm.algorithm import Algorithm
from jaxswarm.learning import matching

if TYPE_CHECKING:
    from experiments.dimat import Config

GRAPHS: dict[str, Callable[[int], topology.Topology]] = {
    "ring": topology.ring,
    "complete": topology.complete,
}
DEALS = {"IID": data.iid, "disjoint": data.disjoint_classes}
MERGING = ("DIMAT", "DIMAT, local data", "WA", "WM")
PER_CYCLE = (*MERGING, "CDSGD", "SGP")
"""Arms that exchange models once a cycle; the others do so after every gradient step."""
ARMS = (*PER_CYCLE, "CDSGD, every step", "CGA, every step")


class Bench(NamedTuple):
    """What all arms share.

    Attributes:
        module: the network.
        model: as pure functions.
        spec: its interchangeable units.
        split: the data.
        proxy: ``[num_batches, B, ...]``, the whole training set: shared inputs to match on.
        steps: optimiser steps of one cycle.
    """

    module: models.MLP | models.CNN
    model: models.Model
    spec: matching.PermutationSpec
    split: data.Split
    proxy: jax.Array
    steps: int


def bench(config: "Config") -> Bench:
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
    size = share(config, split)
    batches = max(1, min(len(split.train.labels), config.proxy) // config.batch)
    rows = np.random.default_rng(config.seed).permutation(len(split.train.labels))
    proxy = split.train.features[rows[: batches * config.batch]]
    return Bench(
        module,
        model,
        matching.permutation_spec(module, *shapes),
        split,
        jnp.asarray(proxy.reshape(batches, config.batch, *proxy.shape[1:])),
        config.epochs * -(-size // config.batch),
    )


def share(config: "Config", split: data.Split) -> int:
    """``M``: samples of each agent, the same in every deal and seed."""
    deals = [deal(split.train.labels, config.shares, seed=0) for deal in DEALS.values()]
    return min(int(np.asarray(dealt.counts).min()) for dealt in deals)


def shards(config: "Config", split: data.Split, deal: str) -> data.Shards:
    """``S`` deals, leaves ``[S, ...]``: agent ``i`` holds share ``i mod shares``."""
    size = share(config, split)
    dealt = [
        data.shards(
            split.train,
            data.truncated(DEALS[deal](split.train.labels, config.shares, seed=seed), size),
        )
        for seed in range(config.seed, config.seed + config.seeds)
    ]
    owner = jnp.arange(config.agents) % config.shares
    stacked = agents.stack(dealt)
    return data.Shards(
        features=stacked.features,
        labels=stacked.labels,
        indices=stacked.indices[:, owner],
        mask=stacked.mask[:, owner],
        counts=stacked.counts[:, owner],
    )


def own_batches(config: "Config", held: data.Shards) -> jax.Array:
    """``[N, num_batches, B, ...]``: what each agent holds, in batches for matching."""
    size = held.indices.shape[1]
    width = min(size, config.batch)
    rows = held.indices[:, : size // width * width].reshape(len(held.indices), -1, width)
    return held.features[rows]


def pretrain(config: "Config", setup: Bench, key: jax.Array, held: data.Shards) -> Any:
    """Every agent alone, from an initialisation of its own: ``(params, stats)``."""
    init_key, run_key = jax.random.split(key)
    learner = learning.decentralized(
        learning.classification_loss(setup.model),
        local=optax.adam(config.lr),
        gossip=gossip.none(),
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


def score(setup: Bench, params: Any, stats: Any) -> jax.Array:
    """``[N]``: accuracy of each agent on the common test set."""
    test = setup.split.test

    def one(pair: tuple[Any, Any]) -> jax.Array:
        logits = setup.model.apply(pair[0], test.features, pair[1] or None)
        return models.accuracy(logits, test.labels)

    return jax.lax.map(one, (params, stats), batch_size=64)


def learner(config: "Config", setup: Bench, graph: topology.Topology, arm: str) -> Algorithm:
    """An arm's algorithm."""
    loss = learning.classification_loss(setup.model)
    sample = data.minibatches(config.batch)
    if arm not in ARMS:
        raise errors.unknown("arm", arm, ARMS)
    sgd = optax.sgd(config.sgd_lr, config.momentum)
    if arm == "CGA, every step":
        return learning.cross_gradient(loss, graph, local=sgd, sample=sample, weights="uniform")
    if arm not in MERGING:
        pushing = arm == "SGP"
        return learning.decentralized(
            loss,
            local=sgd,
            gossip=gossip.push_sum(gossip.mixing(graph, "push"))
            if pushing
            else gossip.averaging(gossip.mixing(graph, "uniform")),
            local_steps=setup.steps if arm in PER_CYCLE else 1,
            sample=sample,
            order="adapt_then_combine" if pushing else "parallel",
            stateful=setup.model.has_stats,
        )

    def match_data(key: jax.Array, held: data.Shards) -> matching.Proxy | matching.Local:
        del key
        if arm == "DIMAT, local data":
            return matching.Local(own_batches(config, held))
        return matching.Proxy(setup.proxy)

    return matching.merge_and_train(
        loss,
        model=setup.model,
        local=optax.adam(config.lr) if config.as_published else sgd,
        gossip=matching.matched_averaging(
            graph,
            setup.spec,
            _matcher(setup, arm),
            weights="uniform",
            basis="first" if graph.name.startswith("complete") else "own",
            chunk=config.chunk,
        ),
        local_steps=setup.steps,
        sample=sample,
        match_data=match_data,
        fresh_optimizer=config.as_published,
        watch=lambda params, stats: jnp.mean(score(setup, params, stats)),
    )


def follow(
    config: "Config", setup: Bench, arm: str, made: Algorithm
) -> Callable[..., dict[str, jax.Array]]:
    """One arm from pre-trained agents, of one seed: ``(key, (params, stats), shards) -> found``.

    What is found, ``[T]`` each: ``accuracy`` at the end of each cycle, ``transfers`` so far, and,
    for arms that merge and then train, ``merged``: the accuracy between the two.
    """
    per_cycle = 1 if arm in PER_CYCLE else setup.steps

    def look(state: Any) -> Any:
        accuracy = jnp.mean(score(setup, state.params, state.model_state or {}))
        return accuracy, state.traffic.total.messages

    def one(key: jax.Array, start: tuple[Any, Any], held: data.Shards) -> dict[str, jax.Array]:
        state = made.init(*start) if setup.model.has_stats else made.init(start[0])
        _, records = rollout(
            made.step,
            state,
            config.cycles * per_cycle,
            key=key,
            inputs=held,
            every=per_cycle,
            evaluate=look,
        )
        accuracy, transfers = records.evaluation
        found = {"accuracy": accuracy, "transfers": transfers}
        return found | ({"merged": records.info.merged} if arm in MERGING else {})

    return one


def own_copy(setup: Bench, key: jax.Array, params: Any) -> dict[str, jax.Array]:
    """Match a model with its own copy in another order of units, and merge the two.

    Returns:
        ``recovered``, the share of units that find their place, and ``gap``, the largest change of
        a parameter, both matched before rectification, where no unit is silent; ``firing``, the
        share of the units that ever fire that find their place when matched as DIMAT does.
    """
    groups = matching.sizes(matching.PermutationSpec(setup.spec.params), params)
    orders = matching.random_permutations(key, groups)
    copy = matching.permute(params, orders, setup.spec.params)
    wanted = matching.invert(orders)
    x = setup.proxy

    def back(activated: bool) -> matching.Permutations:
        others = jax.tree.map(lambda leaf: leaf[None], copy)
        found = _by_activations(setup, activated).match(setup.spec, params, others, x)
        return {name: order[0] for name, order in found.items()}

    linear, rectified = back(False), back(True)
    aligned = matching.permute(copy, linear, setup.spec.params)
    gaps = jax.tree.map(lambda a, b: jnp.max(jnp.abs(a - 0.5 * (a + b))), params, aligned)
    stats = setup.model.recalibrate(params, x)
    seen = matching.features_of(setup.module)(params, stats, x.reshape(-1, *x.shape[2:]))
    fires = {name: jnp.max(jnp.abs(seen[name]).reshape(-1, groups[name]), axis=0) for name in seen}
    alive = jnp.concatenate([fires[g] > 0 for g in groups])
    right = jnp.concatenate([rectified[g] == wanted[g] for g in groups])
    return {
        "recovered": jnp.mean(jnp.concatenate([linear[g] == wanted[g] for g in groups])),
        "gap": jnp.max(jnp.stack(jax.tree.leaves(gaps))),
        "firing": jnp.sum(right & alive) / jnp.sum(alive),
    }


def _matcher(setup: Bench, arm: str) -> matching.Matcher:
    if arm == "WA":
        return matching.unmatched()
    if arm == "WM":
        return matching.weight_matching()
    return _by_activations(setup, True)


def _by_activations(setup: Bench, activated: bool) -> matching.Matcher:
    return matching.activation_matching(
        matching.features_of(setup.module, activated=activated),
        recalibrate=setup.model.recalibrate if setup.model.has_stats else None,
    )
