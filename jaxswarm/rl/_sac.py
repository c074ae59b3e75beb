"""Soft actor–critic: act as randomly as a given entropy demands, and well otherwise.

Two critics learn the soft value of actions from replayed experience; the actor maximises the
smaller of them plus ``α`` times its entropy; ``α`` moves until the entropy is what was asked for.
Order of an update: critics, actor, temperature, targets.

Shapes: ``N`` agents, ``B`` items of a batch, ``A`` numbers of an action, ``K`` critics.

References:
    T. Haarnoja et al., Soft actor-critic algorithms and applications, 2018. Its actor maximises the
    smallest critic; the authors' present code takes their mean (``pessimism=0``).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxswarm.algorithm import Algorithm
from jaxswarm.rl._off_policy import Learner, check_numbers, off_policy
from jaxswarm.rl.q_networks import QNetwork
from jaxswarm.rl.replay import Experience, uniform
from jaxswarm.rl.returns import masked_mean

PyTree = Any


class SACHyperparameters(NamedTuple):
    """Numbers of the learner; all may be traced, and ``[N]`` each for agents of their own.

    Attributes:
        actor_lr: step size of the actor.
        critic_lr: of the critics.
        temperature_lr: of ``log α``; 0 keeps ``α`` as it was given to ``init``.
        discount: ``γ``.
        tau: share of the critics that moves into their targets, in ``(0, 1]``.
        pessimism: what the actor maximises, from the mean of the critics (0) to the smallest (1).
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


class SACLearner(NamedTuple):
    """Of one agent.

    Attributes:
        params: ``{"actor", "critic"}``.
        target: of the critics.
        log_temperature: ``log α``, ``[]``.
        optimiser: states for actor, critics and temperature.
    """

    params: PyTree
    target: PyTree
    log_temperature: jax.Array
    optimizer: PyTree


def sac(
    env: Any,
    network: QNetwork,
    *,
    num_envs: int = 1,
    num_steps: int = 1,
    updates: int = 1,
    batch_size: int = 256,
    capacity: int = 100_000,
    warm_up: int = 1000,
    shared: bool = True,
    optimizer: optax.GradientTransformation | None = None,
    parameters: SACHyperparameters = SACHyperparameters(),  # noqa: B008
) -> Algorithm:
    """Make the learner.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment` with bounded actions, not wrapped.
        network: from :func:`jaxswarm.rl.q_network_for`, with any number of critics.
        num_envs: ``E``.
        num_steps: environment steps between updates.
        updates: gradient steps after them.
        batch_size: ``B``.
        capacity: items a buffer holds.
        warm_up: random steps of each environment before learning.
        shared: one learner for all agents, else one each with its own buffer.
        optimizer: gives the direction, which is then scaled by a rate; Adam if omitted.
        parameters: used where ``step`` gets ``None`` as inputs.

    Returns:
        ``init(params, key, physics=None, temperature=1.0) -> OffPolicyState`` (the temperature may
        be traced) and ``step(key, state, inputs) -> (state, OffPolicyInfo)``, where ``inputs`` is
        :class:`SACHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, a batch larger than buffer or warm-up, numbers out of range, a
            temperature that is not positive.
    """
    check_parameters(parameters)
    learner = sac_learner(env, network, optimizer=optimizer)
    return off_policy(
        env,
        network,
        learner,
        uniform(capacity, batch_size),
        num_envs=num_envs,
        num_steps=num_steps,
        updates=updates,
        warm_up=warm_up,
        shared=shared,
        parameters=parameters,
    )


def sac_learner(
    env: Any,
    network: QNetwork,
    *,
    optimizer: optax.GradientTransformation | None = None,
) -> Learner:
    """SAC's :class:`jaxswarm.rl.Learner`, for a loop or a replay of one's own."""
    direction = optax.scale_by_adam() if optimizer is None else optimizer
    usual = usual_entropy(env.action_spec)

    def init(params: PyTree, temperature: Any = 1.0) -> SACLearner:
        check_temperature(temperature)
        log_temperature = jnp.log(jnp.asarray(temperature, jnp.float32))
        parts = {**params, "temperature": log_temperature}
        optimizer = {name: direction.init(part) for name, part in parts.items()}
        return SACLearner(params, params["critic"], log_temperature, optimizer)

    def act(key: jax.Array, state: SACLearner, features: jax.Array) -> jax.Array:
        return draw(network, key, network.outputs(state.params["actor"], features))

    def update(
        key: jax.Array, state: SACLearner, batch: Experience, p: SACHyperparameters
    ) -> tuple[SACLearner, dict[str, jax.Array]]:
        next_key, now_key = jax.random.split(key)
        actor, critic = state.params["actor"], state.params["critic"]
        alpha = jnp.exp(state.log_temperature)
        raw, log_prob = sampled(network, next_key, actor, batch.next_features)
        values = network.values(state.target, batch.next_features, network.unit(raw))[..., 0]
        soft = jnp.min(values, axis=0) - alpha * log_prob
        target = batch.reward + p.discount * batch.discount * soft

        def critic_loss(critic: PyTree) -> tuple[jax.Array, jax.Array]:
            values = network.values(critic, batch.features, network.unit(batch.raw))[..., 0]
            error = jnp.sum(jnp.square(values - target[None]), axis=0)
            return 0.5 * masked_mean(error, batch.mask), masked_mean(values[0], batch.mask)

        (wrong, value), slope = jax.value_and_grad(critic_loss, has_aux=True)(critic)
        critic, judging = stepped(direction, slope, state.optimizer["critic"], critic, p.critic_lr)

        def actor_loss(actor: PyTree) -> tuple[jax.Array, jax.Array]:
            raw, log_prob = sampled(network, now_key, actor, batch.features)
            values = network.values(critic, batch.features, network.unit(raw))[..., 0]
            mean = jnp.mean(values, axis=0)
            worth = mean - p.pessimism * (mean - jnp.min(values, axis=0))
            return masked_mean(alpha * log_prob - worth, batch.mask), log_prob

        (regret, log_prob), slope = jax.value_and_grad(actor_loss, has_aux=True)(actor)
        actor, acting = stepped(direction, slope, state.optimizer["actor"], actor, p.actor_lr)

        entropy = -masked_mean(log_prob, batch.mask)
        wanted = usual if p.target_entropy is None else p.target_entropy
        slope = alpha * (entropy - wanted)  # of -α (log π + H̄) in log α
        log_temperature, heating = stepped(
            direction,
            slope,
            state.optimizer["temperature"],
            state.log_temperature,
            p.temperature_lr,
        )
        after = SACLearner(
            {"actor": actor, "critic": critic},
            optax.incremental_update(critic, state.target, p.tau),
            log_temperature,
            {"actor": acting, "critic": judging, "temperature": heating},
        )
        info = {
            "critic_loss": wrong,
            "actor_loss": regret,
            "value": value,
            "entropy": entropy,
            "temperature": jnp.exp(log_temperature),
        }
        return after, info

    return Learner(init, act, update)


def draw(network: QNetwork, key: jax.Array, outputs: jax.Array) -> jax.Array:
    """Raw actions ``[B, A]`` from the actor's outputs ``[B, O]``."""
    return jax.vmap(network.head.sample)(jax.random.split(key, outputs.shape[0]), outputs)


def sampled(
    network: QNetwork,
    key: jax.Array,
    actor: PyTree,
    features: jax.Array,
    dropout: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Raw actions ``[B, A]`` and their log-probabilities ``[B]``, differentiable in ``actor``."""
    outputs = network.outputs(actor, features, dropout)
    raw = draw(network, key, outputs)
    return raw, jax.vmap(network.head.log_prob)(outputs, raw)


def stepped(
    direction: optax.GradientTransformation, slope: PyTree, state: PyTree, params: PyTree, lr: Any
) -> tuple[PyTree, PyTree]:
    """Parameters and optimiser's state after a step of size ``lr``."""
    change, state = direction.update(slope, state, params)
    change = jax.tree.map(lambda x: -lr * x, change)
    return optax.apply_updates(params, change), state


def usual_entropy(spec: Any) -> float:
    """``-A`` in units of half the actions' range; the head's log-probabilities are of actions."""
    low, high = (
        np.broadcast_to(np.asarray(x), spec.shape)[0] for x in (spec.minimum, spec.maximum)
    )
    half = (high - low) / 2.0
    return float(np.sum(np.log(half)) - half.size)


def check_parameters(p: SACHyperparameters) -> None:
    """Refuse known numbers out of their range; traced ones pass.

    Raises:
        ValueError: naming the number.
    """
    ranges = {"actor_lr": (0.0, np.inf), "critic_lr": (0.0, np.inf)}
    ranges |= {"temperature_lr": (0.0, np.inf), "discount": (0.0, 1.0), "pessimism": (0.0, 1.0)}
    ranges |= {"tau": (1e-12, 1.0), "target_entropy": (-np.inf, np.inf)}
    check_numbers(p, ranges)


def check_temperature(temperature: Any) -> None:
    """Refuse known temperatures that are not positive.

    Raises:
        ValueError: naming it.
    """
    if isinstance(temperature, Tracer):
        return
    array = np.asarray(temperature)
    if not np.all(np.isfinite(array) & (array > 0.0)):
        raise ValueError(f"temperature: expected a positive number, got {temperature}")
