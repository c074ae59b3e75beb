"""The contract of a policy (scripted, learned or random), and rollouts of an environment.

A policy is a pair of pure functions. Its ``carry`` is its memory between steps (none, a recurrent
state, a step count), with agents on axis 0 if each agent has its own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs
from jumanji.types import TimeStep

from jaxswarm import agents, checks
from jaxswarm.envs.environment import SwarmEnvironment
from jaxswarm.envs.wrappers import AutoReset, Vmapped
from jaxswarm.types import Key, Params, PyTree


class Policy(NamedTuple):
    """A policy of all agents, as pure functions.

    Attributes:
        init: ``init(observation) -> carry``.
        act: ``act(key, params, carry, observation) -> (action, carry)`` for all agents at once;
            ``params`` are the learned parameters, ``()`` for a scripted policy.
    """

    init: Callable[[PyTree], PyTree]
    act: Callable[[jax.Array, PyTree, PyTree, PyTree], tuple[jax.Array, PyTree]]


def scripted(act: Callable[[jax.Array, PyTree], jax.Array]) -> Policy:
    """Build a policy without memory or parameters from ``act(key, observation) -> action``.

    Raises:
        ValueError: if ``act`` is not a function.
    """
    checks.function("act", act)

    def init(observation: PyTree) -> PyTree:
        del observation
        return ()

    def with_carry(
        key: jax.Array, params: Params, carry: PyTree, observation: PyTree
    ) -> tuple[jax.Array, PyTree]:
        del params
        return act(key, observation), carry

    return Policy(init, with_carry)


def random_policy(action_spec: specs.Array) -> Policy:
    """Policy of uniformly random actions within a spec; agent ``i`` draws from its own stream.

    Raises:
        ValueError: if the actions are neither discrete nor bounded.
    """
    checks.instance("action_spec", action_spec, specs.Array, "env.action_spec")
    shape = action_spec.shape
    if not shape:
        raise ValueError("action_spec: expected an agents axis, got a scalar action")
    if isinstance(action_spec, specs.MultiDiscreteArray):
        counts = jnp.asarray(action_spec.num_values)

        def act(key: jax.Array, observation: PyTree) -> jax.Array:
            return jax.vmap(lambda k, n: jax.random.randint(k, n.shape, 0, n))(
                agents.keys(key, shape[0]), counts
            )
    elif isinstance(action_spec, specs.BoundedArray):
        low = jnp.broadcast_to(jnp.asarray(action_spec.minimum), shape)
        high = jnp.broadcast_to(jnp.asarray(action_spec.maximum), shape)

        def act(key: jax.Array, observation: PyTree) -> jax.Array:
            return jax.vmap(
                lambda k, a, b: jax.random.uniform(k, a.shape, action_spec.dtype, a, b)
            )(agents.keys(key, shape[0]), low, high)
    else:
        raise ValueError(f"action_spec: expected discrete or bounded actions, got {action_spec}")
    return scripted(act)


class Trajectory(NamedTuple):
    """``T`` steps of an episode (or of several, with :class:`jaxswarm.envs.AutoReset`).

    Attributes:
        observation: leaves ``[T, N, ...]``, the observations before acting.
        action: ``[T, N, ...]``.
        timestep: leaves ``[T, ...]``, the time steps that the actions led to.
        state: leaves ``[T, ...]``, the states after each step; ``None`` unless ``keep_states``.
    """

    observation: PyTree
    action: jax.Array
    timestep: TimeStep
    state: PyTree


def unroll(
    key: Key,
    env: SwarmEnvironment | AutoReset | Vmapped,
    policy: Policy,
    num_steps: int,
    *,
    params: Params = (),
    env_params: PyTree = None,
    keep_states: bool = False,
) -> tuple[PyTree, Trajectory]:
    """Run a policy in an environment for ``num_steps`` steps from a reset; one ``lax.scan``.

    Wrap the environment in :class:`jaxswarm.envs.AutoReset` if an episode may end before.

    Args:
        key: a typed key.
        env: a :class:`jaxswarm.envs.SwarmEnvironment`, wrapped or not.
        policy: of all agents.
        num_steps: ``T``, static.
        params: the policy's learned parameters.
        env_params: the environment's physics, the default ones if ``None``.
        keep_states: keep every state, for rendering.

    Returns:
        ``(state, trajectory)``: the last state and the :class:`Trajectory`.

    Raises:
        ValueError: if ``num_steps < 1``, or ``env`` or ``policy`` is of another kind.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> env = envs.SimpleSpread(num_agents=3)
        >>> policy = envs.random_policy(env.action_spec)
        >>> state, trajectory = envs.unroll(jax.random.key(0), env, policy, 10)
        >>> trajectory.timestep.reward.shape
        (10, 3)
    """
    checks.key(key)
    num_steps = checks.whole("num_steps", num_steps, 1)
    if not (hasattr(env, "reset") and hasattr(env, "step")):
        raise ValueError(f"env: expected an environment, got {checks.shown(env)}")
    if not (hasattr(policy, "init") and hasattr(policy, "act")):
        raise ValueError(f"policy: expected a Policy, got {checks.shown(policy)}")
    reset_key, run_key = jax.random.split(key)
    state, first = env.reset(reset_key) if env_params is None else env.reset(reset_key, env_params)

    def advance(carry: Any, index: jax.Array) -> tuple[Any, Trajectory]:
        state, memory, observation = carry
        act_key = jax.random.fold_in(run_key, index)
        action, memory = policy.act(act_key, params, memory, observation)
        state, timestep = env.step(state, action)
        kept = Trajectory(observation, action, timestep, state if keep_states else None)
        return (state, memory, timestep.observation), kept

    start = (state, policy.init(first.observation), first.observation)
    (state, _, _), trajectory = jax.lax.scan(advance, start, jnp.arange(num_steps))
    return state, trajectory
