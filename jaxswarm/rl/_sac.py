"""Soft actor-critic (SAC) with a learned temperature.

Two critics learn the soft value of actions from replayed experience; the actor maximizes the
smaller of them plus ``α`` times its entropy; the temperature ``α`` moves until the entropy is the
target entropy. Order of an update: critics, actor, temperature, target critics.

Shapes: ``N`` agents, ``B`` items of a batch, ``A`` numbers of an action, ``K`` critics.

References:
    T. Haarnoja et al., Soft actor-critic algorithms and applications, 2018. Its actor maximizes the
    smallest critic; the authors' present code takes their mean (``pessimism=0``).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.rl._off_policy import Learner, off_policy, valid_only
from jaxswarm.rl.actor_critic import (
    apply_gradients,
    check_temperature,
    default_target_entropy,
    sample_actions,
    sample_and_log_prob,
)
from jaxswarm.rl.hyperparameters import (
    POSITIVE,
    SHARE,
    UNIT,
    check_kind,
    check_optimizer,
    check_ranges,
)
from jaxswarm.rl.q_networks import QNetwork, check_q_network
from jaxswarm.rl.replay import Experience
from jaxswarm.rl.returns import masked_mean
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class SACHyperparameters(NamedTuple):
    """Hyper-parameters of SAC; all may be traced, and ``[N]`` each for independent learners.

    Attributes:
        actor_lr: step size of the actor.
        critic_lr: of the critics.
        temperature_lr: of ``log α``; 0 keeps ``α`` as it was given to ``init``.
        discount: ``γ`` in ``[0, 1]``.
        tau: share of the critics that moves into their targets in an update, in ``(0, 1]``.
        pessimism: what the actor maximizes, from the mean of the critics (0) to the smallest (1).
            Targets always take the smallest.
        target_entropy: ``H̄``; ``None`` for ``-A``, measured in units of half the actions' range.
    """

    actor_lr: Any = 3e-4
    critic_lr: Any = 3e-4
    temperature_lr: Any = 3e-4
    discount: Any = 0.99
    tau: Any = 0.005
    pessimism: Any = 1.0
    target_entropy: Any = None


class SACState(NamedTuple):
    """State of one agent's learner.

    Attributes:
        params: weights ``{"actor", "critic"}``.
        target_critic: weights of the target critics.
        log_alpha: ``[]``, logarithm of the temperature.
        opt_state: of the optimizer, ``{"actor", "critic", "temperature"}``.
    """

    params: Params
    target_critic: Params
    log_alpha: jax.Array
    opt_state: dict[str, PyTree]


def sac(
    env: SwarmEnvironment,
    network: QNetwork,
    *,
    optimizer: optax.GradientTransformation | None = None,
    hyperparameters: SACHyperparameters | None = None,
    **options: Any,
) -> Algorithm:
    """Make a SAC learner.

    Args:
        env: environment with bounded continuous actions, not wrapped.
        network: from :func:`jaxswarm.rl.q_network_for`, with any number of critics.
        optimizer: gives the direction, which is then scaled by a step size; Adam if omitted.
        hyperparameters: used where ``step`` gets ``None`` as inputs; the defaults if omitted.
        options: of :func:`jaxswarm.rl.off_policy`: ``num_envs``, ``num_steps``, ``updates``,
            ``batch_size``, ``capacity``, ``warm_up``, ``shared``, ``replay``.

    Returns:
        ``init(params, key, env_params=None, temperature=1.0) -> OffPolicyState`` (the temperature
        may be traced) and ``step(key, state, inputs) -> (state, OffPolicyInfo)``, where ``inputs``
        is a :class:`SACHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, a batch larger than buffer or warm-up, a buffer smaller than one
            step's items, hyper-parameters out of range, a network for another environment or
            learner, a temperature that is not positive.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> env = envs.Pendulum(2)
        >>> network = rl.q_network_for(env, widths=(8,))
        >>> learner = rl.sac(env, network, batch_size=8, capacity=1_000, warm_up=8)
        >>> params = rl.initialize(jax.random.key(0), network, env.num_agents, shared=True)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> state, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> sorted(info.learning)
        ['actor_loss', 'critic_loss', 'entropy', 'temperature', 'value']
    """
    hp = SACHyperparameters() if hyperparameters is None else hyperparameters
    check_hyperparameters(hp, num_learners(env, options))
    learner = sac_learner(env, network, optimizer=optimizer)
    return off_policy(env, network, learner, hyperparameters=hp, **options)


def num_learners(env: SwarmEnvironment, options: dict[str, Any]) -> int | None:
    """Number of independent learners given the options of a loop; ``None`` if agents share."""
    return None if options.get("shared", True) else require_environment(env).num_agents


def sac_learner(
    env: SwarmEnvironment,
    network: QNetwork,
    *,
    optimizer: optax.GradientTransformation | None = None,
) -> Learner:
    """Make SAC's :class:`jaxswarm.rl.Learner`, for a training loop of one's own.

    Raises:
        ValueError: for a network for another environment or learner: critics have one output each.
    """
    check_q_network(network, env, critic_outputs=1)
    optimizer = optax.scale_by_adam() if optimizer is None else optimizer
    check_optimizer(optimizer)
    default_entropy = default_target_entropy(env.action_spec)

    def init(params: Params, temperature: ArrayLike = 1.0) -> SACState:
        check_temperature(temperature)
        log_alpha = jnp.log(jnp.asarray(temperature, jnp.float32))
        parts = {**params, "temperature": log_alpha}
        opt_state = {name: optimizer.init(part) for name, part in parts.items()}
        return SACState(params, params["critic"], log_alpha, opt_state)

    def act(key: Key, state: SACState, features: jax.Array) -> jax.Array:
        outputs = network.actor_outputs(state.params["actor"], features)
        return sample_actions(key, network, outputs)

    def descend(
        name: str, grads: PyTree, state: SACState, params: Params, lr: float | jax.Array
    ) -> tuple[Params, dict[str, PyTree]]:
        params, opt_state = apply_gradients(optimizer, grads, state.opt_state[name], params, lr)
        return params, state.opt_state | {name: opt_state}

    def update_critic(
        key: Key, state: SACState, batch: Experience, hp: SACHyperparameters
    ) -> tuple[SACState, dict[str, jax.Array]]:
        critic, target = state.params["critic"], q_target(key, network, state, batch, hp)
        loss_and_grads = jax.value_and_grad(critic_loss, has_aux=True)
        (loss, value), grads = loss_and_grads(critic, network, batch, target)
        critic, opt_state = descend("critic", grads, state, critic, hp.critic_lr)
        state = state._replace(params=state.params | {"critic": critic}, opt_state=opt_state)
        return state, {"critic_loss": loss, "value": value}

    def update_actor(
        key: Key, state: SACState, batch: Experience, hp: SACHyperparameters
    ) -> tuple[SACState, dict[str, jax.Array]]:
        actor, critic = state.params["actor"], state.params["critic"]
        loss_and_grads = jax.value_and_grad(actor_loss, argnums=1, has_aux=True)
        (loss, entropy), grads = loss_and_grads(
            key, actor, network, critic, jnp.exp(state.log_alpha), batch, hp
        )
        actor, opt_state = descend("actor", grads, state, actor, hp.actor_lr)
        state = state._replace(params=state.params | {"actor": actor}, opt_state=opt_state)
        return state, {"actor_loss": loss, "entropy": entropy}

    def update_temperature(
        state: SACState, entropy: jax.Array, hp: SACHyperparameters
    ) -> tuple[SACState, dict[str, jax.Array]]:
        target_entropy = default_entropy if hp.target_entropy is None else hp.target_entropy
        grads = jax.grad(temperature_loss)(state.log_alpha, entropy, target_entropy)
        log_alpha, opt_state = descend(
            "temperature", grads, state, state.log_alpha, hp.temperature_lr
        )
        state = state._replace(log_alpha=log_alpha, opt_state=opt_state)
        return state, {"temperature": jnp.exp(log_alpha)}

    def update(
        key: Key, state: SACState, batch: Experience, hp: SACHyperparameters
    ) -> tuple[SACState, dict[str, jax.Array]]:
        critic_key, actor_key = jax.random.split(key)
        state, critic_metrics = update_critic(critic_key, state, batch, hp)
        state, actor_metrics = update_actor(actor_key, state, batch, hp)
        state, temperature = update_temperature(state, actor_metrics["entropy"], hp)
        target = optax.incremental_update(state.params["critic"], state.target_critic, hp.tau)
        metrics = critic_metrics | actor_metrics | temperature
        return state._replace(target_critic=target), metrics

    return Learner(init, act, valid_only(update))


def q_target(
    key: Key, network: QNetwork, state: SACState, batch: Experience, hp: SACHyperparameters
) -> jax.Array:
    """Soft one-step targets of the critics, ``[B]``, from the smallest target critic."""
    raw, log_prob = sample_and_log_prob(key, network, state.params["actor"], batch.next_features)
    action = network.unit_action(raw)
    q = network.q_values(state.target_critic, batch.next_features, action)[..., 0]
    soft_value = jnp.min(q, axis=0) - jnp.exp(state.log_alpha) * log_prob
    return batch.reward + hp.discount * batch.discount * soft_value


def critic_loss(
    critic: Params, network: QNetwork, batch: Experience, target: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Half the squared error of all critics, summed over them; and the first one's mean value."""
    q = network.q_values(critic, batch.features, network.unit_action(batch.raw))[..., 0]
    error = jnp.sum(jnp.square(q - target[None]), axis=0)
    return 0.5 * masked_mean(error, batch.mask), masked_mean(q[0], batch.mask)


def actor_loss(
    key: Key,
    actor: Params,
    network: QNetwork,
    critic: Params,
    alpha: jax.Array,
    batch: Experience,
    hp: SACHyperparameters,
) -> tuple[jax.Array, jax.Array]:
    """``α log π − Q`` at sampled actions, and the entropy of the policy."""
    raw, log_prob = sample_and_log_prob(key, network, actor, batch.features)
    q = network.q_values(critic, batch.features, network.unit_action(raw))[..., 0]
    mean = jnp.mean(q, axis=0)
    q = mean - hp.pessimism * (mean - jnp.min(q, axis=0))
    return masked_mean(alpha * log_prob - q, batch.mask), -masked_mean(log_prob, batch.mask)


def temperature_loss(
    log_alpha: jax.Array, entropy: jax.Array, target_entropy: ArrayLike
) -> jax.Array:
    """``α (H − H̄)``, whose descent raises ``α`` where the entropy is below its target."""
    return jnp.exp(log_alpha) * jax.lax.stop_gradient(entropy - target_entropy)


def check_hyperparameters(
    hp: SACHyperparameters, num_agents: int | None = None
) -> SACHyperparameters:
    """Check the known values and return all; traced ones pass.

    Args:
        hp: what the caller gave.
        num_agents: number of independent learners; ``None`` if agents share one.

    Raises:
        ValueError: for another type, or naming a value that is out of its range.
    """
    check_kind(hp, SACHyperparameters)
    ranges = {"actor_lr": POSITIVE, "critic_lr": POSITIVE, "temperature_lr": POSITIVE}
    ranges |= {"discount": UNIT, "pessimism": UNIT, "tau": SHARE}
    ranges |= {"target_entropy": (-math.inf, math.inf)}
    check_ranges(hp, ranges, optional=("target_entropy",), num_agents=num_agents)
    return hp
