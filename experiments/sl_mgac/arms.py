"""Collect the logs, play the policies that know the worlds, train and test all arms."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import Results
from experiments.sl_mgac import learners, world
from experiments.sl_mgac.config import Config
from experiments.sl_mgac.learners import ARMS, CONTROL_ARMS, JOBS, RANKING
from jaxswarm import agents
from jaxswarm.data import Interactions
from jaxswarm.envs.feed import LiveFeedParams
from jaxswarm.rl.offline import evaluation
from jaxswarm.systems import sl_mgac
from jaxswarm.types import Params

NCIS_SESSIONS = 200


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Run all parts.

    Returns:
        ``arms``: ``{arm: {measure: [S]}}``; ``known``: the same of the policies
        :data:`experiments.sl_mgac.world.KNOWN`; ``curves``: ``{arm: {name: [S, E]}}``; ``control``:
        as ``arms``, of the homoscedastic world; ``ncis``: ``{arm: {"value", "effective": [S]}}``;
        ``log``: what the log of each world holds, ``[W]``.
    """
    key = jax.random.key(config.seed)
    params = world.physics(config)
    bins = sl_mgac.log_bins(config.bins, 0.05, config.largest)
    progress("logs of both worlds")
    logs, rows, scalings = [], [], []
    program = world.collector(config)
    for w, own in enumerate(agents.unstack(params)):
        log, night = world.collect(jax.random.fold_in(key, w), config, program, own)
        group = world.groups_of(config, config.sessions)
        of_world = sl_mgac.log_rows(log, group, bins, num_groups=config.groups, night=night)
        of_world, scaling = learners.scaled(of_world, config.standardize)
        rows.append(of_world)
        scalings.append(scaling)
        logs.append((head_of(log), group[:NCIS_SESSIONS]))
    whole, starts, counts = learners.joined(rows)
    jobs = learners.stacked_jobs(config, rows, starts, counts, scalings)
    results: Results = {"log": contents(rows, jobs)}
    progress("training of all arms")
    network = learners.make_network(config, whole.features.shape[1])
    keys = agents.keys(jax.random.fold_in(key, 3), config.seeds)
    data = jax.device_put(whole)
    over_seeds = jax.vmap(
        lambda key, data, job: learners.train(key, config, network, data, job), (0, None, None)
    )
    trained, curves = jit_fast_compile(jax.vmap(over_seeds, (None, None, 0)))(keys, data, jobs)
    results["curves"] = {
        arm: {name: x[j] for name, x in curves.items()} for j, arm in enumerate(ARMS)
    }
    progress("test of all arms, and of policies that know the world")
    results |= tests(config, network, params, trained, jobs)
    progress("importance sampling")
    results["ncis"] = estimates(config, network, trained, jobs, *logs[0])
    return jax.tree.map(np.asarray, results)


def tests(
    config: Config,
    network: sl_mgac.GroupNetwork,
    params: LiveFeedParams,
    trained: Params,
    jobs: learners.Job,
) -> Results:
    """Sessions under all policies; the ranking baseline acts on the reward heads of SL-MGAC."""
    keys = agents.keys(jax.random.fold_in(jax.random.key(config.seed), 2), config.seeds)
    count = len(world.KNOWN)
    several = np.concatenate([np.arange(len(JOBS)), np.zeros(1 + count, int)])
    policy = np.array([*[learners.LEARNED] * len(JOBS), learners.RANKS, *range(count)])
    tested = jax.tree.map(lambda x: x[several], (trained, jobs))
    env = world.make_env(config, config.users)
    physics = jax.tree.map(jnp.asarray, params)

    def one(key: jax.Array, params: Params, job: learners.Job, policy: jax.Array) -> dict:
        return learners.test(key, config, env, network, physics, params, job, policy)

    over_seeds = jax.vmap(one, (0, 0, None, None))
    program = jit_fast_compile(jax.vmap(over_seeds, (None, 0, 0, 0)), level=1)
    found = jax.tree.map(np.asarray, program(keys, *tested, jnp.asarray(policy)))
    names = [*JOBS, (0, RANKING), *((0, name) for name in world.KNOWN)]
    of = {name: {m: x[j] for m, x in found.items()} for j, name in enumerate(names)}
    return {
        "arms": {arm: of[0, arm] for arm in (*ARMS, RANKING)},
        "known": {name: of[0, name] for name in world.KNOWN},
        "control": {arm: of[1, arm] for arm in CONTROL_ARMS},
    }


def head_of(log: Interactions) -> Interactions:
    """The first sessions of a log."""
    keep = lambda x: x[:NCIS_SESSIONS].copy()  # noqa: E731
    return jax.tree.map(keep, log)


def contents(rows: list[sl_mgac.LogRows], jobs: learners.Job) -> Results:
    """What the logs hold, by world."""
    firsts = [0, len(ARMS)]
    return {
        "rows": np.array([len(each.action) for each in rows]),
        "clipped": np.array([each.num_clipped for each in rows]),
        "inserted": np.array([each.action.mean() for each in rows]),
        "cost": np.asarray(jobs.hp.exposure_cost)[firsts],
        "value_mean": np.asarray(jobs.hp.value_mean)[firsts],
        "value_std": np.asarray(jobs.hp.value_std)[firsts],
    }


def estimates(
    config: Config,
    network: sl_mgac.GroupNetwork,
    trained: Params,
    jobs: learners.Job,
    log: Interactions,
    group: np.ndarray,
) -> Results:
    """Rewards of a request by NCIS per step on the log, for each arm and the ranking baseline."""
    shape = log.mask.shape
    features = jnp.asarray(log.features.reshape(-1, network.num_features))
    owner = jnp.repeat(jnp.asarray(group), shape[1])

    def acts(params: Params, job: learners.Job) -> tuple[jax.Array, jax.Array]:
        learner = sl_mgac.sl_mgac(network, job.hp)
        scaled = job.scaling(features)
        expected = learner.rewards(params, scaled, owner)
        best = jnp.argmax(expected, axis=1).astype(jnp.int32)
        return learner.act(params, scaled, owner), best

    firsts = jax.tree.map(lambda x: x[: len(ARMS)], (trained, jobs))
    program = jit_fast_compile(
        lambda trained, jobs: jax.lax.map(
            lambda each: jax.lax.map(lambda p: acts(p, each[1]), each[0]), (trained, jobs)
        ),
        level=0,
    )
    action, best = (np.asarray(x).reshape(*x.shape[:2], *shape) for x in program(*firsts))
    cost = np.asarray(jobs.hp.exposure_cost)[0][group][:, None]
    paid = sl_mgac.insertion_reward(log.actions, log.rewards, cost, config.multiplier)
    rewarded = replace(log, rewards=np.asarray(paid)[..., None], names=("reward",))
    chosen = {arm: action[j] for j, arm in enumerate(ARMS)} | {RANKING: best[0]}
    found: Results = {}
    for arm, actions in chosen.items():
        made = [
            evaluation.ncis(rewarded, (own == log.actions).astype(np.float32)) for own in actions
        ]
        found[arm] = {
            "value": np.array([each.value[0] for each in made]),
            "effective": np.array([each.effective_samples for each in made]),
        }
    return found
