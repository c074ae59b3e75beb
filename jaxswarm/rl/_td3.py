"""Twin delayed deep deterministic policy gradient (TD3).

Two critics learn the value of a deterministic actor, whose actions are smoothed by clipped noise in
the targets; the actor maximizes the first critic and moves, with all targets, every few updates.

Shapes: ``N`` agents, ``B`` items of a batch, ``A`` numbers of an action, ``K`` critics.

References:
    S. Fujimoto, H. van Hoof, D. Meger, Addressing function approximation error in actor–critic
    methods, 2018.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl._off_policy import Learner, off_policy, valid_only
from jaxswarm.rl._sac import num_learners
from jaxswarm.rl.actor_critic import apply_gradients
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
from jaxswarm.rl.returns import keep_unless, masked_mean
from jaxswarm.types import Key, Params, PyTree

EDGE = 1.0 - 1e-6
"""Bound of actions in units of half their range, so that the value before ``tanh`` is finite."""


class TD3Hyperparameters(NamedTuple):
    """Hyper-parameters of TD3; all may be traced, and ``[N]`` each for independent learners.

    Attributes:
        actor_lr: step size of the actor.
        critic_lr: of the critics.
        discount: ``γ`` in ``[0, 1]``.
        tau: share of actor and critics that moves into their targets, in ``(0, 1]``.
        smoothing: standard deviation of the noise of the targets' actions, in units of half their
            range.
        smoothing_clip: largest such noise.
    """

    actor_lr: Any = 3e-4
    critic_lr: Any = 3e-4
    discount: Any = 0.99
    tau: Any = 0.005
    smoothing: Any = 0.2
    smoothing_clip: Any = 0.5


class TD3State(NamedTuple):
    """State of one agent's learner.

    Attributes:
        params: weights ``{"actor", "critic"}``.
        target: weights of the targets, likewise.
        opt_state: of the optimizer, ``{"actor", "critic"}``.
        updates: ``int32[]``, updates so far.
    """

    params: Params
    target: Params
    opt_state: dict[str, PyTree]
    updates: jax.Array


def td3(
    env: SwarmEnvironment,
    network: QNetwork,
    *,
    delay: int = 2,
    exploration: float = 0.1,
    optimizer: optax.GradientTransformation | None = None,
    hyperparameters: TD3Hyperparameters | None = None,
    **options: Any,
) -> Algorithm:
    """Make a TD3 learner.

    Args:
        env: environment with bounded continuous actions, not wrapped.
        network: from :func:`jaxswarm.rl.q_network_for`; of its actor the mode alone is used.
        delay: updates of the critics for one of the actor and the targets.
        exploration: standard deviation of the noise of actions, at least 0, in units of half their
            range; the same for all learners.
        optimizer: gives the direction, which is then scaled by a step size; Adam if omitted.
        hyperparameters: used where ``step`` gets ``None`` as inputs; the defaults if omitted.
        options: of :func:`jaxswarm.rl.off_policy`: ``num_envs``, ``num_steps``, ``updates``,
            ``batch_size``, ``capacity``, ``warm_up``, ``shared``, ``replay``.

    Returns:
        ``init(params, key, env_params=None) -> OffPolicyState`` and ``step(key, state, inputs) ->
        (state, OffPolicyInfo)``, where ``inputs`` is a :class:`TD3Hyperparameters` or ``None``.

    Raises:
        ValueError: as :func:`jaxswarm.rl.sac`, a delay below 1 or a negative exploration.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> env = envs.Pendulum(2)
        >>> network = rl.q_network_for(env, widths=(8,))
        >>> learner = rl.td3(env, network, batch_size=8, capacity=1_000, warm_up=8, shared=False)
        >>> params = rl.initialize(jax.random.key(0), network, 2, shared=False)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> _, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.learning["critic_loss"].shape  # one per learner
        (2,)
    """
    hp = TD3Hyperparameters() if hyperparameters is None else hyperparameters
    check_kind(hp, TD3Hyperparameters)
    ranges = {"actor_lr": POSITIVE, "critic_lr": POSITIVE, "discount": UNIT, "tau": SHARE}
    ranges |= {"smoothing": POSITIVE, "smoothing_clip": POSITIVE}
    check_ranges(hp, ranges, num_agents=num_learners(env, options))
    learner = td3_learner(env, network, delay=delay, exploration=exploration, optimizer=optimizer)
    return off_policy(env, network, learner, hyperparameters=hp, **options)


def td3_learner(
    env: SwarmEnvironment,
    network: QNetwork,
    *,
    delay: int = 2,
    exploration: float = 0.1,
    optimizer: optax.GradientTransformation | None = None,
) -> Learner:
    """Make TD3's :class:`jaxswarm.rl.Learner`, for a training loop of one's own.

    Args:
        env: environment with bounded continuous actions.
        network: critics have one output each.
        delay: see :func:`td3`.
        exploration: see :func:`td3`.
        optimizer: see :func:`td3`.

    Raises:
        ValueError: for a network for another environment or learner, a delay below 1 or a negative
            exploration.
    """
    check_q_network(network, env, critic_outputs=1)
    delay = checks.whole("delay", delay, 1)
    exploration = checks.real("exploration", exploration, 0.0)
    optimizer = optax.scale_by_adam() if optimizer is None else optimizer
    check_optimizer(optimizer)

    def policy_actions(actor: Params, features: jax.Array) -> jax.Array:
        """Actions ``[B, A]`` in units of half their range."""
        modes = jax.vmap(network.head.mode)(network.actor_outputs(actor, features))
        return network.unit_action(modes)

    def init(params: Params) -> TD3State:
        opt_state = {name: optimizer.init(part) for name, part in params.items()}
        return TD3State(params, params, opt_state, jnp.int32(0))

    def act(key: Key, state: TD3State, features: jax.Array) -> jax.Array:
        action = policy_actions(state.params["actor"], features)
        noise = exploration * flat(jax.random.normal, key, action.shape)
        return jnp.arctanh(jnp.clip(action + noise, -EDGE, EDGE))

    def update(
        key: Key, state: TD3State, batch: Experience, hp: TD3Hyperparameters
    ) -> tuple[TD3State, dict[str, jax.Array]]:
        target = td3_target(key, network, policy_actions, state.target, batch, hp)
        action = network.unit_action(batch.raw)

        def critic_loss(critic: Params) -> tuple[jax.Array, jax.Array]:
            q = network.q_values(critic, batch.features, action)[..., 0]
            error = jnp.sum(jnp.square(q - target[None]), axis=0)
            return 0.5 * masked_mean(error, batch.mask), masked_mean(q[0], batch.mask)

        def actor_loss(actor: Params, critic: Params) -> jax.Array:
            chosen = policy_actions(actor, batch.features)
            return -masked_mean(
                network.q_values(critic, batch.features, chosen)[0, :, 0], batch.mask
            )

        grad = jax.value_and_grad(critic_loss, has_aux=True)
        (loss, value), grads = grad(state.params["critic"])
        critic, critic_opt = apply_gradients(
            optimizer, grads, state.opt_state["critic"], state.params["critic"], hp.critic_lr
        )
        actor_value, grads = jax.value_and_grad(actor_loss)(state.params["actor"], critic)
        actor, actor_opt = apply_gradients(
            optimizer, grads, state.opt_state["actor"], state.params["actor"], hp.actor_lr
        )
        params = {"actor": actor, "critic": critic}
        moved = optax.incremental_update(params, state.target, hp.tau)
        count = state.updates + 1
        now = count % delay == 0
        old_actor = (state.params["actor"], state.opt_state["actor"], state.target)
        actor, actor_opt, moved = keep_unless(now, (actor, actor_opt, moved), old_actor)
        opt_state = {"actor": actor_opt, "critic": critic_opt}
        state = TD3State({"actor": actor, "critic": critic}, moved, opt_state, count)
        return state, {"critic_loss": loss, "actor_loss": actor_value, "value": value}

    return Learner(init, act, valid_only(update))


def td3_target(
    key: Key,
    network: QNetwork,
    policy_actions: Callable[[Params, jax.Array], jax.Array],
    target: Params,
    batch: Experience,
    hp: TD3Hyperparameters,
) -> jax.Array:
    """One-step targets ``[B]``: the smallest target critic at the smoothed target action."""
    action = policy_actions(target["actor"], batch.next_features)
    noise = hp.smoothing * flat(jax.random.normal, key, action.shape)
    noise = jnp.clip(noise, -hp.smoothing_clip, hp.smoothing_clip)
    action = jnp.clip(action + noise, -1.0, 1.0)
    q = network.q_values(target["critic"], batch.next_features, action)[..., 0]
    return batch.reward + hp.discount * batch.discount * jnp.min(q, axis=0)
