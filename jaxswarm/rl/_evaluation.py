"""How good a policy is: whole episodes, by its modes or by samples, once or while it learns.

Shapes: ``N`` agents.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, envs
from jaxswarm.rl.networks import features_of, law_of, over_agents

PyTree = Any


class Evaluation(NamedTuple):
    """Mean returns of whole episodes, ``[N]`` each.

    Attributes:
        deterministic: by the policy's modes.
        sampled: by draws from it, as it acts while it learns.
    """

    deterministic: jax.Array
    sampled: jax.Array


def policy(network: Any, *, shared: bool, deterministic: bool = False) -> envs.Policy:
    """The actors as a policy for ``envs.unroll`` and viewers; it needs no critic and no state.

    Args:
        network: of every agent, a :class:`Network` or a :class:`jaxswarm.rl.QNetwork`.
        shared: agents share parameters.
        deterministic: the head's mode instead of a sample.
    """
    head, law = network.head, law_of(network)

    def one(params: PyTree, carry: PyTree, features: jax.Array, key: jax.Array) -> Any:
        carry, outputs = network.actor(params, carry, features)
        if deterministic:
            raw = law.mode(params, outputs)
        else:
            raw = law.sample(params, key, outputs)[0]
        return head.action(raw), carry

    lifted = over_agents(one, shared=shared)

    def init(observation: PyTree) -> PyTree:
        n = observation.agent_mask.shape[0]
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), network.start()["actor"])

    def act(key: jax.Array, params: PyTree, carry: PyTree, observation: PyTree) -> Any:
        features = features_of(observation)
        inputs = (carry, features, agents.keys(key, features.shape[0]))
        action, carry = lifted(params["actor"], *jax.tree.map(lambda x: x[None], inputs))
        return jax.tree.map(lambda x: x[0], (action, carry))

    return envs.Policy(init, act)


def evaluate(
    env: Any,
    acting: envs.Policy,
    key: jax.Array,
    num_episodes: int,
    *,
    params: PyTree = (),
    physics: PyTree = None,
    discount: Any = 1.0,
) -> jax.Array:
    """Returns of whole episodes, ``[num_episodes, N]``.

    Args:
        env: an environment, not wrapped.
        acting: whatever acts: :func:`policy`, or a scripted one.
        key: consumed; episode ``i`` draws from ``fold_in(key, i)``.
        num_episodes: at least 1, side by side.
        params: of the policy.
        physics: of the environment.
        discount: factor per step; may be traced.

    Raises:
        ValueError: without episodes.
    """
    if num_episodes < 1:
        raise ValueError(f"num_episodes: expected at least 1, got {num_episodes}")

    def episode(key: jax.Array) -> jax.Array:
        steps = env.time_limit
        _, done = envs.unroll(key, env, acting, steps, params=params, env_params=physics)
        over = jnp.cumsum(done.timestep.last()) - done.timestep.last()  # before this step
        weight = jnp.where(over == 0, jnp.asarray(discount) ** jnp.arange(steps), 0.0)
        return weight @ done.timestep.reward

    return jax.vmap(episode)(agents.keys(key, num_episodes))


def evaluation(
    env: Any,
    network: Any,
    key: jax.Array,
    num_episodes: int = 32,
    *,
    shared: bool,
    params: Callable[[PyTree], PyTree] = lambda state: state.params,
    physics: PyTree = None,
) -> Callable[[PyTree], Evaluation]:
    """What ``simulate`` and ``rollout`` are to look at at fixed intervals, as ``evaluate=``.

    The episodes are the same every time, so that records differ by what was learnt alone.

    Args:
        env: an environment, not wrapped.
        network: of every agent.
        key: of all episodes.
        num_episodes: of each kind.
        shared: agents share parameters.
        params: finds the networks' parameters in a learner's state; ``state.params`` is where PPO
            has them, ``lambda state: state.learner.params`` serves the others.
        physics: of the environment.

    Returns:
        ``evaluate(state) -> Evaluation``.

    Raises:
        ValueError: without episodes.

    Example::

        look = rl.evaluation(env, network, jax.random.key(1), shared=True)
        state, records = simulate(learner.step, state, 1_000, key=key, every=50, evaluate=look)
        records.evaluation.deterministic  # [20, N]
    """
    if num_episodes < 1:
        raise ValueError(f"num_episodes: expected at least 1, got {num_episodes}")
    modes = policy(network, shared=shared, deterministic=True)
    draws = policy(network, shared=shared)

    def look(state: PyTree) -> Evaluation:
        held = params(state)

        def mean(acting: envs.Policy) -> jax.Array:
            played = evaluate(env, acting, key, num_episodes, params=held, physics=physics)
            return jnp.mean(played, axis=0)

        return Evaluation(mean(modes), mean(draws))

    return look
