"""Symphony-Coord over a transport: requesters route tasks to workers behind NATs, by LinUCB.

Each requester runs alone: it is one node, its workers are the others.

Shapes: ``S`` seeds, ``L`` transports, ``M`` workers, ``T`` tasks.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.lattica.config import Config
from experiments.lattica.training import TRANSPORTS, connections
from experiments.lattica.world import FAST, seed_keys
from jaxswarm import coordination, topology
from jaxswarm.coordination import bandits
from jaxswarm.systems import symphony_coord

KINDS = 4  # task types
REQUEST_BYTES = 4096.0


def run(config: Config) -> dict[str, Any]:
    """Route tasks with LinUCB and at random over every transport.

    Returns:
        ``{policy: {transport: {"reward", "success", "latency", "messages", "unserved": [S]}}}``,
        means over tasks, latencies in ms of served ones; and ``reached {transport: [S]}``, share of
        the workers.
    """
    m = config.workers
    graph = topology.star(m + 1)
    made, _ = connections(config, graph, REQUEST_BYTES, config.seeds)
    receivers, senders = np.asarray(graph.receivers), np.asarray(graph.senders)
    edge = np.array([np.flatnonzero((receivers == 0) & (senders == 1 + i))[0] for i in range(m)])
    stands = (made.direct | made.relayed)[..., edge]
    answers = 1000.0 * 2.0 * made.seconds[..., edge]  # ms, there and back
    everyone = coordination.flood_search(graph, [0], range(1, m + 1), ttl=1)
    worker = np.asarray(everyone.worker)[0]

    def one(
        key: jax.Array, own: tuple, policy: jax.Array, alpha: jax.Array
    ) -> dict[str, jax.Array]:
        reached, away = own
        world = _world(jax.random.fold_in(key, 0), m, away)
        candidates = everyone._replace(valid=reached[worker][None])
        router = symphony_coord.router(
            candidates,
            bandits.linucb(symphony_coord.FEATURES, alpha=alpha),
            settings=symphony_coord.RouterSettings(latency_penalty=0.2),
        )

        def step(state: Any, index: jax.Array) -> tuple[Any, Any]:
            return router.step(jax.random.fold_in(key, 1), world, state, index, policy)

        _, info = jax.lax.scan(step, router.init(world), jnp.arange(config.tasks))
        served = info.worker[:, 0] >= 0
        return {
            "reward": info.reward.mean(),
            "success": info.success.mean(),
            "latency": jnp.sum(info.latency) / jnp.maximum(jnp.sum(served), 1),
            "messages": info.messages.mean(),
            "unserved": 1.0 - served.mean(),
        }

    policies = {"linucb": ("linucb", 1.0), "random": ("random", 1.0), "constant": ("linucb", 0.0)}
    names, alphas = zip(*policies.values(), strict=True)
    numbers = jnp.array([symphony_coord.POLICIES.index(name) for name in names])
    over = jax.vmap(one, (0, 0, None, None))
    over = jax.vmap(jax.vmap(over, (None, 0, None, None)), (None, None, 0, 0))
    found = jit_fast_compile(over, **FAST)(
        seed_keys(config, 10), (stands, answers), numbers, jnp.array(alphas)
    )
    return {
        "reached": dict(zip(TRANSPORTS, np.asarray(stands.mean(axis=2)), strict=True)),
        **{
            policy: {
                name: {what: np.asarray(x)[p, i] for what, x in found.items()}
                for i, name in enumerate(TRANSPORTS)
            }
            for p, policy in enumerate(policies)
        },
    }


def _world(key: jax.Array, m: int, away: jax.Array) -> symphony_coord.World:
    """Specialists that advertise their skills with noise, ``away`` ms from the requester."""
    keys = jax.random.split(key, 4)
    template = symphony_coord.world(
        coordination.workers(np.full((m, KINDS), 0.5)),
        np.full((m, KINDS), 0.5),
        types=np.full(KINDS, 1 / KINDS),
    )
    special = jax.nn.one_hot(jax.random.randint(keys[0], (m,), 0, KINDS), KINDS) > 0
    peak = jax.random.uniform(keys[1], (m, 1), minval=0.6, maxval=0.95)
    skill = jnp.where(special, peak, 0.25)
    match = jnp.clip(skill + 0.1 * jax.random.normal(keys[2], skill.shape), 0.0, 1.0)
    latency = jax.random.uniform(keys[3], (m,), minval=100.0, maxval=400.0) + away
    return _replaced(template, skill, match, latency)


def _replaced(world: symphony_coord.World, skill: Any, match: Any, latency: Any) -> Any:
    from dataclasses import replace

    pool = replace(world.pool, skill=skill, latency=latency)
    return replace(world, pool=pool, match=match, skill_after=skill, match_after=match)
