"""Play whole episodes with a team's values: exploration for training, greedy for evaluation.

Shapes: ``E`` episodes, ``T`` steps (the time limit), ``N`` agents, ``F`` features, ``D`` numbers of
the global state, ``A`` actions, ``m`` objectives, ``W`` preferences.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks, envs
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.rl.features import features_of
from jaxswarm.rl.hyperparameters import check_weights
from jaxswarm.rl.returns import masked_mean
from jaxswarm.rl.value_decomposition.networks import OBJECTIVES, ValueNetwork, team_step
from jaxswarm.rl.value_decomposition.preferences import check_preferences
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class Episodes(NamedTuple):
    """Whole episodes; leaves lead with ``E``.

    Attributes:
        features: ``[E, T + 1, N, F]``, those after the last step included.
        state: ``[E, T + 1, D]``, global states; ``D`` is 0 if the mixer does not look at them.
        present: ``bool[E, T + 1, N]``, agents in the world.
        action: ``int32[E, T, N]``.
        reward: ``[E, T, m]`` of the team, 0 after the episode's end.
        discount: ``[E, T]``, 0 where the episode terminated, 1 elsewhere (also where truncated).
        valid: ``bool[E, T]``, steps before the episode's end.
    """

    features: jax.Array
    state: jax.Array
    present: jax.Array
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    valid: jax.Array


RewardFn = Callable[[Any, jax.Array], jax.Array]
"""``reward(timestep, present bool[E, N]) -> [E, m]``, the team's."""


def team_reward(timestep: Any, present: jax.Array) -> jax.Array:
    """Mean reward of the agents that are present, ``[E, 1]``."""
    return jax.vmap(masked_mean)(timestep.reward, present)[:, None]


def vector_reward(timestep: Any, present: jax.Array) -> jax.Array:
    """The environment's vector reward, ``[E, m]``."""
    del present
    return timestep.extras[OBJECTIVES]


def play(
    key: Key,
    env: SwarmEnvironment,
    network: ValueNetwork,
    params: Params,
    preference: jax.Array,
    epsilon: jax.Array,
    reward: RewardFn,
    *,
    shared: bool,
    env_params: PyTree = None,
) -> Episodes:
    """Play one episode in each of ``E`` environments, ε-greedily.

    Args:
        key: consumed; agent ``i`` explores with ``fold_in(·, i)``.
        env: of the team.
        network: of the team.
        params: ``params["agent"]``.
        preference: ``[E, N, m]``, the agents' preferences.
        epsilon: ``[E]``, probability of a random action.
        reward: of the team.
        shared: agents share weights.
        env_params: physics.
    """
    count, n = preference.shape[0], env.num_agents
    many = envs.Vmapped(env, count)
    reset_key, act_key = jax.random.split(key)

    def seen(env_state: PyTree, observation: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        state = jnp.zeros((count, 0))
        if network.mixer.state_size:
            state = many.global_state(env_state)
        return jax.vmap(features_of)(observation), state, observation.agent_mask

    def explore(key: Key, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        # Given that u < ε, u / ε is uniform too: one draw decides both.
        u = jax.random.uniform(key, (count,))
        fraction = u / jnp.maximum(epsilon, 1e-12)
        if network.legal is None:
            choice = jnp.floor(fraction * network.num_actions)
            return u < epsilon, jnp.minimum(choice, network.num_actions - 1)
        return u < epsilon, random_legal(fraction, features[:, network.legal] > 0)

    def step(carry: Any, index: jax.Array) -> tuple[Any, Any]:
        env_state, view, hidden, running = carry
        hidden, q = team_step(network, params, hidden, view[0], preference, shared=shared)
        greedy = jnp.argmax(jnp.sum(q * preference[:, :, None, :], axis=-1), axis=-1)
        keys = agents.keys(jax.random.fold_in(act_key, index), n)
        explores, random = jax.vmap(explore, (0, 1), 1)(keys, view[0])
        action = jnp.where(explores, random, greedy).astype(jnp.int32)
        env_state, timestep = many.step(env_state, action)
        earned = jnp.where(running[:, None], reward(timestep, view[2]), 0.0)
        discount = jnp.max(timestep.discount, axis=1)
        after = seen(env_state, timestep.observation)
        record = (*view, action, earned, discount, running)
        last: Any = timestep.last()
        return (env_state, after, hidden, running & ~last), record

    env_state, timestep = many.reset(reset_key, env_params)
    view = seen(env_state, timestep.observation)
    hidden = jnp.zeros((count, n, network.hidden_size))
    start = (env_state, view, hidden, jnp.ones(count, bool))
    (_, final, _, _), record = jax.lax.scan(step, start, jnp.arange(env.time_limit))
    by_episode = [jnp.moveaxis(x, 0, 1) for x in record]
    whole = [
        jnp.concatenate([x, last[:, None]], axis=1)
        for x, last in zip(by_episode[:3], final, strict=True)
    ]
    return Episodes(*whole, *by_episode[3:])


def random_legal(fraction: jax.Array, legal: jax.Array) -> jax.Array:
    """Of the legal actions ``bool[E, A]``, that at ``fraction [E]`` of their list; any if none is.

    Uniform among the legal ones if ``fraction`` is uniform in ``[0, 1)``.
    """
    legal = legal | ~jnp.any(legal, axis=1, keepdims=True)
    total = jnp.sum(legal, axis=1)
    rank = jnp.minimum(jnp.floor(fraction * total), total - 1)
    return jnp.argmax((jnp.cumsum(legal, axis=1) == rank[:, None] + 1) & legal, axis=1)


def objective_returns(
    key: Key,
    env: SwarmEnvironment,
    network: ValueNetwork,
    params: Params,
    preferences: ArrayLike | None = None,
    *,
    num_episodes: int = 1,
    shared: bool = True,
    env_params: PyTree = None,
) -> jax.Array:
    """Mean vector returns of a greedy team under given preferences, all in one call.

    Args:
        key: consumed.
        env: of the team.
        network: of the team.
        params: ``{"agent", "mixer"}``, as in a learner's state.
        preferences: ``[W, m]``, or ``[W, N, m]`` if agents differ; ``None`` for networks of a
            single objective.
        num_episodes: episodes for each preference; 1 suffices where nothing is random.
        shared: agents share weights.
        env_params: physics.

    Returns:
        ``[W, m]``, undiscounted, from ``extras["objectives"]`` (also for networks of one objective,
        ``[1, m]``); ``[W, 1]`` mean rewards if the environment has no vector reward.

    Raises:
        ValueError: for wrong kinds of things, or preferences off the simplex.
    """
    checks.key(key)
    check_team(env, network)
    checks.instance("shared", shared, bool)
    num_episodes = checks.whole("num_episodes", num_episodes, 1)
    check_team_params(network, params, shared)
    w = team_preferences(network, preferences)
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    extras: Any = timestep.extras
    episodes = play(
        key,
        env,
        network,
        params["agent"],
        jnp.repeat(w, num_episodes, axis=0),
        jnp.zeros(len(w) * num_episodes),
        vector_reward if OBJECTIVES in extras else team_reward,
        shared=shared,
        env_params=env_params,
    )
    returns = jnp.sum(episodes.reward, axis=1)
    return jnp.mean(returns.reshape(len(w), num_episodes, -1), axis=1)


def team_preferences(network: ValueNetwork, preferences: ArrayLike | None) -> jax.Array:
    """Preferences of all agents, ``[W, N, m]``; ones for a single objective.

    Raises:
        ValueError: for another shape, or preferences off the simplex.
    """
    n, m = network.num_agents, network.num_objectives
    if m == 1:
        if preferences is not None:
            raise ValueError(
                "preferences: expected None for a network of one objective, got "
                f"{checks.shown(preferences)}"
            )
        return jnp.ones((1, n, 1))
    if preferences is None:
        raise ValueError(f"preferences: expected [W, {m}] or [W, {n}, {m}], got None")
    w = check_preferences("preferences", preferences, m)
    if w.ndim == 2:
        w = jnp.repeat(w[:, None], n, axis=1)
    if w.shape[1:] != (n, m):
        raise ValueError(f"preferences: expected [W, {m}] or [W, {n}, {m}], got {w.shape}")
    return w


def check_team(env: SwarmEnvironment, network: ValueNetwork) -> None:
    """Check that a network is one for a team in an environment.

    Raises:
        ValueError: naming what differs.
    """
    require_environment(env)
    checks.instance("network", network, ValueNetwork, "rl.value_network_for(env)")
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    num_features = jax.eval_shape(features_of, timestep.observation).shape[1]
    found = (network.num_agents, network.num_features)
    if found != (env.num_agents, num_features):
        raise ValueError(
            f"network: expected one for {env.num_agents} agents with {num_features} features, got "
            f"one for {found[0]} with {found[1]}; rl.value_network_for(env) makes one"
        )


def check_team_params(
    network: ValueNetwork, params: Any, shared: bool, name: str = "params"
) -> None:
    """Check that ``params`` are weights of a team's network.

    Raises:
        ValueError: naming the leaf that differs.
    """
    if not isinstance(params, dict) or set(params) != {"agent", "mixer"}:
        raise ValueError(
            f"{name}: expected {{'agent', 'mixer'}} as value_decomposition.initial_params makes "
            f"them, got {checks.shown(params)}"
        )
    if shared:
        return check_weights(params, network.init, None, name)
    check_weights(params["agent"], _part(network.init, "agent"), network.num_agents, name)
    check_weights(params["mixer"], _part(network.init, "mixer"), None, name)


@functools.lru_cache(maxsize=32)
def _part(init: Any, part: str) -> Callable[[Key], Params]:
    """A part of the initial weights; the same function each time, so that jax caches its shapes."""
    return lambda key: init(key)[part]
