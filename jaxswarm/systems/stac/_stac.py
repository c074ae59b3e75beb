"""STAC: soft actor-critic with pessimism from a distributional critic's standard deviation.

The critic is a Gaussian over the one-step target: its standard deviation is the spread of reward,
transition and policy (aleatoric uncertainty), not of what is unknown. Target and actor both
subtract ``β`` standard deviations, which replaces the smaller of two critics. A little dropout
stays on while learning, in the target critic too.

Shapes: ``N`` agents, ``B`` items of a batch.

References:
    U. Özalp, STAC: stochastic actor-critic, 2026.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl import Experience, Learner, QNetwork, off_policy, q_network_for
from jaxswarm.rl._off_policy import valid_only
from jaxswarm.rl._sac import num_learners
from jaxswarm.rl.actor_critic import (
    apply_gradients,
    check_temperature,
    default_target_entropy,
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
from jaxswarm.rl.q_networks import check_q_network, critic_shape
from jaxswarm.rl.returns import masked_mean
from jaxswarm.types import ArrayLike, Key, Params, PyTree

MIN_OUTPUT = -5.0  # of the output whose softplus is the critic's standard deviation


class STACHyperparameters(NamedTuple):
    """Hyper-parameters of STAC; all may be traced, and ``[N]`` each for independent learners.

    Attributes:
        actor_lr: step size of the actor.
        critic_lr: of the critic.
        temperature_lr: of the temperature, which moves by a factor ``exp(lr α (H̄ - H))``; 0 keeps
            it as it was given to ``init``.
        discount: ``γ`` in ``[0, 1]``.
        tau: share of the critic that moves into its target in an update, in ``(0, 1]``.
        beta: ``β``, standard deviations subtracted; below 0 seeks risk.
        target_entropy: ``H̄``; ``None`` for ``-A``, measured in units of half the actions' range.
    """

    actor_lr: Any = 3e-4
    critic_lr: Any = 3e-4
    temperature_lr: Any = 3e-4
    discount: Any = 0.99
    tau: Any = 0.005
    beta: Any = 0.25
    target_entropy: Any = None


class STACState(NamedTuple):
    """State of one agent's learner.

    Attributes:
        params: weights ``{"actor", "critic"}``.
        target_critic: weights of the target critic.
        alpha: ``[]``, the temperature.
        opt_state: of the optimizer, ``{"actor", "critic"}``.
    """

    params: Params
    target_critic: Params
    alpha: jax.Array
    opt_state: dict[str, PyTree]


def stac_network_for(env: SwarmEnvironment, *, dropout: float = 0.01, **options: Any) -> QNetwork:
    """Make STAC's networks: an actor and one critic that outputs mean and standard deviation.

    Args:
        env: environment with bounded continuous actions.
        dropout: of the critic's hidden units; ``actor_dropout`` is an option of its own.
        options: of :func:`jaxswarm.rl.q_network_for`.

    Raises:
        ValueError: as :func:`jaxswarm.rl.q_network_for`.
    """
    defaults: dict[str, Any] = {"layer_norm": True, "std": "softplus", "critic_dropout": dropout}
    return q_network_for(env, num_critics=1, critic_outputs=2, **(defaults | options))


def stac(
    env: SwarmEnvironment,
    network: QNetwork,
    *,
    risk_seeking: bool = False,
    optimizer: optax.GradientTransformation | None = None,
    hyperparameters: STACHyperparameters | None = None,
    **options: Any,
) -> Algorithm:
    """Make a STAC learner.

    Args:
        env: environment with bounded continuous actions, not wrapped.
        network: from :func:`stac_network_for`.
        risk_seeking: allow ``β < 0``.
        optimizer: gives the direction, which is then scaled by a step size; Adam if omitted.
        hyperparameters: used where ``step`` gets ``None`` as inputs; the defaults if omitted.
        options: of :func:`jaxswarm.rl.off_policy`, such as ``batch_size`` and ``warm_up``.

    Returns:
        ``init(params, key, env_params=None, temperature=0.2) -> OffPolicyState`` (the temperature
        may be traced) and ``step(key, state, inputs) -> (state, OffPolicyInfo)``, where ``inputs``
        is a :class:`STACHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, a batch larger than buffer or warm-up, hyper-parameters out of
            range, a network with other than one critic of two outputs or for another environment, a
            temperature that is not positive.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> from jaxswarm.systems import stac
        >>> env = envs.Pendulum(2)
        >>> network = stac.stac_network_for(env, widths=(8,))
        >>> learner = stac.stac(env, network, batch_size=8, warm_up=8)
        >>> params = jax.eval_shape(network.init, jax.random.key(0))
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> state.learner.alpha.shape
        ()
    """
    hp = STACHyperparameters() if hyperparameters is None else hyperparameters
    check_kind(hp, STACHyperparameters)
    checks.instance("risk_seeking", risk_seeking, bool)
    ranges = {"actor_lr": POSITIVE, "critic_lr": POSITIVE, "temperature_lr": POSITIVE}
    ranges |= {"discount": UNIT, "tau": SHARE, "target_entropy": (-np.inf, np.inf)}
    ranges |= {"beta": (-np.inf if risk_seeking else 0.0, np.inf)}
    learners = num_learners(env, options)
    check_ranges(hp, ranges, optional=("target_entropy",), num_agents=learners)
    learner = stac_learner(env, network, optimizer=optimizer)
    return off_policy(env, network, learner, hyperparameters=hp, **options)


def stac_learner(
    env: SwarmEnvironment,
    network: QNetwork,
    *,
    optimizer: optax.GradientTransformation | None = None,
) -> Learner:
    """Make STAC's :class:`jaxswarm.rl.Learner`, for a training loop of one's own.

    Raises:
        ValueError: for a network with other than one critic of two outputs, or for another
            environment.
    """
    check_q_network(network, env, maker="stac.stac_network_for(env)")
    _check_critic(network)
    optimizer = optax.scale_by_adam() if optimizer is None else optimizer
    check_optimizer(optimizer)
    default_entropy = default_target_entropy(env.action_spec)

    def init(params: Params, temperature: ArrayLike = 0.2) -> STACState:
        check_temperature(temperature)
        opt_state = {name: optimizer.init(part) for name, part in params.items()}
        alpha = jnp.asarray(temperature, jnp.float32)
        return STACState(params, params["critic"], alpha, opt_state)

    def act(key: Key, state: STACState, features: jax.Array) -> jax.Array:
        return sample_and_log_prob(key, network, state.params["actor"], features)[0]

    def descend(name: str, grads: PyTree, state: STACState, lr: float | jax.Array) -> STACState:
        params, opt_state = apply_gradients(
            optimizer, grads, state.opt_state[name], state.params[name], lr
        )
        return state._replace(
            params=state.params | {name: params}, opt_state=state.opt_state | {name: opt_state}
        )

    def update_critic(
        keys: Key, state: STACState, batch: Experience, hp: STACHyperparameters
    ) -> tuple[STACState, dict[str, jax.Array]]:
        target = critic_target(keys[:3], network, state, batch, hp)
        loss_and_grads = jax.value_and_grad(critic_loss, argnums=1, has_aux=True)
        (loss, metrics), grads = loss_and_grads(
            keys[3], state.params["critic"], network, batch, target
        )
        state = descend("critic", grads, state, hp.critic_lr)
        return state, {"critic_loss": loss, **metrics}

    def update_actor(
        keys: Key, state: STACState, batch: Experience, hp: STACHyperparameters
    ) -> tuple[STACState, dict[str, jax.Array]]:
        actor, critic = state.params["actor"], state.params["critic"]
        loss_and_grads = jax.value_and_grad(actor_loss, argnums=1, has_aux=True)
        (loss, entropy), grads = loss_and_grads(
            keys, actor, network, critic, state.alpha, batch, hp
        )
        return descend("actor", grads, state, hp.actor_lr), {"actor_loss": loss, "entropy": entropy}

    def update(
        key: Key, state: STACState, batch: Experience, hp: STACHyperparameters
    ) -> tuple[STACState, dict[str, jax.Array]]:
        keys = jax.random.split(key, 7)
        state, critic_metrics = update_critic(keys[:4], state, batch, hp)
        state, actor_metrics = update_actor(keys[4:], state, batch, hp)
        target_entropy = default_entropy if hp.target_entropy is None else hp.target_entropy
        missing = target_entropy - actor_metrics["entropy"]
        alpha = state.alpha * jnp.exp(hp.temperature_lr * state.alpha * missing)
        target = optax.incremental_update(state.params["critic"], state.target_critic, hp.tau)
        metrics = critic_metrics | actor_metrics | {"temperature": alpha}
        return state._replace(alpha=alpha, target_critic=target), metrics

    return Learner(init, act, valid_only(update))


def critic_target(
    keys: Key, network: QNetwork, state: STACState, batch: Experience, hp: STACHyperparameters
) -> jax.Array:
    """Soft one-step targets ``[B]``, from the target critic's mean less ``β`` deviations.

    The three ``keys`` draw the actions, the actor's dropout and the target critic's dropout.
    """
    raw, log_prob = sample_and_log_prob(
        keys[0], network, state.params["actor"], batch.next_features, dropout_key=keys[1]
    )
    mean, std = critic_distribution(network, state.target_critic, batch.next_features, raw, keys[2])
    soft_value = mean - hp.beta * std - state.alpha * log_prob
    return batch.reward + hp.discount * batch.discount * soft_value


def critic_loss(
    key: Key, critic: Params, network: QNetwork, batch: Experience, target: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Negative log-likelihood of the target, and the critic's means of mean and std.

    ``key`` draws the critic's dropout.
    """
    mean, std = critic_distribution(network, critic, batch.features, batch.raw, key)
    nll = 0.5 * jnp.square((target - mean) / std) + jnp.log(std)
    metrics = {
        "value": masked_mean(mean, batch.mask),
        "deviation": masked_mean(std, batch.mask),
    }
    return masked_mean(nll, batch.mask) + 0.5 * np.log(2.0 * np.pi), metrics


def actor_loss(
    keys: Key,
    actor: Params,
    network: QNetwork,
    critic: Params,
    alpha: jax.Array,
    batch: Experience,
    hp: STACHyperparameters,
) -> tuple[jax.Array, jax.Array]:
    """``α log π − (mean − β std)`` at sampled actions, and the entropy of the policy.

    The three ``keys`` draw the actions, the actor's dropout and the critic's dropout.
    """
    raw, log_prob = sample_and_log_prob(
        keys[0], network, actor, batch.features, dropout_key=keys[1]
    )
    mean, std = critic_distribution(network, critic, batch.features, raw, keys[2])
    loss = alpha * log_prob - (mean - hp.beta * std)
    return masked_mean(loss, batch.mask), -masked_mean(log_prob, batch.mask)


def critic_distribution(
    network: QNetwork,
    critic: Params,
    features: jax.Array,
    raw: jax.Array,
    dropout_key: Key | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation ``[B]`` of the critic's Gaussian over returns.

    Args:
        network: from :func:`stac_network_for`.
        critic: weights of the critic.
        features: ``[B, F]``.
        raw: raw actions, ``[B, A]``.
        dropout_key: draws dropout; without one there is none.

    Raises:
        ValueError: for a network of another learner.
    """
    checks.instance("network", network, QNetwork, "stac.stac_network_for(env)")
    outputs = network.q_values(critic, features, network.unit_action(raw), dropout_key)[0]
    if outputs.shape[-1] != 2:
        raise ValueError(f"network: expected a critic of 2 outputs, got {outputs.shape[-1]}")
    return outputs[:, 0], jax.nn.softplus(jnp.maximum(outputs[:, 1], MIN_OUTPUT))


def mean_action_network(network: QNetwork, samples: int = 10) -> QNetwork:
    """Make the network whose action is the mean of sampled actions, as STAC is evaluated.

    For :func:`jaxswarm.rl.policy`; its raw actions are ``[samples, A]``, and its log-probabilities
    are those of the samples, ``[samples]``, not of their mean.

    Args:
        network: from :func:`stac_network_for`.
        samples: number of sampled actions, at least 1.

    Raises:
        ValueError: if ``samples < 1``.
    """
    checks.instance("network", network, QNetwork, "stac.stac_network_for(env)")
    samples = checks.whole("samples", samples, 1)
    head = network.head
    action: Callable[[jax.Array], jax.Array] = jax.vmap(head.action)

    def sample(key: Key, outputs: jax.Array) -> jax.Array:
        return jax.vmap(lambda k: head.sample(k, outputs))(jax.random.split(key, samples))

    mean_head = head._replace(
        sample=sample,
        log_prob=jax.vmap(head.log_prob, (None, 0)),
        action=lambda raw: jnp.mean(action(raw), axis=0),
    )
    return network._replace(head=mean_head)


def _check_critic(network: QNetwork) -> None:
    shape = critic_shape(network)
    if shape != (1, 1, 2):
        raise ValueError(
            f"network: expected one critic with two outputs, got {shape[0]} with {shape[2]}"
        )
