"""Decentralized SGD on non-IID data under communication schedules with different timing.

Arms differ only in how many random neighbours an agent averages with in each round. Agents resample
their data from a class distribution of their own, ``Dirichlet(alpha)``. The *merged* model is the
average of all agents' parameters; it is evaluated at every record and written back only where the
schedule averages over all agents. All agents start from the same parameters, because merging needs
that, but for the arms named *own starts*, which must fail, or with ``--no-shared-init``.

Version 2 of the paper softens "match server-based training" to a significant improvement under high
data heterogeneity; the claims are about that. Its statement on the rate of convergence is not
tested.

Shapes: ``S`` seeds, ``R`` evaluations (the first before training).

References:
    T. Zhu, T. Zhang, M. Wang, Z. Zhou, C. Wang, A single merging suffices: recovering server-based
    learning performance in decentralized learning, 2025; from version 2 on: On the surprising
    effectiveness of a single global merging in decentralized learning, ICLR 2026.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.typing import ArrayLike

from experiments.harness.protocol import Results
from experiments.single_merging.config import Config
from jaxswarm import agents, data, gossip, learning, models, rollout
from jaxswarm.gossip import CommunicationSchedule, communication_schedule

# vmap axes of ClassShards: the samples are shared by all seeds, the class distributions are not.
_OVER_SEEDS = data.ClassShards(features=None, starts=None, counts=None, cumulative=0)


def window_arm(start: float) -> str:
    """Name of the arm whose dense communication window begins at ``start`` of the run."""
    return f"window {start:g}"


def schedules(config: Config) -> dict[str, CommunicationSchedule]:
    """Communication schedules by arm: the number of random neighbours in each round.

    ``constant, same budget`` spends on average per round what ``single merge`` spends in total.
    """
    all_others = config.agents - 1

    def fixed(neighbors: float) -> CommunicationSchedule:
        return communication_schedule("fixed", config.rounds, r=neighbors)

    def window(start: float) -> CommunicationSchedule:
        return communication_schedule(
            "dense_window",
            config.rounds,
            start=config.sparse,
            dense=all_others,
            point=start,
            width=config.width,
        )

    single_merge = communication_schedule(
        "truncate",
        config.rounds,
        start=config.sparse,
        end=all_others,
        point=1.0 - 1.0 / config.rounds,
    )
    arms = {
        "isolated": fixed(0.0),
        "sparse": fixed(config.sparse),
        "server": fixed(all_others),
        "single merge": single_merge,
        "constant, same budget": fixed(float(np.mean(single_merge.values))),
    }
    arms |= {window_arm(start): window(start) for start in config.starts}
    return arms | {own_starts(name): arms[name] for name in ("isolated", "single merge")}


def own_starts(arm: str) -> str:
    """Name of the same arm in which every agent starts from parameters of its own."""
    return f"{arm}, own starts"


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Train all arms on the same seeds with one compiled program.

    Returns:
        ``round [R]`` and ``arms``: name -> ``local`` (mean test accuracy of the agents' own
        models), ``merged`` (test accuracy of the average model), ``disagreement`` and
        ``transfers`` (models sent so far), each ``[S, R]``.
    """
    split = data.load(config.data, path=config.path)
    model = _model(config, split.train)
    arms = schedules(config)
    keys = jax.vmap(
        lambda seed: jax.random.split(jax.random.fold_in(jax.random.key(config.seed), seed), 3)
    )(jnp.arange(config.seeds))
    shards = jax.vmap(partial(_shards, config, split.train), out_axes=_OVER_SEEDS)(keys[:, 1])
    run_seed = partial(_run_seed, config, model, _most_neighbours(config, arms))
    run_seeds = jax.jit(jax.vmap(run_seed, (None, _OVER_SEEDS, None, 0, None)))
    results: Results = {"round": np.arange(0, config.rounds + 1, config.every), "arms": {}}
    for name, schedule in arms.items():
        progress(name)
        common = config.shared_init and name not in map(own_starts, arms)
        curves = run_seeds(schedule, shards, split.test, keys[:, ::2], common)
        results["arms"][name] = jax.tree.map(np.asarray, curves)
    return results


def _model(config: Config, train: data.Dataset) -> models.Model:
    classes = train.num_classes
    network = (
        models.mlp(*config.hidden, classes)
        if config.network == "mlp"
        else models.cnn(classes, channels=config.channels, widths=config.hidden, norm="group")
    )
    return models.functional(network, train.features[:1])


def _most_neighbours(config: Config, arms: dict[str, CommunicationSchedule]) -> int:
    """Largest number of random neighbours of any round that does not average over all agents."""
    return max(
        int(np.ceil(arm.values[arm.values < config.agents - 1].max(initial=0.0)))
        for arm in arms.values()
    )


def _shards(config: Config, train: data.Dataset, key: jax.Array) -> data.ClassShards:
    """Samples by class, with a random class distribution for each agent."""
    return data.class_shards(
        train, data.class_distributions(key, config.agents, train.num_classes, config.alpha)
    )


def _run_seed(
    config: Config,
    model: models.Model,
    most_neighbours: int,
    schedule: CommunicationSchedule,
    shards: data.ClassShards,
    test: data.Dataset,
    keys: jax.Array,
    common_start: ArrayLike,
) -> dict[str, jax.Array]:
    """Train one seed of one arm; accuracy, disagreement and models sent, ``[R]`` each."""
    init_key, run_key = keys
    learner = learning.decentralized(
        learning.classification_loss(model),
        local=optax.sgd(config.lr),
        gossip=gossip.random_gossip(config.agents, schedule, maximum=most_neighbours),
        local_steps=config.local_steps,
        sample=data.class_batches(config.batch),
    )
    own = agents.initialize(init_key, model.init, config.agents)
    params = jax.tree.map(lambda leaf: jnp.where(common_start, leaf[:1], leaf), own)
    state, evaluate = learner.init(params), learning.evaluation(model, test)
    before = evaluate(state)
    _, records = rollout(
        learner.step,
        state,
        config.rounds,
        key=run_key,
        inputs=shards,
        every=config.every,
        evaluate=evaluate,
    )
    scores = jax.tree.map(
        lambda first, rest: jnp.concatenate([first[None], rest]), before, records.evaluation
    )
    return {
        "local": jnp.mean(scores.accuracy, axis=1),
        "merged": scores.merged_accuracy,
        "disagreement": scores.disagreement,
        "transfers": scores.messages,
    }
