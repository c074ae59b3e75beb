"""Training and testing of all arms of both worlds in one program each.

Arms are switches and numbers (``sl_mgac.Hyperparameters``), worlds are ranges of the rows of one
array, so that a *job*, an arm in a world, is a ``vmap`` axis, as the seeds are.

Shapes: ``J`` jobs, ``S`` seeds, ``E`` records, ``N`` test users, ``T`` steps.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.sl_mgac.config import RATES, Config
from experiments.sl_mgac.world import describe, known_actions, play, totals
from jaxswarm import rollout
from jaxswarm.envs import SwarmState
from jaxswarm.envs.feed import LiveFeedEnv, LiveFeedObservation
from jaxswarm.systems import sl_mgac
from jaxswarm.types import Key, Params, PyTree

ARMS = tuple(sl_mgac.SETTINGS)
CONTROL_ARMS = ("SL-MGAC", "no groups", "no supervised head")
RANKING = "LTR-greedy"
LEARNED, RANKS = -1, -2
JOBS = (*((0, arm) for arm in ARMS), *((1, arm) for arm in CONTROL_ARMS))
"""World and arm of every job."""


class Scaling(NamedTuple):
    """Mean and standard deviation of the features of a log, ``[F]`` each."""

    mean: Any
    std: Any

    def __call__(self, features: Any) -> Any:
        """Features ``[N, F]`` less the mean, in standard deviations."""
        return (features - self.mean[None]) / self.std[None]


def scaled(rows: sl_mgac.LogRows, standardize: bool) -> tuple[sl_mgac.LogRows, Scaling]:
    """Rows with standardized features, or as they are, and the scaling, which all arms share."""
    std = rows.features.std(axis=0)
    scaling = Scaling(rows.features.mean(axis=0), np.where(std > 0.0, std, 1.0))
    if not standardize:
        scaling = Scaling(np.zeros_like(std), np.ones_like(std))
    return replace(rows, features=scaling(rows.features)), scaling


class Job(NamedTuple):
    """An arm in a world; leaves ``[J, …]`` when stacked. ``scaling``: of the world's features."""

    hp: sl_mgac.Hyperparameters
    world: jax.Array
    starts: jax.Array
    counts: jax.Array
    scaling: Scaling


def joined(logs: list[sl_mgac.LogRows]) -> tuple[sl_mgac.LogRows, np.ndarray, np.ndarray]:
    """Rows of several logs in one array, and the starts and counts of each, ``[W, G]``."""
    sizes = [len(rows.action) for rows in logs]
    offsets = np.cumsum([0, *sizes[:-1]])
    starts = np.stack([rows.starts + off for rows, off in zip(logs, offsets, strict=True)])
    counts = np.stack([rows.counts for rows in logs])
    plain = [replace(rows, num_clipped=0) for rows in logs]
    whole = jax.tree.map(lambda *x: np.concatenate(x), *plain)
    return whole, starts.astype(np.int32), counts


def numbers(config: Config, rows: sl_mgac.LogRows) -> sl_mgac.Hyperparameters:
    """Numbers that all arms of a world share, with costs and scales from its log."""
    hp = sl_mgac.Hyperparameters(
        tau=config.tau,
        discount=config.discount,
        night_discount=config.night_discount,
        multiplier=config.multiplier,
    )
    return sl_mgac.calibrated(rows, hp)


def stacked_jobs(
    config: Config,
    logs: list[sl_mgac.LogRows],
    starts: np.ndarray,
    counts: np.ndarray,
    scalings: list[Scaling],
) -> Job:
    """All jobs, leaves ``[J, …]``."""
    shared = [numbers(config, rows) for rows in logs]
    jobs = []
    for world, arm in JOBS:
        rate = config.rate if config.rate > 0.0 else RATES[arm]
        hp = sl_mgac.settings_of(arm, shared[world]._replace(lr=rate))
        where = (np.int32(world), starts[world], counts[world], scalings[world])
        jobs.append(Job(hp, *where))  # type: ignore[arg-type]
    return jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *jobs)


def make_network(config: Config, num_features: int) -> sl_mgac.GroupNetwork:
    """The networks that all arms share."""
    bins = sl_mgac.log_bins(config.bins, 0.05, config.largest)
    return sl_mgac.group_network(
        num_features, config.groups, bins, widths=(config.width, config.width)
    )


def train(
    key: Key, config: Config, network: sl_mgac.GroupNetwork, rows: sl_mgac.LogRows, job: Job
) -> tuple[Params, dict[str, jax.Array]]:
    """Train one job; curves of the values of logged states: mean of the policy's, largest ``|Q|``.

    Returns:
        Weights, and ``{"mean", "largest", "entropy"}`` with leaves ``[E]``.
    """
    own = replace(rows, starts=job.starts, counts=job.counts)
    learner = sl_mgac.sl_mgac(network, job.hp)
    init_key, key, probe_key = jax.random.split(key, 3)
    probes = sl_mgac.sample_rows(probe_key, own, config.probes)

    def step(key: Key, state: sl_mgac.LearnerState, inputs: None) -> tuple:
        return learner.step(key, state, sl_mgac.sample_rows(key, own, config.batch))

    def evaluate(state: sl_mgac.LearnerState) -> dict[str, jax.Array]:
        where = (state.params, probes.features, probes.group)
        q, policy = learner.values(*where), learner.probabilities(*where)
        return {"mean": jnp.sum(policy * q, axis=1).mean(), "largest": jnp.abs(q).max()}

    state, records = rollout(
        step,
        learner.init(init_key),
        config.steps,
        key=key,
        every=config.steps // config.records,
        evaluate=evaluate,
    )
    curves = {name: x[: config.records] for name, x in records.evaluation.items()}
    curves["entropy"] = records.info["entropy"][: config.records]
    return state.params, curves


def test(
    key: Key,
    config: Config,
    env: LiveFeedEnv,
    network: sl_mgac.GroupNetwork,
    physics: PyTree,
    params: Params,
    job: Job,
    policy: jax.Array,
) -> dict[str, jax.Array]:
    """Sessions of fresh users under one policy.

    Args:
        key: consumed; users of all policies draw the same random numbers.
        config: sizes.
        env: the feed.
        network: the networks.
        physics: of both worlds.
        params: weights.
        job: whose weights they are.
        policy: ``LEARNED`` for the most probable actions, ``RANKS`` for the largest ``R̂``, or a
            place in ``world.KNOWN``.

    Returns:
        Totals of a session, and of all visited states: ``mse`` and ``bias`` of the values against
        the discounted sum of the expected rewards that followed, ``largest`` of these sums, and
        mean squared errors by group ``[G]``.
    """
    learner = sl_mgac.sl_mgac(network, job.hp)
    group = jnp.arange(config.users) % config.groups
    own = jax.tree.map(lambda x: x[job.world], physics)

    costs = job.hp.exposure_cost[group]

    def act(key: Key, state: SwarmState, observation: LiveFeedObservation) -> tuple:
        del key
        where = (params, job.scaling(describe(observation)), group)
        q, expected = learner.values(*where), learner.rewards(*where)
        best = jnp.argmax(expected, axis=1).astype(jnp.int32)
        known = known_actions(policy, env, state, costs, job.hp.multiplier)
        learned = jnp.where(policy == RANKS, best, learner.act(*where))
        action = jnp.where(policy < 0, learned, known)
        return action, jnp.where(action == 1, q[:, 1], q[:, 0])

    steps = play(key, env, own, act)

    def reward(times: jax.Array) -> jax.Array:
        paid = sl_mgac.insertion_reward(steps.action, times, costs[None], job.hp.multiplier)
        return jnp.where(steps.present, paid, 0.0)

    discount = jnp.where(steps.night, job.hp.night_discount, job.hp.discount)

    def back(later: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        here = now[0] + now[1] * later
        return here, here

    paid = (reward(steps.means), discount)
    returns = jax.lax.scan(back, jnp.zeros(config.users), paid, reverse=True)[1]
    error = jnp.where(steps.present, steps.extra - returns, 0.0)
    count = steps.present.sum()
    of_group = jax.nn.one_hot(group, config.groups)
    by_group = jnp.square(error).sum(0) @ of_group / (steps.present.sum(0) @ of_group)
    mean = jnp.where(steps.present, returns, 0.0).sum() / count
    spread = jnp.where(steps.present, jnp.square(returns - mean), 0.0).sum() / count
    return totals(steps) | {
        "reward": reward(steps.times).sum(0).mean(),
        "mse": jnp.square(error).sum() / count,
        "bias": error.sum() / count,
        "variance": spread,
        "largest": returns.max(),
        "group_mse": by_group,
    }
