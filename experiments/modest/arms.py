"""MoDeST against federated learning, D-SGD and gossip learning, without and with failures.

In a round of MoDeST a sample of the nodes trains, chosen by hash from membership views that are
sent with the models. *Federated learning* is the same sampling by a server that knows which nodes
are online; *D-SGD* trains all nodes in every round and exchanges over the one-peer exponential
graph; in *gossip learning* every node receives the model of one random other. Bytes are counted as
they are sent: models, views, pings, membership. The accuracy of MoDeST is that of its aggregates,
that of federated learning is the server's, and all others' is the mean over nodes.

In the crash arms 80 of 100 nodes crash before round 40, for good: either *between rounds*, when the
models of round 39 have been delivered, or *in flight*, while they are being sent. A round whose
sample is lost stalls for good, as published. In the join arm one node joins in round 20.

Learning rate 0.5 was chosen on other seeds so that all methods reach the target; everything else is
the paper's default or fixed before the first run.

Shapes: ``S`` seeds, ``R`` evaluations, ``N`` nodes, ``M`` samples of a node.

References:
    M. de Vos, A. Dhasade, A.-M. Kermarrec, E. Lavoie, J. Pouwelse, R. Sharma, MoDeST: Bridging the
    gap between federated and decentralized learning with decentralized sampling, 2023.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.protocol import Results
from experiments.modest import methods
from experiments.modest.config import Config
from experiments.modest.methods import Setup
from jaxswarm import data, gossip, models, network, topology
from jaxswarm.systems.modest import Membership, always_online, membership

# What a round of MoDeST reports beside its evaluation.
REPORTED = ("stalled", "pings", "failures", "completed", "sampled")


class Schedules(NamedTuple):
    """Which nodes are online, stacked over seeds.

    Attributes:
        calm: all nodes, always.
        between: nodes crash between two rounds.
        in_flight: nodes crash while models are being sent.
        join: the last node joins.
        survivors: only the nodes that do not crash, from the start.
    """

    calm: Membership
    between: Membership
    in_flight: Membership
    join: Membership
    survivors: Membership


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Train all arms.

    Returns:
        ``round [R]``; ``victims`` ``bool[S, N]``, the nodes that crash; and ``arms``: name ->
        ``accuracy`` and ``bytes`` (sent so far), ``[S, R]``. Arms of MoDeST also have ``kinds``
        (bytes by kind), ``disagreement`` (of the views), ``joiner_in_view`` ``[S, R, N]``,
        ``last_active`` ``[S, R, N]`` (the latest over all views), ``round``, and what a round
        reports (``REPORTED``).
    """
    setup = _setup(config)
    partitions = _partitions(config, setup.train)
    victims = np.stack(
        [
            np.asarray(
                network.random_victims(jax.random.fold_in(key, 3), config.agents, config.crashed)
            )
            for key in setup.keys
        ]
    )
    schedules = _schedules(config, victims)
    arms = _run_modest(config, setup, partitions, schedules, progress)
    arms |= _run_federated(config, setup, partitions, schedules, progress)
    arms |= _run_all_nodes(config, setup, partitions, schedules, progress)
    return {
        "round": np.arange(config.every, config.rounds + 1, config.every),
        "victims": victims,
        "arms": arms,
    }


def _run_modest(
    config: Config,
    setup: Setup,
    partitions: dict[str, dict[str, jax.Array]],
    schedules: Schedules,
    progress: Callable[[str], None],
) -> Results:
    """MoDeST by number of aggregators, on non-IID data, with crashes and with a joining node."""
    iid, skewed = partitions["iid"], partitions["skewed"]
    arms: Results = {}
    for a in config.aggregators:
        progress(f"modest, a={a}")
        run_seeds = methods.modest(config, setup, aggregators=a, success=1.0)
        arms[f"modest a={a}"] = _arrays(run_seeds(iid, schedules.calm))
        if a == config.aggregators[0]:
            arms[f"modest a={a}, non-IID"] = _arrays(run_seeds(skewed, schedules.calm))
        if a == config.aggregators[-1]:
            arms["crash in flight, sf=1"] = _arrays(run_seeds(iid, schedules.in_flight))
    progress("modest, crash")
    run_seeds = methods.modest(
        config, setup, aggregators=config.aggregators[-1], success=config.success
    )
    arms["crash"] = _arrays(run_seeds(iid, schedules.between))
    arms[f"crash in flight, sf={config.success:g}"] = _arrays(run_seeds(iid, schedules.in_flight))
    progress("modest, a joining node")
    run_seeds = methods.modest(
        config,
        setup,
        aggregators=config.aggregators[0],
        success=1.0,
        present=np.asarray(schedules.join.online[0, 0]),
    )
    arms["join"] = _arrays(run_seeds(iid, schedules.join))
    return arms


def _run_federated(
    config: Config,
    setup: Setup,
    partitions: dict[str, dict[str, jax.Array]],
    schedules: Schedules,
    progress: Callable[[str], None],
) -> Results:
    """Federated learning with all nodes, on non-IID data, and with the survivors only."""
    progress("federated learning")
    run_seeds = methods.federated(config, setup)
    return {
        "fl": _arrays(run_seeds(partitions["iid"], schedules.calm)),
        "fl, non-IID": _arrays(run_seeds(partitions["skewed"], schedules.calm)),
        "fl, survivors": _arrays(run_seeds(partitions["iid"], schedules.survivors)),
    }


def _run_all_nodes(
    config: Config,
    setup: Setup,
    partitions: dict[str, dict[str, jax.Array]],
    schedules: Schedules,
    progress: Callable[[str], None],
) -> Results:
    """D-SGD and gossip learning, in which all nodes train in every round."""
    n = config.agents
    rules = {
        "d-sgd": gossip.averaging(gossip.mixing(topology.one_peer_exponential(n), "uniform")),
        "gossip learning": gossip.averaging(gossip.random_neighbors(n, 1)),
    }
    arms: Results = {}
    for name, rule in rules.items():
        progress(name)
        run_seeds = methods.all_nodes(config, setup, rule)
        arms[name] = _arrays(run_seeds(partitions["iid"], schedules.calm))
        if name == "d-sgd":
            arms["d-sgd, non-IID"] = _arrays(run_seeds(partitions["skewed"], schedules.calm))
    return arms


def _arrays(records: tuple[Any, dict[str, jax.Array]]) -> dict[str, np.ndarray]:
    """Evaluation of an arm with what its rounds reported, as numpy arrays."""
    info, evaluation = records
    reported = {name: getattr(info, name) for name in REPORTED if hasattr(info, name)}
    return {name: np.asarray(value) for name, value in {**evaluation, **reported}.items()}


def _setup(config: Config) -> Setup:
    split = data.load(config.data, path=config.path)
    classes = split.train.num_classes
    base = jax.random.key(config.seed)
    return Setup(
        model=models.functional(models.mlp(*config.hidden, classes), split.train.features[:1]),
        train=split.train,
        test=split.test,
        samples=data.shards(split.train, data.iid(split.train.labels, 1)),
        keys=jax.vmap(lambda seed: jax.random.fold_in(base, seed))(jnp.arange(config.seeds)),
    )


def _schedules(config: Config, victims: np.ndarray) -> Schedules:
    """When nodes are online in each arm; ``victims`` ``bool[S, N]`` crash."""
    n, rounds = config.agents, config.rounds

    def repeated(schedule: Membership) -> Membership:
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * config.seeds), schedule)

    def crash(in_flight: bool) -> Membership:
        by_seed = [
            membership(
                network.fault_plan(
                    [(config.crash, "crash", int(node)) for node in np.flatnonzero(crashed)], n
                ),
                rounds,
                in_flight=in_flight,
            )
            for crashed in victims
        ]
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *by_seed)

    calm = repeated(always_online(rounds, n))
    joining = membership(network.fault_plan([(config.join, "join", n - 1)], n), rounds)
    return Schedules(
        calm=calm,
        between=crash(in_flight=False),
        in_flight=crash(in_flight=True),
        join=repeated(joining),
        survivors=calm._replace(
            online=jnp.asarray(np.repeat(~victims[:, None], rounds + 1, axis=1))
        ),
    )


def _partitions(config: Config, train: data.Dataset) -> dict[str, dict[str, jax.Array]]:
    """Partitions of every seed, IID and by a Dirichlet distribution, padded to one width.

    Each is ``indices`` and ``mask`` ``[S, N, M]`` and ``counts [S, N]``.
    """
    partitions: dict[str, list[data.Partition]] = {"iid": [], "skewed": []}
    for index in range(config.seeds):
        seed = config.seed * 1000 + index
        partitions["iid"].append(data.iid(train.labels, config.agents, seed=seed))
        partitions["skewed"].append(
            data.dirichlet_over_agents(
                train.labels, config.agents, alpha=config.alpha, seed=seed, max_draws=1000
            )
        )
    width = max(part.capacity for parts in partitions.values() for part in parts)

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(np.asarray(array), ((0, 0), (0, width - np.shape(array)[1])))

    return {
        name: {
            "indices": jnp.stack([padded(part.indices) for part in parts]),
            "mask": jnp.stack([padded(part.mask) for part in parts]),
            "counts": jnp.stack([np.asarray(part.counts) for part in parts]),
        }
        for name, parts in partitions.items()
    }
