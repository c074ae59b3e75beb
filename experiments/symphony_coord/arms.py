"""What ``symphony_coord`` measures: the published pool under shocks, regret, screening, gossip."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, coordination, gossip, topology
from jaxswarm.coordination import bandits, symphony_coord

# Profiles A to E of the published simulator: price, ms, chance on easy and hard, match on both.
PROFILES = np.array(
    [
        [1.00, 900, 0.99, 0.99, 0.80, 0.95],
        [0.10, 350, 0.88, 0.18, 0.95, 0.20],
        [0.35, 550, 0.92, 0.65, 0.75, 0.75],
        [0.22, 420, 0.90, 0.45, 0.85, 0.55],
        [0.60, 780, 0.95, 0.85, 0.60, 0.90],
    ]
)
# (policy, alpha): the bandit with the published radius, the others, the bandit with radius 1.
ARMS = {
    "LinUCB": ("linucb", 1.0),
    "random of short list": ("random", 1.0),
    "static rule": ("static", 1.0),
    "frozen at the shock": ("frozen", 1.0),
    "oracle": ("oracle", 1.0),
    "LinUCB, radius 1": ("linucb", 0.0),
}
SHARING = ("isolated", "gossip", "central")


@dataclass(frozen=True)
class Config:
    """Sizes of the four parts."""

    tasks: int = 1000
    hard: float = 0.7
    late: int = 200
    delay: int = 20
    regret_steps: int = 10_000
    pool: int = 64
    pool_types: int = 8
    nodes: int = 32  # requesters, and workers, of the decentralised part
    slots: int = 16
    family: str = "watts_strogatz"
    rounds: int = 400
    every: int = 10  # steps between exchanges
    swarm_seeds: int = 10
    seeds: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds % self.every or self.tasks % 2 or self.late > self.tasks // 2:
            raise ValueError(
                "every, tasks, late: expected a divisor of rounds, an even number, at most half of "
                f"the tasks, got {self.every}, {self.tasks}, {self.late}"
            )
        if self.seeds < 2 or self.swarm_seeds < 2:
            raise ValueError(f"seeds: expected two at least, got {self.seeds}, {self.swarm_seeds}")


def scenarios() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Chances and matches after the shock."""
    chance, match = PROFILES[:, 2:4], PROFILES[:, 4:]
    lost = np.array([1.0, 1.0, 0.5, 0.6, 0.3])  # of p_hard: E, C, D keep 30, 50, 60 per cent
    unavailable = chance * np.stack([np.ones(5), lost], axis=1)
    unavailable[0] = 0.0
    degraded = chance.copy()
    degraded[0] *= (0.6, 0.2)
    degraded[4, 1] *= 0.4
    degraded[2, 1] *= 0.4
    worse = match.copy()
    worse[0] *= 0.7
    silent = chance.copy()
    silent[0] = 0.0
    return {
        "A and others": (unavailable, match),
        "A degraded": (degraded, worse),
        "A alone": (silent, match),
    }


def _steps(route: Any, world: Any, key: jax.Array, tasks: int, policy: Any) -> Any:
    """Infos of a run without exchanges, leaves ``[tasks, R]``."""

    def body(state: Any, index: jax.Array) -> tuple[Any, Any]:
        return route.step(key, world, state, index, policy)

    return jax.lax.scan(body, route.init(world), jnp.arange(tasks))[1]


def shocks(key: jax.Array, config: Config, delay: int = 0) -> dict[str, Any]:
    """``success [scenario, arm, seeds, tasks]`` of one requester with the published pool."""
    found = coordination.beacon(topology.star(6), [0], range(1, 6), ttl=1)
    pool = coordination.workers(PROFILES[:, 2:4], latency=PROFILES[:, 1], price=PROFILES[:, 0])
    made = [
        symphony_coord.world(
            pool,
            PROFILES[:, 4:],
            types=[1 - config.hard, config.hard],
            static=[1, 0],
            shock=config.tasks // 2,
            skill_after=skill,
            match_after=match,
        )
        for skill, match in scenarios().values()
    ]
    worlds = jax.tree.map(lambda *x: np.stack(x), *made)
    policies = jnp.array([symphony_coord.POLICIES.index(p) for p, _ in ARMS.values()])
    alphas = jnp.array([a for _, a in ARMS.values()])

    def one(world: Any, policy: jax.Array, alpha: jax.Array, key: jax.Array) -> Any:
        rule = bandits.linucb(symphony_coord.FEATURES, alpha=alpha)
        route = symphony_coord.router(found, rule, delay=delay)
        info = _steps(route, world, key, config.tasks, policy)
        return info.success[:, 0], info.worker[:, 0], info.type[:, 0]

    over = jax.vmap(one, in_axes=(None, None, None, 0))
    over = jax.vmap(over, in_axes=(None, 0, 0, None))
    over = jax.vmap(over, in_axes=(0, None, None, None))
    keys = agents.keys(key, config.seeds)
    success, worker, kind = jax.jit(over)(worlds, policies, alphas, keys)
    roles = {
        when: [
            symphony_coord.roles(worker[0, 0, s, part], kind[0, 0, s, part], 5, 2)["information"]
            for s in range(config.seeds)
        ]
        for when, part in (
            ("before", slice(config.tasks // 4, config.tasks // 2)),
            ("after", slice(-config.tasks // 4, None)),
        )
    }
    return {"success": success, "information": {k: np.array(v) for k, v in roles.items()}}


def regret(key: jax.Array, config: Config) -> dict[str, Any]:
    """``[seeds, steps]`` regret of each step where rewards are linear in the features."""
    theta = jnp.array([0.25, 0.35, -0.15, -0.1, 0.4, 0.1])  # rewards within [0, 1]
    rule = bandits.linucb(symphony_coord.FEATURES)

    def one(key: jax.Array) -> jax.Array:
        def body(sums: Any, index: jax.Array) -> tuple[Any, jax.Array]:
            keys = jax.random.split(jax.random.fold_in(key, index), 4)
            rest = jax.random.uniform(keys[0], (3, 5))
            x = jnp.concatenate([jnp.ones((3, 1)), rest], axis=1)
            x = x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1.0)
            means, valid = x @ theta, jnp.ones(3, bool)
            scores = rule.score(keys[1], sums, x, jnp.zeros(3, jnp.int32))
            at = bandits.choose(scores, valid)
            lot = jax.random.randint(keys[2], (), 0, 3)
            reward = (jax.random.uniform(keys[3]) < means[at]).astype(jnp.float32)
            lost = jnp.stack([bandits.step_regret(means, valid, i) for i in (at, lot)])
            return rule.learn(sums, x[at], reward), lost

        return jax.lax.scan(body, rule.init(), jnp.arange(config.regret_steps))[1]

    lost = np.asarray(jax.jit(jax.vmap(one))(agents.keys(key, config.seeds)))
    start = config.regret_steps // 10
    names = ("LinUCB", "random")
    at = np.unique(np.geomspace(1, config.regret_steps, 60).astype(int))
    total = np.cumsum(lost, axis=1)[:, at - 1]
    return {
        "at": at,
        "total": {name: total[..., i] for i, name in enumerate(names)},
        "slope": {name: bandits.growth(lost[..., i], start=start) for i, name in enumerate(names)},
    }


def specialists(key: jax.Array, config: Config, number: int, *, shock: int = 2**30) -> Any:
    """``number`` workers, one speciality each; they advertise their skills with an error of 0.1.

    At ``shock`` 30 per cent fail silently.
    """
    kinds = config.pool_types
    keys = jax.random.split(key, 6)
    special = jax.random.randint(keys[0], (number,), 0, kinds)
    peak = jax.random.uniform(keys[1], (number, 1), minval=0.6, maxval=0.95)
    base = jax.random.uniform(keys[2], (number, kinds), minval=0.1, maxval=0.4)
    skill = jnp.where(jax.nn.one_hot(special, kinds) > 0, peak, base)
    error = 0.1 * jax.random.normal(keys[3], skill.shape)
    match = jnp.clip(skill + error, 0.0, 1.0)
    latency = jax.random.uniform(keys[4], (number,), minval=300.0, maxval=900.0)
    fails = jax.random.permutation(keys[5], number) < round(0.3 * number)
    after = jnp.where(fails[:, None], 0.0, skill)
    host = jax.tree.map(np.asarray, (skill, match, latency, after))
    pool = coordination.workers(host[0], latency=host[2])
    shares = np.full(kinds, 1 / kinds)
    return symphony_coord.world(pool, host[1], types=shares, shock=shock, skill_after=host[3])


def screening(key: jax.Array, config: Config) -> dict[str, Any]:
    """Reward and messages per task, ``[seeds]``, of a short list of three against everybody."""
    number = config.pool
    found = coordination.beacon(topology.star(number + 1), [0], range(1, number + 1), ttl=1)
    keys = agents.keys(key, config.seeds)
    made = [specialists(jax.random.fold_in(k, 0), config, number) for k in keys]
    worlds = jax.tree.map(lambda *x: np.stack(x), *made)
    results = {}
    for name, size in (("short list of 3", 3), ("everybody", number)):
        rule = bandits.linucb(symphony_coord.FEATURES)
        route = symphony_coord.router(found, rule, shortlist=size, screening="heard")

        def one(world: Any, key: jax.Array, route: Any = route) -> Any:
            info = _steps(route, world, key, config.tasks, 0)
            return info.reward.mean(), info.messages.mean()

        reward, messages = jax.jit(jax.vmap(one))(worlds, keys)
        results[name] = {"reward": reward, "messages": messages}
    return results


def swarm(key: jax.Array, config: Config) -> dict[str, Any]:
    """Mean regret per requester and step ``[seeds, rounds]``, and bytes per requester."""
    n = config.nodes
    results: dict[str, Any] = {name: {} for name in SHARING}
    if config.family == "watts_strogatz":
        graph = topology.watts_strogatz(n, 4, 0.2, seed=config.seed)
    else:
        graph = topology.barabasi_albert(n, 2, seed=config.seed)
    found = coordination.beacon(graph, range(n), range(n), ttl=2, slots=config.slots)
    keys = agents.keys(key, config.swarm_seeds)
    made = [
        specialists(jax.random.fold_in(k, 0), config, n, shock=config.rounds // 2) for k in keys
    ]
    worlds = jax.tree.map(lambda *x: np.stack(x), *made)
    rules = {
        "isolated": None,
        "gossip": gossip.averaging(gossip.mixing(graph), steps=4),
        "central": gossip.averaging(gossip.everyone(n)),
    }
    for name, rule in rules.items():
        length = 1 if name == "central" else config.every
        route = symphony_coord.router(found, bandits.linucb(symphony_coord.FEATURES), gossip=rule)

        def one(inputs: Any, route: Any = route, length: int = length) -> Any:
            world, key = inputs

            def body(state: Any, index: jax.Array) -> tuple[Any, Any]:
                state, info = route.step(key, world, state, index, 0)
                return state, (info.regret.mean(), info.success.mean(), info.messages.mean())

            def chunk(state: Any, first: jax.Array) -> tuple[Any, Any]:
                state, infos = jax.lax.scan(body, state, first + jnp.arange(length))
                state, traffic = route.share(jax.random.fold_in(key, first), state, first)
                return state, (infos, traffic.bytes)

            starts = jnp.arange(0, config.rounds, length)
            infos, sent = jax.lax.scan(chunk, route.init(world), starts)[1]
            return *(x.ravel() for x in infos), sent.sum() / n

        lost, success, messages, sent = jax.jit(lambda xs, f=one: jax.lax.map(f, xs))(
            (worlds, keys)
        )
        results[name] = {
            "regret": lost,
            "success": success,
            "messages": messages.mean(axis=1),
            "bytes": sent,
        }
    return results
