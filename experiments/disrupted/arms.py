"""DecAvg on Barabási-Albert graphs from which agents disappear, with and without their data.

Every agent starts from its own random model, averages with its neighbours, then trains. In a given
round a fraction of the agents disappears with all its links. Arms differ in which agents disappear
(the hubs, which have the most links, or as many random ones) and in whether these held data:

* *links*: they never held any; their share of the data is distributed among the others, so that
  the total is the same and only links are lost;
* *links and data*: they hold the same share as all agents, which is lost with them;
* *disproportionate*: they hold four times the share (an extension of the follow-up study).

Averages weigh neighbours uniformly: weights by number of samples would ignore hubs without data
(``--weighting size`` shows it). Independent initial models are the paper's setting and a confound
(averaging independent models shrinks the variance of their weights), so that every arm is run again
from one common initial model. Scores are those of the survivors only.

Local training is ten SGD steps per round at learning rate 0.3, chosen on other seeds so that the
undisturbed network learns within the rounds (with five full-batch steps at 0.2 it was still on the
plateau that averaging independent models causes). Agents hold 24 samples: with 8, an agent that is
cut off lives on its own few, and hubs without data leave every survivor a quarter more of them,
which inflates the effect of the data.

Shapes: ``S`` seeds, ``N`` agents, ``R`` evaluations.

References:
    L. Palmieri, C. Boldrini, L. Valerio, A. Passarella, M. Conti, Exploring the impact of disrupted
    peer-to-peer communications on fully decentralized learning in disaster scenarios, 2023.
    L. Palmieri et al., Robustness of decentralised learning to nodes and data disruption, 2024
    (extensions).
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.disrupted.config import Config
from experiments.disrupted.partitions import class_balanced
from experiments.harness.protocol import Results
from jaxswarm import agents, data, gossip, learning, models, network, rollout, topology
from jaxswarm.systems import disrupted

DISPROPORTIONATE = 4  # samples of a hub as a multiple of those of any other agent
LARGEST_DENSE = 512  # number of agents up to which the mixing matrix is stored as a dense array


class Shared(NamedTuple):
    """What all arms share.

    Attributes:
        train: the training set.
        keys: ``[S]`` keys of the runs.
        own: independent initial models, leaves ``[S, N, ...]``.
        common: one initial model for all agents of a seed, leaves ``[S, N, ...]``.
        run_seeds: ``(mixing, removed, time, partition, initial, keys) -> accuracy [S, R, N]``.
    """

    train: data.Dataset
    keys: jax.Array
    own: Any
    common: Any
    run_seeds: Callable[..., jax.Array]


class Arm(NamedTuple):
    """One way to disrupt the network, for all seeds.

    Attributes:
        mixing: weights of the averages, stacked over seeds.
        removed: ``bool[S, N]``: agents that disappear.
        time: round in which they disappear.
        partition: which samples the agents hold.
        initial: initial models, leaves ``[S, N, ...]``.
        components: ``int[S, N]``: connected component of each survivor, -1 for removed agents.
    """

    mixing: gossip.Mixing
    removed: np.ndarray
    time: int
    partition: dict[str, jax.Array]
    initial: Any
    components: np.ndarray


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Train all arms.

    Returns:
        ``round [R]``; ``degrees``: ``m=...`` -> ``[S, N]``; and ``arms``: name -> ``accuracy``
        ``[S, R, N]`` (test accuracy of every agent), ``alive`` ``bool[S, N]`` (survivors) and
        ``component [S, N]``.
    """
    shared = _share(config)
    results: Results = {
        "round": np.arange(config.every, config.rounds + 1, config.every),
        "degrees": {},
        "arms": {},
    }
    for m in config.attachments:
        graphs = [
            topology.barabasi_albert(config.agents, m, seed=config.seed * 1000 + seed)
            for seed in range(config.seeds)
        ]
        results["degrees"][f"m={m}"] = np.stack([np.asarray(g.in_degrees()) for g in graphs])
        for group, arms in _groups_of_arms(config, shared, m, graphs):
            progress(group)
            for name, arm in arms.items():
                results["arms"][name] = _run_arm(shared, arm)
    return results


def _share(config: Config) -> Shared:
    split = data.load(config.data, path=config.path)
    model = models.functional(
        models.mlp(*config.hidden, split.train.num_classes), split.train.features[:1]
    )
    samples = data.shards(split.train, data.iid(split.train.labels, 1))
    key = jax.random.key(config.seed)
    keys = jnp.stack([jax.random.fold_in(key, seed) for seed in range(config.seeds)])
    own = jax.jit(jax.vmap(lambda k: agents.initialize(k, model.init, config.agents)))(keys)
    common = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[:, :1], leaf.shape), own)
    run_seeds = jax.jit(
        jax.vmap(partial(_run_seed, config, model), (None, None, 0, 0, None, 0, 0, 0))
    )
    return Shared(split.train, keys, own, common, partial(run_seeds, samples, split.test))


def _groups_of_arms(
    config: Config, shared: Shared, m: int, graphs: list[topology.Topology]
) -> Iterator[tuple[str, dict[str, Arm]]]:
    """All arms on the graphs with ``m`` links per new node, by group: undisturbed, each share."""
    equal = class_balanced(config, shared.train, [None] * config.seeds)
    mixing = _mixing(config, graphs, equal)
    none_removed = np.zeros((config.seeds, config.agents), bool)
    undisturbed = Arm(mixing, none_removed, 0, equal, shared.own, _components(graphs, none_removed))
    yield (
        f"m={m}, undisturbed",
        {
            f"m={m} undisturbed": undisturbed,
            f"m={m} undisturbed, common start": undisturbed._replace(initial=shared.common),
            f"m={m} alone": undisturbed._replace(mixing=_isolated(mixing)),
        },
    )
    for share in config.shares:
        name = f"m={m} q={share:g}"
        yield name, _removals(config, shared, name, share, graphs, undisturbed)


def _removals(
    config: Config,
    shared: Shared,
    name: str,
    share: float,
    graphs: list[topology.Topology],
    undisturbed: Arm,
) -> dict[str, Arm]:
    """The arms in which a ``share`` of the agents disappears; more of them for the first share."""
    first, *later = config.times
    hubs = np.stack([np.asarray(network.hubs(graph, share)) for graph in graphs])
    random = np.stack(
        [
            np.asarray(network.random_victims(jax.random.fold_in(key, 7), config.agents, share))
            for key in shared.keys
        ]
    )
    dataless = class_balanced(config, shared.train, hubs)
    dataless_mixing = _mixing(config, graphs, dataless)
    links_and_data = undisturbed._replace(
        removed=hubs, time=first, components=_components(graphs, hubs)
    )
    links = links_and_data._replace(mixing=dataless_mixing, partition=dataless)
    arms = {
        f"{name} links": links,
        f"{name} links and data": links_and_data,
        f"{name} random": undisturbed._replace(
            removed=random, time=first, components=_components(graphs, random)
        ),
        f"{name} links, common start": links._replace(initial=shared.common),
        f"{name} links and data, common start": links_and_data._replace(initial=shared.common),
    }
    if share == config.shares[0]:
        heavy = class_balanced(config, shared.train, hubs, share=DISPROPORTIONATE)
        arms[f"{name} no removal, hubs without data"] = undisturbed._replace(
            mixing=dataless_mixing, partition=dataless
        )
        arms[f"{name} disproportionate"] = links_and_data._replace(
            mixing=_mixing(config, graphs, heavy), partition=heavy
        )
        for time in later:
            arms[f"{name} links and data, at {time}"] = links_and_data._replace(time=time)
    return arms


def _run_arm(shared: Shared, arm: Arm) -> dict[str, np.ndarray]:
    accuracy = shared.run_seeds(
        arm.mixing,
        jnp.asarray(arm.removed),
        jnp.int32(arm.time),
        arm.partition,
        arm.initial,
        shared.keys,
    )
    return {
        "accuracy": np.asarray(accuracy),
        "alive": ~arm.removed,
        "component": arm.components,
    }


def _run_seed(
    config: Config,
    model: models.Model,
    samples: data.Shards,
    test: data.Dataset,
    mixing: gossip.Mixing,
    removed: jax.Array,
    time: jax.Array,
    partition: dict[str, jax.Array],
    initial: Any,
    key: jax.Array,
) -> jax.Array:
    """Train one seed of one arm; test accuracy of every agent, ``[R, N]``."""
    evaluate = learning.evaluation(model, test, chunk=min(config.agents, 250))
    learner = disrupted.decavg(
        learning.classification_loss(model),
        mixing,
        local=optax.sgd(config.lr),
        local_steps=config.local_steps,
        sample=data.minibatches(config.batch),
        network=network.disaster(removed, time),
    )
    _, records = rollout(
        learner.step,
        learner.init(initial),
        config.rounds,
        key=key,
        inputs=replace(samples, **partition),
        every=config.every,
        evaluate=lambda state: evaluate(state).accuracy,
    )
    return records.evaluation


def _mixing(
    config: Config, graphs: list[topology.Topology], partition: dict[str, jax.Array]
) -> gossip.Mixing:
    """DecAvg's weights on the graph of every seed, stacked over seeds."""
    layout = "dense" if config.agents <= LARGEST_DENSE else "segment"
    by_seed = [
        disrupted.decavg_mixing(graph, config.weighting, counts, layout=layout)
        for graph, counts in zip(graphs, np.asarray(partition["counts"]), strict=True)
    ]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *by_seed)


def _isolated(mixing: gossip.Mixing) -> gossip.Mixing:
    """The same operator, stacked over seeds, with all weight on an agent's own model."""
    restricted = jax.vmap(lambda w: w.restrict(jnp.zeros(w.num_agents, bool), None))(mixing)
    return replace(restricted, stochasticity=mixing.stochasticity)


def _components(graphs: list[topology.Topology], removed: np.ndarray) -> np.ndarray:
    """``int[S, N]``: connected component of every survivor, -1 for removed agents."""
    return np.stack(
        [topology.components(g, ~flags) for g, flags in zip(graphs, removed, strict=True)]
    )
