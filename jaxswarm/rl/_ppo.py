"""Proximal policy optimization (PPO), with shared weights (MAPPO) or independent learners (IPPO).

``step`` is one iteration: collect ``T`` steps in ``E`` environments, then some epochs of clipped
updates over shuffled minibatches. Agents share one set of weights, or each has its own and learns
from its own experience (independent learners: the same update, vmapped). Seeds and
hyper-parameters are outer ``vmap``s.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents, ``G`` groups of them, ``B`` sequences of one
learner (``E N`` if shared, else ``E``), ``M`` minibatches.

References:
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
    C. S. de Witt et al., Is independent learning all you need in the StarCraft multi-agent
    challenge?, 2020 (IPPO). C. Yu et al., The surprising effectiveness of PPO in cooperative
    multi-agent games, 2022 (MAPPO: a critic that sees the global state).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from jaxswarm import checks
from jaxswarm._optimizers import init_per_agent
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.rl.hyperparameters import check_weights
from jaxswarm.rl.networks import Network, check_network
from jaxswarm.rl.on_policy import OnPolicyRunner
from jaxswarm.rl.ppo_loss import PPOHyperparameters, check_hyperparameters
from jaxswarm.rl.ppo_update import (
    default_optimizer,
    ppo_update,
    update_each,
    update_groups,
    update_shared,
)
from jaxswarm.rl.returns import masked_mean
from jaxswarm.rl.runner import EpisodeStats, RunnerState
from jaxswarm.rl.value_statistics import NormalizedState, initial_statistics
from jaxswarm.types import Key, Params, PyTree


class PPOState(NamedTuple):
    """State of the learner.

    Attributes:
        params: weights ``{"actor", "critic"}``, leaves ``[N, …]`` for independent learners,
            ``[G, …]`` for groups.
        opt_state: of the optimizer; with ``normalize_values`` it holds the statistics too.
        runner: the environments, and the recurrent states of the networks.
    """

    params: Params
    opt_state: PyTree
    runner: RunnerState


class PPOInfo(NamedTuple):
    """Metrics of an iteration; means over its last epoch, ``[]`` if shared, else one per learner.

    Attributes:
        policy_loss: clipped surrogate, negated.
        value_loss: half the squared error of the critic.
        entropy: of the policy.
        kl: estimated divergence of the new policy from the collecting one.
        clip_fraction: share of ratios outside the clip range, in ``[0, 1]``.
        reward: ``[]``, mean reward per agent and step of this iteration.
        episodes: statistics of the episodes that ended in this iteration.
    """

    policy_loss: jax.Array
    value_loss: jax.Array
    entropy: jax.Array
    kl: jax.Array
    clip_fraction: jax.Array
    reward: jax.Array
    episodes: EpisodeStats


def ppo(
    env: SwarmEnvironment,
    network: Network,
    *,
    num_envs: int = 16,
    num_steps: int = 64,
    epochs: int = 4,
    minibatches: int = 4,
    shared: bool = True,
    groups: Sequence[int] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    max_grad_norm: float = 0.5,
    schedule: optax.Schedule | None = None,
    hyperparameters: PPOHyperparameters | None = None,
    normalize: bool = True,
    normalize_values: bool = False,
) -> Algorithm:
    """Make a PPO learner.

    Args:
        env: environment, not wrapped.
        network: from :func:`jaxswarm.rl.network_for`, for instance. If recurrent, minibatches are
            of whole sequences; else of single steps.
        num_envs: ``E``.
        num_steps: ``T`` per iteration.
        epochs: passes over the collected transitions.
        minibatches: ``M``; divides ``B`` (recurrent networks) or ``T B``.
        shared: one set of weights for all agents, else independent learners.
        groups: ``[N]``, the group ``0 … G - 1`` of each agent; agents of a group share weights.
            Overrides ``shared``. Weights are those of ``initialize(key, network, G,
            shared=False)``, and ``jaxswarm.rl.weights_of_agents`` gives each agent its own.
        optimizer: gives the direction, which is then scaled by ``-lr``; Adam after clipping the
            gradient's norm if omitted.
        max_grad_norm: norm to which the default optimizer clips gradients.
        schedule: factor on the default optimizer's direction, a function of the number of gradient
            steps so far, such as ``optax.linear_schedule(1.0, 0.0, steps)``.
        hyperparameters: used where ``step`` gets ``None`` as inputs; the defaults if omitted.
        normalize: bring the advantages of one iteration to mean 0 and standard deviation 1.
        normalize_values: the critic regresses targets of mean 0 and standard deviation 1, by their
            running statistics; thresholds such as ``huber`` and ``value_clip`` are in these units.

    Returns:
        ``init(params, key, env_params=None) -> PPOState``, with ``params`` from
        :func:`jaxswarm.rl.initialize` and ``env_params`` the environment's physics; and
        ``step(key, state, inputs) -> (state, PPOInfo)`` where ``inputs`` is a
        :class:`PPOHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, minibatches that do not divide the batch, hyper-parameters out
            of range, or a network for another environment or learner; in ``init``, weights of
            another shape.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> env = envs.Donations(3, time_limit=4)
        >>> network = rl.network_for(env, widths=(8,))
        >>> learner = rl.ppo(env, network, num_envs=2, num_steps=4, epochs=1, minibatches=1)
        >>> params = rl.initialize(jax.random.key(0), network, env.num_agents, shared=True)
        >>> state = jax.jit(learner.init)(params, jax.random.key(1))
        >>> state, info = jax.jit(learner.step)(jax.random.key(2), state)
        >>> int(info.episodes.count), info.episodes.mean_return.shape
        (2, (3,))
    """
    ids = None if groups is None else check_groups(groups, require_environment(env).num_agents)
    runner = OnPolicyRunner(env, network, num_envs, shared if ids is None else False)
    hp = PPOHyperparameters() if hyperparameters is None else hyperparameters
    learners, learner_size = (None, env.num_agents) if shared else (env.num_agents, 1)
    if ids is not None:
        learners, learner_size = max(ids) + 1, int(np.bincount(ids).max())
    check_hyperparameters(hp, learners)
    if optimizer is not None and schedule is not None:
        raise ValueError("schedule: expected None beside an optimizer, which may have its own")
    default = default_optimizer(max_grad_norm, schedule)
    optimizer = default if optimizer is None else optimizer
    update = ppo_update(
        network,
        optimizer,
        num_sequences=num_envs * learner_size,
        num_steps=num_steps,
        epochs=epochs,
        minibatches=minibatches,
        normalize=normalize,
        normalize_values=normalize_values,
    )
    if ids is not None:
        update = update_groups(update, ids)
    else:
        update = update_shared(update) if shared else update_each(update, env.num_agents)

    def init(params: Params, key: Key, env_params: PyTree = None) -> PPOState:
        check_weights(params, network.init, learners)
        one = learners is None
        opt_state = optimizer.init(params) if one else init_per_agent(optimizer, params)
        if normalize_values:
            opt_state = NormalizedState(opt_state, initial_statistics(learners))
        return PPOState(params, opt_state, runner.reset(key, env_params))

    def step(
        key: Key, state: PPOState, inputs: PPOHyperparameters | None = None
    ) -> tuple[PPOState, PPOInfo]:
        checks.instance("state", state, PPOState, "what init returns")
        now = hp if inputs is None else check_hyperparameters(inputs, learners, "inputs")
        collect_key, update_key = jax.random.split(checks.key(key))
        carry = state.runner.carry.recurrent
        runner_state, transitions, episodes = runner.collect(
            collect_key, weights_of_agents(state.params, ids), state.runner, num_steps
        )
        params, opt_state, metrics = update(
            update_key,
            state.params,
            state.opt_state,
            transitions,
            carry,
            now,
        )
        reward = masked_mean(transitions.reward, transitions.mask)
        info = PPOInfo(**metrics, reward=reward, episodes=episodes)
        return PPOState(params, opt_state, runner_state), info

    return Algorithm(init, step)  # type: ignore[arg-type]


def check_groups(groups: Sequence[int], num_agents: int) -> tuple[int, ...]:
    """Check the groups ``0 … G - 1`` of all agents, each with a member, and return them.

    Raises:
        ValueError: for another number of agents, or a group without members.
    """
    array = checks.wholes("groups", groups, 0, num_agents - 1, shape=(num_agents,))
    ids = tuple(int(group) for group in array)
    if len(set(ids)) != max(ids) + 1:
        raise ValueError(f"groups: expected members for each of 0 … {max(ids)}, got {ids}")
    return ids


def weights_of_agents(params: Params, groups: Sequence[int] | None) -> Params:
    """Weights of each agent, leaves ``[N, …]``, from those of groups, leaves ``[G, …]``.

    Args:
        params: of a learner with ``groups``.
        groups: ``[N]``; ``None`` returns the weights as they are.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm import rl
        >>> rl.weights_of_agents({"actor": jnp.array([1.0, 2.0])}, (0, 1, 1))["actor"].tolist()
        [1.0, 2.0, 2.0]
    """
    if groups is None:
        return params
    ids = checks.wholes("groups", groups, 0, shape=(None,))
    return jax.tree.map(lambda x: x[np.asarray(ids)], params)


def ippo(
    env: SwarmEnvironment, network: Network, *, shared: bool = False, **options: Any
) -> Algorithm:
    """Independent PPO (IPPO): every agent learns by PPO, its critic sees its own observation.

    Args:
        env: environment, not wrapped.
        network: with a critic of the own observation, such as ``network_for(env)``.
        shared: share one set of weights, as de Witt et al. (2020) do, instead of one per agent.
        options: of :func:`ppo`, such as ``num_envs`` and ``hyperparameters``.

    Returns:
        ``(init, step)`` as of :func:`ppo`.

    Raises:
        ValueError: if the critic sees the global state, and as of :func:`ppo`.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> env = envs.Donations(3)
        >>> network = rl.network_for(env, widths=(8,))
        >>> learner = rl.ippo(env, network, num_envs=2, num_steps=8)
        >>> params = rl.initialize(jax.random.key(0), network, 3, shared=False)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> _, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.value_loss.shape  # one loss per learner
        (3,)
    """
    if check_network(network, env).centralized:
        raise ValueError(
            "network: expected a critic of the own observation, got one of the global state; "
            'try network_for(env, critic="own") or mappo'
        )
    return ppo(env, network, shared=shared, **options)


def mappo(
    env: SwarmEnvironment, network: Network, *, shared: bool = True, **options: Any
) -> Algorithm:
    """Multi-agent PPO (MAPPO): shared weights, and a critic that sees the global state.

    Training is centralized, execution is not: actors see their own observation alone.

    Args:
        env: environment with a ``global_state``, not wrapped.
        network: with a critic of the global state, such as ``network_for(env, critic="global")``.
        shared: one set of weights for all agents, else one per agent.
        options: of :func:`ppo`, such as ``num_envs`` and ``hyperparameters``.

    Returns:
        ``(init, step)`` as of :func:`ppo`.

    Raises:
        ValueError: if the critic does not see the global state, and as of :func:`ppo`.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> env = envs.Donations(3)
        >>> network = rl.network_for(env, critic="global", widths=(8,))
        >>> learner = rl.mappo(env, network, num_envs=2, num_steps=8)
        >>> params = rl.initialize(jax.random.key(0), network, 3, shared=True)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> _, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.value_loss.shape  # one loss: all agents share the networks
        ()
    """
    if not check_network(network, env).centralized:
        raise ValueError(
            "network: expected a critic of the global state, got one of the own observation; "
            'try network_for(env, critic="global") or ippo'
        )
    return ppo(env, network, shared=shared, **options)
