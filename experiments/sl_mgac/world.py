"""The two worlds, the policies that know them, and the log of a random policy.

**Live feed.** ``envs.LiveFeedEnv`` with its default physics: groups differ in requests per day and
in the level and the noise of live watch times, from a standard deviation of the logarithm of .6 to
one of 1.8 (heavy-tailed).

**Homoscedastic.** The same with groups that differ in nothing, and small noise: a control.

Shapes: ``N`` users, ``T`` steps, ``F`` features, ``G`` groups, ``W`` worlds.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.sl_mgac.config import Config
from jaxswarm import envs
from jaxswarm.data import Interactions
from jaxswarm.envs import SwarmState
from jaxswarm.envs.feed import LiveFeedEnv, LiveFeedObservation, LiveFeedParams
from jaxswarm.rl import features_of
from jaxswarm.types import ArrayLike, Key, PyTree

WORLDS = ("live feed", "homoscedastic")
FACTORS = 3
CHUNK = 4_096
"""Users that are simulated at once for a log."""
CUTS = np.array([0.3, 0.6, 0.9], np.float32)
"""Affinities above which the planners of the oracle insert."""
KNOWN = ("never", "always", "bandit", *(f"planner {cut:g}" for cut in CUTS))
"""Policies that know the latent state: without insertions, greedy on live time, best bandit."""


class Steps(NamedTuple):
    """What happened to each user in each step, leaves ``[T, N]`` or ``[T, N, …]``."""

    features: jax.Array
    action: jax.Array
    times: jax.Array
    means: jax.Array
    present: jax.Array
    night: jax.Array
    extra: Any


def make_env(config: Config, num_users: int) -> LiveFeedEnv:
    """The feed for a number of users."""
    return envs.LiveFeedEnv(
        num_users,
        num_groups=config.groups,
        num_factors=FACTORS,
        num_days=config.days,
        requests_per_day=config.requests,
    )


def physics(config: Config) -> LiveFeedParams:
    """Physics of both worlds, leaves ``[W, …]``."""
    usual = make_env(config, 1).params
    ones = np.ones(config.groups, np.float32)
    alike = usual._replace(activity=ones, live=ones, live_noise=0.3 * ones)
    alike = alike._replace(user=alike.user._replace(watch_noise=0.3))
    return jax.tree.map(lambda *x: np.stack([np.asarray(y, np.float32) for y in x]), usual, alike)


def describe(observation: LiveFeedObservation) -> jax.Array:
    """Features ``[N, F]``: the observation, and how profile and history match what is on offer.

    The products stand for the paper's target attention; all arms have them.
    """
    size = FACTORS
    offers = (observation.video[:, :size], observation.stream[:, :size])
    tastes = (observation.profile[:, :size], observation.interest)
    products = [taste * offer for offer in offers for taste in tastes]
    return jnp.concatenate([features_of(observation), *products], axis=1)


def propensity(observation: LiveFeedObservation) -> jax.Array:
    """Probability ``[N]`` with which the logged policy inserts, from .1 to .5."""
    size = FACTORS
    match = jnp.sum(observation.profile[:, :size] * observation.stream[:, :size], axis=1)
    guess = np.sqrt(0.5) * (observation.profile[:, size] + match / np.sqrt(size))
    return 0.1 + 0.4 * jax.nn.sigmoid(2.0 * (guess - 0.5))


def play(
    key: Key,
    env: LiveFeedEnv,
    params: PyTree,
    act: Callable[..., tuple[jax.Array, Any]],
    *,
    features: bool = False,
) -> Steps:
    """Simulate all sessions to their end; ``act(key, state, observation) -> (action, extra)``."""

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, Steps]:
        state, observation = carry
        action, extra = act(key, state, observation)
        present = env.agent_mask(state.world)
        means = env.expected_rewards(state.world, state.params)
        chosen = jnp.where((action == 1)[:, None], means[:, 1], means[:, 0])
        after, timestep = env.step(state, action)
        seen = describe(observation) if features else jnp.zeros((env.num_agents, 0))
        done = Steps(
            seen,
            action,
            timestep.extras["rewards"],
            jnp.where(present[:, None], chosen, 0.0),
            present,
            timestep.extras["night"],
            extra,
        )
        return (after, timestep.observation), done

    reset_key, key = jax.random.split(key)
    state, timestep = env.reset(reset_key, params)
    keys = jax.random.split(key, env.time_limit)
    return jax.lax.scan(step, (state, timestep.observation), keys)[1]


def totals(steps: Steps) -> dict[str, jax.Array]:
    """Means over users of what a session holds: watch times, insertions, requests."""
    inserted = (steps.action == 1) & steps.present
    requests = steps.present.sum()
    return {
        "short": steps.times[..., 0].sum(0).mean(),
        "live": steps.times[..., 1].sum(0).mean(),
        "inserted": inserted.sum() / requests,
        "requests": requests / steps.present.shape[1],
    }


def collector(config: Config) -> Callable[[Key, PyTree], Steps]:
    """Program of one block of users of the log, with the probabilities of their actions."""
    env = make_env(config, min(CHUNK, config.sessions))

    def act(key: Key, state: PyTree, observation: LiveFeedObservation) -> tuple:
        del state
        chance = propensity(observation)
        action = (jax.random.uniform(key, chance.shape) < chance).astype(jnp.int32)
        return action, jnp.where(action == 1, chance, 1.0 - chance)

    return jit_fast_compile(lambda key, p: play(key, env, p, act, features=True), level=1)


def collect(
    key: Key, config: Config, program: Callable[[Key, PyTree], Steps], params: PyTree
) -> tuple[Interactions, np.ndarray]:
    """A log of one world, and the nights ``bool[S, T]``; users in blocks, group ``i mod G``."""
    blocks = -(-config.sessions // min(CHUNK, config.sessions))
    parts = [
        jax.tree.map(lambda x: np.swapaxes(np.asarray(x), 0, 1), program(k, params))
        for k in jax.random.split(key, blocks)
    ]
    whole = jax.tree.map(lambda *x: np.concatenate(x)[: config.sessions], *parts)
    mask = whole.present
    keep = lambda x: np.where(mask.reshape(*mask.shape, *(1,) * (x.ndim - 2)), x, 0)  # noqa: E731
    log = Interactions(
        keep(whole.features),
        keep(whole.action),
        keep(whole.times),
        np.where(mask, whole.extra, np.float32(1.0)),
        mask,
        names=("short", "live"),
    )
    return log, whole.night & mask


def groups_of(config: Config, count: int) -> np.ndarray:
    """Activity groups of ``count`` users in blocks."""
    return (np.arange(count) % min(CHUNK, config.sessions)) % config.groups


def known_actions(
    which: jax.Array, env: LiveFeedEnv, state: SwarmState, cost: jax.Array, multiplier: ArrayLike
) -> jax.Array:
    """Actions ``int32[N]`` of a policy by its place in :data:`KNOWN`.

    The bandit knows the expected rewards of both actions and takes the larger; planners insert
    where the latent affinity for the stream is above a cut.

    Args:
        which: the place.
        env: the feed.
        state: its state.
        cost: ``[N]``, exposure costs.
        multiplier: weight of short-video time in the reward.
    """
    affinity = env.affinity(state.world, state.params)
    means = env.expected_rewards(state.world, state.params)
    gain = means[:, 1, 1] - cost + multiplier * (means[:, 1, 0] + cost - means[:, 0, 0])
    never = jnp.zeros_like(gain, bool)
    cuts = [affinity > cut for cut in CUTS]
    return jnp.stack([never, ~never, gain > 0.0, *cuts])[which].astype(jnp.int32)
