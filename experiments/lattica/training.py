"""D-PSGD and MoDeST over a transport: latencies, bytes and pairs that do not connect.

Shapes: ``S`` seeds, ``L`` transports, ``N`` agents, ``E`` edges, ``R`` rounds.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.harness.compile import jit_fast_compile
from experiments.lattica.config import Config
from experiments.lattica.world import FAST, earth, population, seed_keys
from jaxswarm import agents, data, gossip, learning, models, rollout, topology
from jaxswarm.network import transport
from jaxswarm.systems import modest
from jaxswarm.topology import Topology

IDEAL, NO_TRAVERSAL, PUNCHING, RELAY = TRANSPORTS = (
    "ideal network", "no traversal", "hole punching", "relay",
)  # fmt: skip
_LEVELS = {NO_TRAVERSAL: "none", PUNCHING: "hole_punching", RELAY: "relay"}
HIDDEN, LEARNING_RATE, BATCH, LOCAL_STEPS, DEGREE = 32, 0.5, 20, 2, 6
LOSS = 0.01  # share of the messages lost on their way


def run(config: Config) -> dict[str, Any]:
    """Train with both methods over every transport.

    Returns:
        ``dpsgd`` and ``modest``: name of a transport -> ``accuracy [S]`` at the end, ``bytes [S]``,
        ``seconds [S]`` simulated; D-PSGD also ``stands [S]`` and ``relayed [S]``, shares of the
        edges, and ``arrived [S]``, of the messages; MoDeST also ``stalled [S]``, share of the
        rounds, and no ideal network, which all pairs reach as they do over relays.
    """
    split = data.load("digits")
    classes = split.train.num_classes
    model = models.functional(models.mlp(HIDDEN, classes), split.train.features[:1])
    parts = [
        data.dirichlet_over_agents(
            split.train.labels, config.agents, alpha=config.alpha, seed=config.seed * 1000 + i,
            max_draws=1000,
        )
        for i in range(config.train_seeds)
    ]  # fmt: skip
    width = max(part.capacity for part in parts)

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(np.asarray(array), ((0, 0), (0, width - np.shape(array)[1])))

    partition = {
        "indices": np.stack([padded(part.indices) for part in parts]),
        "mask": np.stack([padded(part.mask) for part in parts]),
        "counts": np.stack([np.asarray(part.counts) for part in parts]),
    }
    setup = (config, model, split)
    dpsgd, modest_runs = _dpsgd(*setup, partition), _modest(*setup, partition)
    return {"dpsgd": dpsgd, "modest": modest_runs}


def connections(
    config: Config, graph: Topology, num_bytes: float, seeds: int
) -> tuple[transport.Links, dict[str, np.ndarray]]:
    """Links of every transport and seed, ``[L, S, E]``, and shares ``[L, S]``."""
    where = earth(config)

    def one(key: jax.Array, level: str) -> tuple[jax.Array, ...]:
        own = jax.random.split(key, 3)
        found = population(config, own[0], graph.num_agents)
        made = transport.links(own[1], graph, found, where, level=level, message_bytes=num_bytes)
        return made.direct, made.relayed, made.round_trip, made.seconds

    keys = seed_keys(config, 7)[:seeds]
    by_level = [
        jit_fast_compile(jax.vmap(lambda k, v=level: one(k, v)), **FAST)(keys)
        for level in _LEVELS.values()
    ]
    yes = jnp.ones_like(by_level[0][0])
    ideal = (yes, ~yes, 0.0 * by_level[0][2], 0.0 * by_level[0][3])
    direct, relayed, trip, seconds = (jnp.stack(x) for x in zip(ideal, *by_level, strict=True))
    shares = {
        "stands": np.asarray((direct | relayed).mean(axis=2)),
        "relayed": np.asarray(relayed.mean(axis=2)),
    }
    return transport.Links(graph, direct, relayed, trip, seconds, where.jitter), shares


def _parts(config: Config, model: models.Model, split: Any) -> tuple[Any, Any, Any]:
    """Samples to put partitions into, a score, and what local training needs."""
    samples = data.shards(split.train, data.iid(split.train.labels, 1))

    def score(params: Any) -> jax.Array:
        predicted = jnp.argmax(model.apply(params, split.test.features), axis=-1)
        return jnp.mean(predicted == jnp.asarray(split.test.labels))

    options = {
        "local": optax.sgd(LEARNING_RATE),
        "local_steps": LOCAL_STEPS,
        "sample": data.minibatches(BATCH),
    }
    return samples, score, options


def _dpsgd(config: Config, model: Any, split: Any, partition: Any) -> dict[str, Any]:
    graph = topology.random_regular(config.agents, min(DEGREE, config.agents - 2), seed=config.seed)
    rule = gossip.averaging(gossip.mixing(graph))
    samples, score, options = _parts(config, model, split)
    initial = model.init(jax.random.key(config.seed))
    size = agents.message_size(agents.broadcast(initial, 1))[1]
    made, shares = connections(config, graph, float(size), config.train_seeds)

    def one(key: jax.Array, shard: Any, own: tuple) -> dict[str, jax.Array]:
        links = transport.Links(graph, *own, made.jitter)
        process = transport.over(links, round_seconds=config.round_seconds, loss=LOSS)
        algorithm = learning.decentralized(
            learning.classification_loss(model), gossip=rule, network=process, **options
        )
        state, _ = rollout(
            algorithm.step,
            algorithm.init(agents.broadcast(model.init(jax.random.fold_in(key, 0)), config.agents)),
            config.rounds,
            key=jax.random.fold_in(key, 1),
            inputs=data.Shards(samples.features, samples.labels, **shard),
        )
        arrived = jax.vmap(
            lambda i: process.step(jax.random.fold_in(key, i), (), i)[1].delivered.mean()
        )(jnp.arange(50))
        accuracy = jnp.mean(jax.lax.map(score, state.params))
        return {
            "accuracy": accuracy,
            "bytes": state.traffic.total.bytes,
            "arrived": arrived.mean(),
        }

    arrays = (made.direct, made.relayed, made.round_trip, made.seconds)
    over = jax.vmap(jax.vmap(one), (None, None, 0))
    found = jit_fast_compile(over, **FAST)(
        seed_keys(config, 8)[: config.train_seeds],
        {k: jnp.asarray(v) for k, v in partition.items()},
        arrays,
    )
    found |= shares
    found["seconds"] = np.full(shares["stands"].shape, config.rounds * config.round_seconds)
    return _by_name(found)


def _modest(config: Config, model: Any, split: Any, partition: Any) -> dict[str, Any]:
    n = config.agents
    graph = topology.complete(n)
    samples, score, options = _parts(config, model, split)
    initial = model.init(jax.random.key(config.seed))
    size = agents.message_size(agents.broadcast(initial, 1))[1]
    made, shares = connections(config, graph, float(size), config.train_seeds)
    senders, receivers = jnp.asarray(graph.senders), jnp.asarray(graph.receivers)
    algorithm = modest.modest(
        learning.classification_loss(model), n, sample_size=config.sample, aggregators=3,
        success=0.5, inactivity=10 * n // config.sample, patience=1, **options,
    )  # fmt: skip

    def one(key: jax.Array, shard: Any, own: tuple) -> dict[str, jax.Array]:
        stands, seconds = own
        reachable = jnp.zeros((n, n), bool).at[receivers, senders].set(stands)
        takes = jnp.zeros((n, n)).at[receivers, senders].set(jnp.where(stands, seconds, 0.0))
        schedule = modest.always_online(config.rounds, n)._replace(reachable=reachable)
        shards = data.Shards(samples.features, samples.labels, **shard)

        def hop(one: jax.Array, other: jax.Array) -> jax.Array:
            return jnp.max(jnp.where(one[:, None] & other[None, :], takes, 0.0))

        def holders(state: Any) -> jax.Array:
            return (
                jnp.zeros(n, bool).at[jnp.maximum(state.aggregator, 0)].max(state.aggregator >= 0)
            )

        def step(state: Any, index: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            new, info = algorithm.step(jax.random.fold_in(key, index), state, (shards, schedule))
            spent = hop(holders(state), info.sampled) + hop(info.sampled, holders(new))
            return new, (info.stalled, spent)

        start = algorithm.init(model.init(jax.random.fold_in(key, 0)))
        state, (stalled, spent) = jax.lax.scan(step, start, jnp.arange(config.rounds))
        held = state.aggregator >= 0
        accuracy = jax.vmap(score)(state.aggregates)
        return {
            "accuracy": jnp.sum(jnp.where(held, accuracy, 0.0)) / jnp.maximum(jnp.sum(held), 1),
            "bytes": state.sent.total,
            "seconds": jnp.sum(spent),
            "stalled": jnp.mean(stalled.astype(jnp.float32)),
        }

    over = jax.vmap(jax.vmap(one), (None, None, 0))
    # All pairs of an ideal network can meet too: that run would be the one over relays.
    arrays = ((made.direct | made.relayed)[1:], made.seconds[1:])
    found = jit_fast_compile(over, **FAST)(
        seed_keys(config, 9)[: config.train_seeds],
        {k: jnp.asarray(v) for k, v in partition.items()},
        arrays,
    )
    return _by_name(found | {name: x[1:] for name, x in shares.items()}, TRANSPORTS[1:])


def _by_name(found: dict[str, Any], names: tuple[str, ...] = TRANSPORTS) -> dict[str, Any]:
    return {
        name: {what: np.asarray(x)[i] for what, x in found.items()} for i, name in enumerate(names)
    }
