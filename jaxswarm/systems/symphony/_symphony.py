"""Symphony: an off-policy actor-critic with bounded noise and a regularizer of the actor's scale.

The actor outputs an action ``A``, a scale ``S`` and a width ``B``; the executed action is
``tanh(S A + N)`` with bounded noise ``N``. The regularizer, which the paper calls *swaddling*, has
its minimum at ``S = 1/e``. The actor's gradient flows through the *target* critic at the next
state, as an advantage over a moving average of its values; critic and actor share one loss and one
optimizer step. Replay prefers recent items (:func:`jaxswarm.rl.fading_replay`) and divides rewards
by their mean absolute value during the warm-up.

There are several versions of Symphony; this follows the code of December 2025. Left out: keeping
terminal items for one more cycle of the buffer, and shortening actions near the time limit (which
truncates here).

Shapes: ``B`` items of a batch, ``A`` numbers of an action, ``n`` nodes of all critics, ``K``
critics with ``H`` nodes each.

References:
    T. Ishuov et al., Symphony, 2025.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.rl import (
    Experience,
    Learner,
    QNetwork,
    fading_replay,
    off_policy,
)
from jaxswarm.rl._off_policy import valid_only
from jaxswarm.rl._sac import num_learners
from jaxswarm.rl.actor_critic import sample_actions
from jaxswarm.rl.hyperparameters import POSITIVE, SHARE, UNIT, check_kind, check_ranges, flag
from jaxswarm.rl.returns import masked_mean
from jaxswarm.systems.symphony.losses import (
    advantage_loss,
    join_critics,
    pessimistic_mean,
    split_outputs,
    square_loss,
    swaddling,
)
from jaxswarm.systems.symphony.network import check_symphony_network
from jaxswarm.types import Key, Params, PyTree

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
DEFAULTS = {"updates": 3, "batch_size": 384, "capacity": 512_000, "warm_up": 10_240}


class SymphonyHyperparameters(NamedTuple):
    """Hyper-parameters of Symphony; all may be traced, and ``[N]`` each for independent learners.

    Attributes:
        lr: step size.
        discount: ``γ`` in ``[0, 1]``.
        tau: share of the critic that moves into its target in an update, in ``(0, 1]``.
        ema: share of the moving average of values that is kept in an update, in ``[0, 1]``.
        decay: of the weights, per unit of ``lr``.
    """

    lr: Any = 1e-4
    discount: Any = 0.99
    tau: Any = 0.005
    ema: Any = GOLDEN
    decay: Any = 0.01


class SymphonyState(NamedTuple):
    """State of one agent's learner.

    Attributes:
        params: weights ``{"actor", "critic"}``.
        target_critic: weights of the target critics.
        mean_value: ``[]``, moving average of the values.
        opt_state: of the optimizer.
    """

    params: Params
    target_critic: Params
    mean_value: jax.Array
    opt_state: PyTree


def symphony(
    env: SwarmEnvironment,
    network: QNetwork,
    *,
    fade: bool | jax.Array = True,
    hyperparameters: SymphonyHyperparameters | None = None,
    **options: Any,
) -> Algorithm:
    """Make a Symphony learner.

    Args:
        env: environment with bounded continuous actions, not wrapped.
        network: from :func:`symphony_network_for`.
        fade: false replays uniformly, for comparison; may be traced.
        hyperparameters: used where ``step`` gets ``None`` as inputs; the defaults if omitted.
        options: of :func:`jaxswarm.rl.off_policy`. Other defaults here: 3 ``updates``; a
            ``batch_size`` of 384 (the paper takes as many as the critics have nodes); a ``warm_up``
            of 10,240 steps, whose items are repeated to fill the buffer; a ``capacity`` of 512,000
            items, which must be a multiple of the warm-up's.

    Returns:
        ``init(params, key, env_params=None) -> OffPolicyState`` and ``step(key, state, inputs) ->
        (state, OffPolicyInfo)``, where ``inputs`` is :class:`SymphonyHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, a capacity that the warm-up does not divide, hyper-parameters
            out of range, a network for another environment or learner.

    Example:
        >>> import jax
        >>> from jaxswarm import envs
        >>> from jaxswarm.systems import symphony
        >>> env = envs.Pendulum(2)
        >>> network = symphony.symphony_network_for(env, width=8, nodes=6)
        >>> learner = symphony.symphony(env, network, batch_size=8, warm_up=8, capacity=160)
        >>> params = jax.eval_shape(network.init, jax.random.key(0))
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> state.replay.items.reward.shape
        (160,)
    """
    hp = SymphonyHyperparameters() if hyperparameters is None else hyperparameters
    check_kind(hp, SymphonyHyperparameters)
    learners = num_learners(env, options)
    ranges = {"lr": POSITIVE, "discount": UNIT, "ema": UNIT, "decay": POSITIVE, "tau": SHARE}
    check_ranges(hp, ranges, num_agents=learners)
    flag("fade", fade)
    check_symphony_network(network, env)
    options = DEFAULTS | options
    copies = require_environment(env).num_agents if learners is None else 1
    items = checks.whole("warm_up", options["warm_up"], 1) * copies
    items *= checks.whole("num_envs", options.get("num_envs", 1), 1)
    if checks.whole("capacity", options["capacity"], 1) % items:
        raise ValueError(
            f"capacity: expected a multiple of the warm-up's {items} items, "
            f"got {options['capacity']}"
        )
    return off_policy(
        env,
        network,
        symphony_learner(network),
        replay=lambda capacity, batch_size: fading_replay(capacity, batch_size, fade=fade),
        hyperparameters=hp,
        **options,
    )


def symphony_learner(network: QNetwork) -> Learner:
    """Make Symphony's :class:`jaxswarm.rl.Learner`, for a training loop of one's own.

    Raises:
        ValueError: for a network of another learner.
    """
    check_symphony_network(network)
    optimizer = adam_without_bias_correction()

    def init(params: Params) -> SymphonyState:
        opt_state = optimizer.init(params)
        return SymphonyState(params, params["critic"], jnp.zeros(()), opt_state)

    def act(key: Key, state: SymphonyState, features: jax.Array) -> jax.Array:
        outputs = network.actor_outputs(state.params["actor"], features)
        return sample_actions(key, network, outputs)

    def update(
        key: Key, state: SymphonyState, batch: Experience, hp: SymphonyHyperparameters
    ) -> tuple[SymphonyState, dict[str, jax.Array]]:
        loss_and_grads = jax.grad(joint_loss, argnums=1, has_aux=True)
        grads, (mean_value, metrics) = loss_and_grads(key, state.params, network, state, batch, hp)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = jax.tree.map(lambda x, d: x - hp.lr * (d + hp.decay * x), state.params, updates)
        target = optax.incremental_update(params["critic"], state.target_critic, hp.tau)
        return SymphonyState(params, target, mean_value, opt_state), metrics

    return Learner(init, act, valid_only(update))


def joint_loss(
    key: Key,
    params: Params,
    network: QNetwork,
    state: SymphonyState,
    batch: Experience,
    hp: SymphonyHyperparameters,
) -> tuple[jax.Array, tuple[jax.Array, dict[str, jax.Array]]]:
    """Critic loss less advantage plus regularizer: the loss of actor and critic together.

    Args:
        key: draws the noise of the actions.
        params: weights ``{"actor", "critic"}``.
        network: of the agent.
        state: target critics and moving average.
        batch: from replay.
        hp: scalars.

    Returns:
        ``(loss [], (moving average [], metrics))``.
    """
    outputs = network.actor_outputs(params["actor"], batch.next_features)
    action = network.unit_action(sample_actions(key, network, outputs))
    nodes = network.q_values(state.target_critic, batch.next_features, action)
    next_q = pessimistic_mean(join_critics(nodes))  # the actor's gradient flows through it
    fixed_next_q = jax.lax.stop_gradient(next_q)
    mean = masked_mean(fixed_next_q, batch.mask)
    mean_value = hp.ema * state.mean_value + (1.0 - hp.ema) * mean
    advantage = advantage_loss((next_q - mean_value) / (jnp.abs(mean_value) + 1e-3))
    target = batch.reward + hp.discount * batch.discount * fixed_next_q
    taken = network.unit_action(batch.raw)
    q = join_critics(network.q_values(params["critic"], batch.features, taken))
    error = jnp.mean(square_loss(q - target[:, None]), axis=1)
    critic_loss = masked_mean(error, batch.mask)
    regularizer = masked_mean(swaddling(outputs), batch.mask)
    _, scale, width = split_outputs(outputs)
    metrics = {
        "critic_loss": critic_loss,
        "value": mean,
        "scale": masked_mean(jnp.mean(scale, axis=-1), batch.mask),
        "width": masked_mean(jnp.mean(width, axis=-1), batch.mask),
        "swaddling": regularizer,
    }
    loss = critic_loss - masked_mean(advantage, batch.mask) + regularizer
    return loss, (mean_value, metrics)


def adam_without_bias_correction(
    b1: float = GOLDEN, b2: float = 0.995
) -> optax.GradientTransformation:
    """Adam's direction without bias correction of its moments.

    Args:
        b1: share of the first moment that is kept, in ``[0, 1)``.
        b2: likewise of the second.

    Raises:
        ValueError: for shares out of range.
    """
    checks.real("b1", b1, 0.0, below=1.0)
    checks.real("b2", b2, 0.0, below=1.0)

    def init(params: PyTree) -> tuple[PyTree, PyTree]:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return zeros, zeros

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        del params
        first = jax.tree.map(lambda m, g: b1 * m + (1.0 - b1) * g, state[0], updates)
        second = jax.tree.map(lambda v, g: b2 * v + (1.0 - b2) * g * g, state[1], updates)
        direction = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + 1e-8), first, second)
        return direction, (first, second)

    return optax.GradientTransformation(init, update)
