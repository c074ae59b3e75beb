"""Evaluate policies on whole episodes: deterministic or sampled actions, once or while learning.

Shapes: ``N`` agents.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks, envs
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.rl.features import features_of
from jaxswarm.rl.networks import Network, distribution_of, over_agents
from jaxswarm.rl.q_networks import QNetwork
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class Evaluation(NamedTuple):
    """Mean returns of whole episodes, ``float32[N]`` each.

    Attributes:
        deterministic: with the modes of the policy's distributions.
        sampled: with actions sampled from them, as during training.
    """

    deterministic: jax.Array
    sampled: jax.Array


def policy(
    network: Network | QNetwork, *, shared: bool, deterministic: bool = False
) -> envs.Policy:
    """Make a policy of the actors, for ``envs.unroll``, :func:`evaluate` and viewers.

    Args:
        network: of every agent, a :class:`Network` or a :class:`jaxswarm.rl.QNetwork`.
        shared: agents share weights.
        deterministic: the mode of the head's distribution instead of a sample.

    Raises:
        ValueError: for something that is no network, or flags that are not ``bool``.
    """
    distribution = distribution_of(network)
    head = network.head
    checks.instance("shared", shared, bool)
    checks.instance("deterministic", deterministic, bool)

    def act_one(
        params: Params, carry: PyTree, features: jax.Array, key: Key
    ) -> tuple[jax.Array, PyTree]:
        carry, outputs = network.actor(params, carry, features)
        if deterministic:
            raw = distribution.mode(params, outputs)
        else:
            raw = distribution.sample(key, params, outputs)[0]
        return head.action(raw), carry

    act_all = over_agents(act_one, shared=shared)

    def init(observation: PyTree) -> PyTree:
        n = observation.agent_mask.shape[0]
        carry = network.initial_carry()["actor"]
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), carry)

    def act(
        key: Key, params: Params, carry: PyTree, observation: PyTree
    ) -> tuple[jax.Array, PyTree]:
        features = features_of(observation)
        inputs = (carry, features, agents.keys(key, features.shape[0]))
        action, carry = act_all(params["actor"], *jax.tree.map(lambda x: x[None], inputs))
        return jax.tree.map(lambda x: x[0], (action, carry))

    return envs.Policy(init, act)


def evaluate(
    key: Key,
    env: SwarmEnvironment,
    policy: envs.Policy,
    num_episodes: int,
    *,
    params: Params = (),
    env_params: PyTree = None,
    discount: ArrayLike = 1.0,
) -> jax.Array:
    """Returns of whole episodes, ``float32[num_episodes, N]``.

    Where agents have episodes of their own (copies of single-agent environments that restart), the
    return is that of each agent's first one.

    Args:
        key: consumed; episode ``i`` draws from ``fold_in(key, i)``.
        env: environment, not wrapped.
        policy: from :func:`jaxswarm.rl.policy`, or a scripted one.
        num_episodes: at least 1, side by side.
        params: weights of the policy.
        env_params: physics of the environment; its own if omitted.
        discount: factor per step in ``[0, 1]``; may be traced.

    Raises:
        ValueError: if ``num_episodes < 1``, or a known discount is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs, rl
        >>> env = envs.Donations(3, time_limit=4)
        >>> network = rl.network_for(env, widths=(8,))
        >>> params = rl.initialize(jax.random.key(0), network, 3, shared=True)
        >>> policy = rl.policy(network, shared=True, deterministic=True)
        >>> rl.evaluate(jax.random.key(1), env, policy, 5, params=params).shape
        (5, 3)
    """
    checks.key(key)
    require_environment(env)
    num_episodes = checks.whole("num_episodes", num_episodes, 1)
    checks.probability("discount", discount)

    def episode(key: Key) -> jax.Array:
        steps = env.time_limit
        _, trajectory = envs.unroll(key, env, policy, steps, params=params, env_params=env_params)
        last = jnp.asarray(trajectory.timestep.last())
        ended = last[:, None] | trajectory.timestep.extras.get("restarted", False)
        counts = jnp.cumsum(ended, axis=0) - ended == 0  # [T, 1] or [T, N]
        weight = jnp.asarray(discount) ** jnp.arange(steps)
        return weight @ jnp.where(counts, trajectory.timestep.reward, 0.0)

    return jax.vmap(episode)(agents.keys(key, num_episodes))


def evaluator(
    key: Key,
    env: SwarmEnvironment,
    network: Network | QNetwork,
    num_episodes: int = 32,
    *,
    shared: bool,
    params: Callable[[PyTree], Params] = lambda state: state.params,
    env_params: PyTree = None,
) -> Callable[[PyTree], Evaluation]:
    """Make an ``evaluate=`` function for ``simulate`` and ``rollout``: mean returns of episodes.

    The episodes are the same every time, so that records differ by what was learned alone.

    Args:
        key: of all episodes.
        env: environment, not wrapped.
        network: of every agent.
        num_episodes: with modes, and as many with samples.
        shared: agents share weights.
        params: finds the networks' weights in a learner's state; ``state.params`` is where PPO has
            them, ``lambda state: state.learner.params`` serves off-policy learners.
        env_params: physics of the environment; its own if omitted.

    Returns:
        ``evaluate(state) -> Evaluation``.

    Raises:
        ValueError: if ``num_episodes < 1``.

    Example::

        evaluate = rl.evaluator(jax.random.key(1), env, network, shared=True)
        state, records = simulate(learner.step, state, 1_000, key=key, every=50, evaluate=evaluate)
        records.evaluation.deterministic  # [20, N]
    """
    checks.key(key)
    require_environment(env)
    num_episodes = checks.whole("num_episodes", num_episodes, 1)
    checks.function("params", params)
    deterministic = policy(network, shared=shared, deterministic=True)
    sampled = policy(network, shared=shared)

    def evaluate_state(state: PyTree) -> Evaluation:
        weights = params(state)

        def mean_return(policy: envs.Policy) -> jax.Array:
            returns = evaluate(
                key, env, policy, num_episodes, params=weights, env_params=env_params
            )
            return jnp.mean(returns, axis=0)

        return Evaluation(mean_return(deterministic), mean_return(sampled))

    return evaluate_state
