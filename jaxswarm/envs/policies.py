"""Policies and unrolling: one protocol for scripted, learned and random agents.

A policy is a pair of pure functions. Its ``carry`` is whatever it remembers between steps (nothing,
a recurrent state, a clock), with agents on axis 0 if they remember apart.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs
from jumanji.types import TimeStep

from jaxswarm import agents

PyTree = Any


class Policy(NamedTuple):
    """What agents do.

    Attributes:
        init: ``init(observation) -> carry``.
        act: ``act(key, params, carry, observation) -> (action, carry)`` for all agents at once;
            ``params`` are the learned parameters, ``()`` for a scripted policy.
    """

    init: Callable[[PyTree], PyTree]
    act: Callable[[jax.Array, PyTree, PyTree, PyTree], tuple[jax.Array, PyTree]]


def scripted(act: Callable[[jax.Array, PyTree], jax.Array]) -> Policy:
    """A policy without memory or parameters from ``act(key, observation) -> action``."""
    return Policy(lambda observation: (), lambda key, params, carry, seen: (act(key, seen), carry))


def random_policy(action_spec: specs.Array) -> Policy:
    """Uniformly random actions within the spec; agent ``i`` draws from its own stream.

    Raises:
        ValueError: if the actions are neither discrete nor bounded.
    """
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
    """``T`` steps of an episode (or of many, with :class:`jaxswarm.envs.AutoReset`).

    Attributes:
        observation: leaves ``[T, N, ...]``, what agents saw before acting.
        action: ``[T, N, ...]``.
        timestep: leaves ``[T, ...]``, what came of it.
        state: leaves ``[T, ...]``, the states after each step; ``None`` unless asked for.
    """

    observation: PyTree
    action: jax.Array
    timestep: TimeStep
    state: PyTree


def unroll(
    env: Any,
    policy: Policy,
    key: jax.Array,
    num_steps: int,
    *,
    params: PyTree = (),
    physics: PyTree = None,
    keep_states: bool = False,
) -> tuple[PyTree, Trajectory]:
    """Let a policy act for ``num_steps`` steps from a reset; one ``lax.scan``.

    Wrap the environment in :class:`jaxswarm.envs.AutoReset` if an episode may end before.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment`, wrapped or not.
        policy: who acts.
        key: a typed key.
        num_steps: ``T``, static.
        params: the policy's.
        physics: the environment's, the default ones if ``None``.
        keep_states: keep every state, for rendering.

    Returns:
        ``(state, trajectory)``: the last state and the :class:`Trajectory`.

    Raises:
        ValueError: if ``num_steps < 1``.
    """
    if num_steps < 1:
        raise ValueError(f"num_steps: expected at least 1, got {num_steps}")
    reset_key, run_key = jax.random.split(key)
    state, first = env.reset(reset_key) if physics is None else env.reset(reset_key, physics)

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
