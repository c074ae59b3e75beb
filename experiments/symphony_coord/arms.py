"""Runs of the Symphony-Coord experiment: shocks, regret, screening, and a swarm of requesters.

A requester broadcasts a beacon, ranks the candidates that reply by a composite score, keeps a short
list and picks from it with LinUCB, a contextual bandit on six features. Six parts:

* **Shocks.** One requester and the five agents of the published simulator (profiles, weights and
  confidence radius as published). Half-way, agent A fails silently (with or without losses of
  others) or degrades. The published recovery test (90 % of the success rate before the shock) is
  out of reach even for an oracle, so recovery is measured against an oracle after the shock. The
  shock in which A only degrades is run without a claim: there LinUCB hardly differs from random
  choice. So is feedback that arrives late.
* **Cost** and **latency**, the published Experiments 1 and 3: rewards less penalties for price and
  latency, at fixed agents and when their latencies change half-way (without the bursts of load).
* **Regret.** LinUCB where rewards are linear in the features.
* **Screening.** A short list of three among many agents against scoring all candidates.
* **Swarm** (an extension, not in the paper). Every node is a requester and a worker, a beacon
  travels two hops, and 30 % of the workers fail silently half-way. Requesters with statistics of
  their own are compared with requesters that gossip them, with one central router, and with the
  best match of the short list, which learns nothing. Every arm has the confidence radius of the
  grid :data:`RADII` that has the least regret on other seeds; its regret with the published radius
  is kept too.

Shapes: ``S`` seeds, ``T`` tasks, ``R`` requesters, ``A`` arms.

References:
    Z. Guan et al., Symphony-Coord: Adaptive Routing for Multi-Agent LLM Systems, 2026, and its
    published code (profiles, weights, shocks).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.symphony_coord.config import Config
from experiments.symphony_coord.worlds import (
    PROFILES,
    SHOCKS,
    SWARM_NOISE,
    cost_worlds,
    latency_world,
    published_worlds,
    specialist_worlds,
)
from jaxswarm import agents, coordination, gossip, topology
from jaxswarm.coordination import bandits
from jaxswarm.systems import symphony_coord


class Arm(NamedTuple):
    """A way to choose from the short list.

    Attributes:
        policy: one of ``symphony_coord.POLICIES``.
        alpha: factor of the published confidence radius; 0 for a constant radius of 1.
    """

    policy: str
    alpha: float = 1.0


ARMS = {
    "LinUCB": Arm("linucb"),
    "random choice": Arm("random"),
    "static rule": Arm("static"),
    "frozen LinUCB": Arm("frozen"),
    "oracle": Arm("oracle"),
    "LinUCB, constant radius": Arm("linucb", alpha=0.0),
}
SHORT_LIST, ALL_CANDIDATES = "short list of 3", "all candidates"
ISOLATED, GOSSIP, CENTRAL, FIRST = SHARING = (
    "isolated",
    "gossip",
    "central router",
    "best match, no learning",
)
RADII = (0.0, 0.3, 1.0, 3.0, float("nan"))  # of LinUCB in the swarm; NaN: the published one
COST_ARMS = ("LinUCB", "always A", "static rule", "random choice")
LATENCY_ARMS = ("LinUCB", "random choice", "static rule", "frozen LinUCB")
REAL_REWARD = symphony_coord.RouterSettings(latency_penalty=0.2, price_penalty=0.15)


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run all parts.

    Returns:
        ``shock`` and ``delayed`` (feedback after ``config.delay`` tasks), see :func:`run_shocks`;
        ``regret``, see :func:`run_regret`; ``screening``, see :func:`run_screening`; ``swarm``, see
        :func:`run_swarm`.
    """
    key = jax.random.key(config.seed)
    progress("shocks, immediate feedback")
    results: dict[str, Any] = {"shock": run_shocks(jax.random.fold_in(key, 0), config)}
    progress("shocks, late feedback")
    results["delayed"] = run_shocks(jax.random.fold_in(key, 0), config, config.delay)
    progress("cost and latency")
    results["cost"] = run_cost(jax.random.fold_in(key, 4), config)
    results["latency"] = run_latency(jax.random.fold_in(key, 5), config)
    progress("regret with linear rewards")
    results["regret"] = run_regret(jax.random.fold_in(key, 1), config)
    progress("screening")
    results["screening"] = run_screening(jax.random.fold_in(key, 2), config)
    progress("swarm: isolated, gossip, central router")
    results["swarm"] = run_swarm(jax.random.fold_in(key, 3), config)
    return jax.tree.map(np.asarray, results)


def run_tasks(
    router: symphony_coord.Router, world: Any, key: jax.Array, tasks: int, policy: Any
) -> symphony_coord.RouterInfo:
    """Route ``tasks`` tasks per requester without gossip; the infos' leaves are ``[T, R]``."""

    def step(state: Any, index: jax.Array) -> tuple[Any, Any]:
        return router.step(key, world, state, index, policy)

    return jax.lax.scan(step, router.init(world), jnp.arange(tasks))[1]


def run_shocks(key: jax.Array, config: Config, delay: int = 0) -> dict[str, Any]:
    """One requester and the published agents, under every shock and with every arm.

    Args:
        key: of all runs.
        config: sizes.
        delay: tasks until feedback arrives.

    Returns:
        ``success float32[shock, A, S, T]``; ``information``: ``{"before", "after"}`` of mutual
        information between agent and task type in bits ``[S]``, for LinUCB and the first shock.
    """
    candidates = coordination.flood_search(topology.star(6), [0], range(1, 6), ttl=1)
    policies = jnp.array([symphony_coord.POLICIES.index(arm.policy) for arm in ARMS.values()])
    alphas = jnp.array([arm.alpha for arm in ARMS.values()])

    def run_seed(world: Any, policy: jax.Array, alpha: jax.Array, key: jax.Array) -> Any:
        bandit = bandits.linucb(symphony_coord.FEATURES, alpha=alpha)
        router = symphony_coord.router(candidates, bandit, delay=delay)
        info = run_tasks(router, world, key, config.tasks, policy)
        return info.success[:, 0], info.worker[:, 0], info.type[:, 0]

    over_seeds = jax.vmap(run_seed, in_axes=(None, None, None, 0))
    over_arms = jax.vmap(over_seeds, in_axes=(None, 0, 0, None))
    over_shocks = jax.vmap(over_arms, in_axes=(0, None, None, None))
    keys = agents.keys(key, config.seeds)
    success, worker, kind = jax.jit(over_shocks)(published_worlds(config), policies, alphas, keys)
    windows = {
        "before": slice(config.tasks // 4, config.tasks // 2),
        "after": slice(-config.tasks // 4, None),
    }
    information = {
        name: np.array(
            [
                coordination.role_information(
                    worker[0, 0, seed, part], kind[0, 0, seed, part], 5, 2
                ).mutual_information
                for seed in range(config.seeds)
            ]
        )
        for name, part in windows.items()
    }
    return {"success": success, "information": information}


def _published_agents(
    key: jax.Array, config: Config, worlds: list[tuple[Any, str]], names: tuple[str, ...]
) -> dict[str, dict[str, jax.Array]]:
    """The published agents with penalties for price and latency; ``[S, T]`` by arm."""
    candidates = coordination.flood_search(topology.star(6), [0], range(1, 6), ttl=1)
    router = symphony_coord.router(
        candidates, bandits.linucb(symphony_coord.FEATURES), settings=REAL_REWARD
    )
    prices = jnp.asarray(PROFILES[:, 0], jnp.float32)

    def run_seed(world: Any, policy: jax.Array, key: jax.Array) -> dict[str, jax.Array]:
        info = run_tasks(router, world, key, config.tasks, policy)
        reward, latency, worker = info.reward[:, 0], info.latency[:, 0], info.worker[:, 0]
        return {"reward": reward, "latency": latency, "price": prices[worker]}

    run_arm = jax.jit(jax.vmap(run_seed, in_axes=(None, None, 0)))
    keys = agents.keys(key, config.seeds)
    return {
        name: run_arm(world, jnp.int32(symphony_coord.POLICIES.index(policy)), keys)
        for name, (world, policy) in zip(names, worlds, strict=True)
    }


def run_cost(key: jax.Array, config: Config) -> dict[str, dict[str, jax.Array]]:
    """Published Experiment 1 for :data:`COST_ARMS`: ``reward``, ``latency``, ``price [S, T]``."""
    both = cost_worlds(config)
    always, rule = (jax.tree.map(lambda leaf, i=i: leaf[i], both) for i in range(2))
    worlds = [(rule, "linucb"), (always, "static"), (rule, "static"), (rule, "random")]
    return _published_agents(key, config, worlds, COST_ARMS)


def run_latency(key: jax.Array, config: Config) -> dict[str, dict[str, jax.Array]]:
    """The published Experiment 3 for :data:`LATENCY_ARMS`, without bursts of load."""
    world = latency_world(config)
    policies = ("linucb", "random", "static", "frozen")
    return _published_agents(key, config, [(world, policy) for policy in policies], LATENCY_ARMS)


def run_regret(key: jax.Array, config: Config) -> dict[str, Any]:
    """LinUCB and random choice where expected rewards are linear in the features.

    Returns:
        ``at [P]``, numbers of tasks; ``total {arm: [S, P]}``, regret up to them; ``slope
        {arm: [S]}``, exponents of the power laws fitted to the total regret.
    """
    theta = jnp.array([0.25, 0.35, -0.15, -0.1, 0.4, 0.1])  # rewards within [0, 1]
    bandit = bandits.linucb(symphony_coord.FEATURES)

    def run_seed(key: jax.Array) -> jax.Array:
        def step(sums: Any, index: jax.Array) -> tuple[Any, jax.Array]:
            keys = jax.random.split(jax.random.fold_in(key, index), 4)
            features = jax.random.uniform(keys[0], (3, 5))
            x = jnp.concatenate([jnp.ones((3, 1)), features], axis=1)
            x = x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), 1.0)
            means, valid = x @ theta, jnp.ones(3, bool)
            scores = bandit.score(keys[1], sums, x, jnp.zeros(3, jnp.int32))
            chosen = bandits.choose(scores, valid)
            random = jax.random.randint(keys[2], (), 0, 3)
            reward = (jax.random.uniform(keys[3]) < means[chosen]).astype(jnp.float32)
            regret = [bandits.step_regret(means, valid, choice) for choice in (chosen, random)]
            return bandit.learn(sums, x[chosen], reward), jnp.stack(regret)

        return jax.lax.scan(step, bandit.init(), jnp.arange(config.regret_steps))[1]

    regret = np.asarray(jax.jit(jax.vmap(run_seed))(agents.keys(key, config.seeds)))
    start = config.regret_steps // 10
    at = np.unique(np.geomspace(1, config.regret_steps, 60).astype(int))
    total = np.cumsum(regret, axis=1)[:, at - 1]
    names = ("LinUCB", "random choice")
    return {
        "at": at,
        "total": {name: total[..., i] for i, name in enumerate(names)},
        "slope": {
            name: bandits.regret_growth(regret[..., i], start=start) for i, name in enumerate(names)
        },
    }


def run_screening(key: jax.Array, config: Config) -> dict[str, dict[str, jax.Array]]:
    """A short list of three against scoring all candidates: reward and messages per task ``[S]``.

    Candidates are screened by the load that each reported last, so that only those of the short
    list are probed.
    """
    number = config.pool
    candidates = coordination.flood_search(
        topology.star(number + 1), [0], range(1, number + 1), ttl=1
    )
    keys = agents.keys(key, config.seeds)
    worlds = specialist_worlds(keys, config, number)
    results = {}
    for name, size in ((SHORT_LIST, 3), (ALL_CANDIDATES, number)):
        router = symphony_coord.router(
            candidates,
            bandits.linucb(symphony_coord.FEATURES),
            shortlist=size,
            screening="cached",
        )

        def run_seed(world: Any, key: jax.Array, router: Any = router) -> Any:
            info = run_tasks(router, world, key, config.tasks, 0)
            return info.reward.mean(), info.messages.mean()

        reward, messages = jax.jit(jax.vmap(run_seed))(worlds, keys)
        results[name] = {"reward": reward, "messages": messages}
    return results


def run_swarm(key: jax.Array, config: Config) -> dict[str, dict[str, Any]]:
    """Many requesters with each kind of sharing of :data:`SHARING`.

    Returns:
        For each: ``regret`` and ``success`` ``[S, rounds]``, means over requesters, with the radius
        of least mean regret in the tuning runs; ``messages [S]`` per requester and task; ``bytes
        [S]``, gossip per requester over the run; ``tuning [radii]``, mean regret in the tuning
        runs; ``published [S]``, mean regret with the published radius.
    """
    n = config.nodes
    if config.family == "watts_strogatz":
        graph = topology.watts_strogatz(n, 4, 0.2, seed=config.seed)
    else:
        graph = topology.barabasi_albert(n, 2, seed=config.seed)
    candidates = coordination.flood_search(graph, range(n), range(n), ttl=2, slots=config.slots)
    keys = agents.keys(key, config.swarm_seeds + config.tuning_seeds)
    worlds = specialist_worlds(keys, config, n, shock=config.rounds // 2, noise=SWARM_NOISE)
    rules = {
        ISOLATED: None,
        GOSSIP: gossip.averaging(gossip.mixing(graph), steps=4),
        CENTRAL: gossip.averaging(gossip.complete_mean(n)),
        FIRST: None,
    }
    tested = slice(0, config.swarm_seeds)
    tuned = slice(config.swarm_seeds, None)
    results: dict[str, dict[str, Any]] = {}
    for name, rule in rules.items():
        runs = _swarm_runs(config, candidates, name, rule)

        def of(part: slice, radius: float, runs: Any = runs) -> Any:
            chosen = jax.tree.map(lambda leaf: leaf[part], (worlds, keys))
            return runs(chosen, jnp.float32(radius))

        tuning = np.full(len(RADII), np.nan)
        for at, radius in enumerate(RADII[-1:] if name == FIRST else RADII):
            tuning[at] = float(of(tuned, radius)[0].mean())
        best = RADII[-1] if name == FIRST else RADII[int(np.nanargmin(tuning))]
        regret, success, messages, sent = of(tested, best)
        published = regret if np.isnan(best) else of(tested, RADII[-1])[0]
        results[name] = {
            "regret": regret,
            "success": success,
            "messages": messages.mean(axis=1),
            "bytes": sent,
            "tuning": tuning,
            "radius": np.float64(best),
            "published": published.mean(axis=1),
        }
    return results


def _swarm_runs(
    config: Config,
    candidates: coordination.Candidates,
    name: str,
    rule: gossip.GossipTransformation | None,
) -> Callable[[Any, jax.Array], Any]:
    """``((worlds, keys), radius) -> regret, success, messages [S, rounds], bytes [S]``."""
    period = 1 if name == CENTRAL else config.every
    policy = symphony_coord.POLICIES.index("first" if name == FIRST else "linucb")
    features = symphony_coord.FEATURES
    published = bandits.linucb(features)

    def run_seed(radius: jax.Array, inputs: Any) -> Any:
        world, key = inputs
        constant = bandits.linucb(features, radius=jnp.nan_to_num(radius))

        def score(*args: Any) -> jax.Array:
            return jnp.where(jnp.isnan(radius), published.score(*args), constant.score(*args))

        router = symphony_coord.router(candidates, published._replace(score=score), gossip=rule)

        def step(state: Any, index: jax.Array) -> tuple[Any, Any]:
            state, info = router.step(key, world, state, index, policy)
            return state, (info.regret.mean(), info.success.mean(), info.messages.mean())

        def steps_and_gossip(state: Any, first: jax.Array) -> tuple[Any, Any]:
            state, infos = jax.lax.scan(step, state, first + jnp.arange(period))
            state, traffic = router.share(jax.random.fold_in(key, first), state, first)
            return state, (infos, traffic.bytes)

        starts = jnp.arange(0, config.rounds, period)
        infos, sent = jax.lax.scan(steps_and_gossip, router.init(world), starts)[1]
        return *(leaf.ravel() for leaf in infos), sent.sum() / config.nodes

    # Seeds one after another: at full scale the states are large.
    return jax.jit(lambda inputs, radius: jax.lax.map(lambda one: run_seed(radius, one), inputs))


def shock_success(results: dict[str, Any], shock: str, arm: str) -> np.ndarray:
    """``float32[S, T]``: success of each task under a shock of ``SHOCKS`` with an arm."""
    return results["shock"]["success"][SHOCKS.index(shock)][list(ARMS).index(arm)]
