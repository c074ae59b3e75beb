"""The feed: features of requests, logs of a known policy, and exact expected responses of policies.

Shapes: ``N`` users, ``T`` requests, ``K`` candidates, ``m`` responses, ``F`` features.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from experiments.tscac.config import Config
from jaxswarm import data, envs
from jaxswarm.envs.feed import RESPONSES, FeedObservation, FeedParams, FeedWorld
from jaxswarm.rl import constrained
from jaxswarm.rl.networks import Network
from jaxswarm.types import Key

NUM_CONTEXT = len(RESPONSES) + 2
NUM_FEATURES = len(RESPONSES) + 3


class Log(NamedTuple):
    """Sessions of a known policy, ``[N, T, …]``.

    Attributes:
        features: ``[N, T, F]``.
        actions: ``int32[N, T]``.
        rewards: ``[N, T, m]``.
        propensities: ``[N, T]``.
        mask: ``bool[N, T]``.
        expected: ``[N, T, m]``, expected responses to the candidate shown: not for learners.
    """

    features: jax.Array
    actions: jax.Array
    rewards: jax.Array
    propensities: jax.Array
    mask: jax.Array
    expected: jax.Array


@functools.cache
def feed(config: Config) -> envs.FeedEnv:
    """The world: a crowd of ``test_users`` users; made once, outside of ``jit``."""
    return envs.FeedEnv(
        num_agents=config.test_users,
        num_candidates=config.candidates,
        num_factors=config.factors,
        time_limit=config.requests,
    )


def physics_of(config: Config) -> FeedParams:
    """Physics of the world: the defaults, with the configured noise of watch times."""
    known = feed(config).params
    known = known._replace(user=known.user._replace(watch_noise=config.noise))
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), known)


def make_network(config: Config) -> Network:
    """Actor and critic of one policy."""
    widths = (config.width,) if config.width else ()
    return constrained.candidate_network(
        NUM_CONTEXT, config.candidates, NUM_FEATURES, widths=widths
    )


def features_of(seen: FeedObservation) -> jax.Array:
    """Features ``[N, F]``: the context, then those of every candidate.

    The context is the last responses, the time, and the interest's norm. Of a candidate they are
    its stickiness and appeals, and its products with profile, satiation and interest.
    """
    d = seen.profile.shape[1]
    topics, known = seen.candidates[..., :d], seen.candidates[..., d:]
    vectors = jnp.stack([seen.profile, 5.0 * seen.satiation, 5.0 * seen.interest], axis=1)
    products = jnp.einsum("nkd,nvd->nkv", topics, vectors) / jnp.sqrt(float(d))
    interest = jnp.linalg.norm(seen.interest, axis=1, keepdims=True)
    context = jnp.concatenate([seen.last, seen.time, interest], axis=1)
    slate = jnp.concatenate([known, products], axis=2)
    return jnp.concatenate([context, slate.reshape(len(slate), -1)], axis=1)


def logged_policy(seen: FeedObservation) -> jax.Array:
    """Probabilities ``[N, K]`` of the policy that wrote the log: profile's match and stickiness."""
    d = seen.profile.shape[1]
    match = jnp.einsum("nkd,nd->nk", seen.candidates[..., :d], seen.profile) / jnp.sqrt(float(d))
    return jax.nn.softmax(0.5 * match + 0.5 * seen.candidates[..., d])


def write_log(key: Key, config: Config, users: int) -> Log:
    """Sessions of the logged policy, of a multiple of ``test_users`` users."""
    env = feed(config)
    physics = physics_of(config)

    def step(world: FeedWorld, inputs: tuple[jax.Array, Key]) -> tuple[FeedWorld, Log]:
        at, key = inputs
        seen = env.observe(world, physics, at)
        act_key, key = jax.random.split(key)
        probability = logged_policy(seen)
        action = jax.random.categorical(act_key, jnp.log(probability)).astype(jnp.int32)
        expected = env.expected_rewards(world, physics)
        outcome = env.advance(key, world, action, physics)
        shown = seen.agent_mask
        return outcome.world, Log(
            features_of(seen),
            action,
            jnp.where(shown[:, None], outcome.world.last, 0.0),
            jnp.where(shown, taken(probability, action), 1.0),
            shown,
            taken(expected, action),
        )

    def crowd(key: Key) -> Log:
        start_key, key = jax.random.split(key)
        steps = (jnp.arange(config.requests), jax.random.split(key, config.requests))
        _, rows = jax.lax.scan(step, env.start(start_key, physics), steps)
        return Log(*(jnp.swapaxes(x, 0, 1) for x in rows))

    rows = jax.lax.map(crowd, jax.random.split(key, users // config.test_users))
    return Log(*(x.reshape(-1, *x.shape[2:]) for x in rows))


def interactions_of(log: Log) -> data.Interactions:
    """The same log as what learners and estimators take."""
    return data.Interactions(*log[:5], names=RESPONSES)


def taken(table: jax.Array, action: jax.Array) -> jax.Array:
    """Entries ``[N, …]`` of ``[N, K, …]`` at the actions."""
    return table[jnp.arange(len(action)), action]


def play(
    key: Key, config: Config, policy: Callable[[FeedObservation, jax.Array], jax.Array]
) -> tuple[jax.Array, jax.Array]:
    """Expected responses of a policy in the simulator.

    Actions and sessions are random; of every request the expected response over the policy's
    actions counts, which has far less variance than the sparse responses themselves.

    Args:
        key: consumed; the same key gives all policies the same users and candidates.
        config: sizes.
        policy: ``policy(observation, expected [N, K, m]) -> probabilities [N, K]``; only oracles
            use ``expected``.

    Returns:
        Sums of a session, ``[m]``, means over users; and the mean number of requests, scalar.
    """
    env = feed(config)
    physics = physics_of(config)
    start_key, key = jax.random.split(key)

    def step(
        world: FeedWorld, inputs: tuple[jax.Array, Key]
    ) -> tuple[FeedWorld, tuple[jax.Array, jax.Array]]:
        at, key = inputs
        seen = env.observe(world, physics, at)
        act_key, key = jax.random.split(key)
        expected = env.expected_rewards(world, physics)
        probability = policy(seen, expected)
        action = jax.random.categorical(act_key, jnp.log(probability + 1e-20)).astype(jnp.int32)
        earned = jnp.einsum("nk,nkm->nm", probability, expected)
        earned = jnp.where(seen.agent_mask[:, None], earned, 0.0).mean(0)
        return env.advance(key, world, action, physics).world, (earned, seen.agent_mask.mean())

    steps = (jnp.arange(config.requests), jax.random.split(key, config.requests))
    _, (sums, requests) = jax.lax.scan(step, env.start(start_key, physics), steps)
    return sums.sum(0), requests.sum()
