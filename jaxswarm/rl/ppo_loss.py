"""PPO's loss: clipped surrogate, clipped value error and entropy bonus.

Shapes: ``T`` steps, ``B`` sequences. Without recurrence all steps are one row: ``T = 1``.

References:
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
    C. Yu et al., The surprising effectiveness of PPO in cooperative multi-agent games, 2022 (Huber
    loss of the critic, clipped values).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.rl.hyperparameters import POSITIVE, UNIT, check_kind, check_ranges
from jaxswarm.rl.networks import Network, distribution_of
from jaxswarm.rl.on_policy import Transition, restart
from jaxswarm.rl.returns import masked_mean
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class PPOHyperparameters(NamedTuple):
    """Hyper-parameters of PPO; all may be traced, and ``[N]`` each for independent learners.

    Attributes:
        lr: step size.
        discount: ``γ`` in ``[0, 1]``.
        gae_lambda: ``λ`` of the advantage estimates, in ``[0, 1]``.
        clip: ``ε``: the ratio of probabilities is clipped to ``[1 − ε, 1 + ε]``.
        value_clip: how far a value may move from the collected one; infinite for no limit.
        entropy: weight of the entropy bonus.
        value_weight: weight of the critic's loss.
        huber: error from which the critic's loss grows linearly (Huber loss); infinite for the
            squared error everywhere.
    """

    lr: Any = 3e-4
    discount: Any = 0.99
    gae_lambda: Any = 0.95
    clip: Any = 0.2
    value_clip: Any = np.inf
    entropy: Any = 0.0
    value_weight: Any = 0.5
    huber: Any = np.inf


def check_hyperparameters(
    hp: PPOHyperparameters, num_agents: int | None = None, name: str = "hyperparameters"
) -> PPOHyperparameters:
    """Check the known values and return all; traced ones pass.

    Args:
        hp: what the caller gave.
        num_agents: number of independent learners; ``None`` if agents share one.
        name: the argument, for the message.

    Raises:
        ValueError: for another type, or naming a value that is out of its range.
    """
    check_kind(hp, PPOHyperparameters, name)
    ranges = {"lr": POSITIVE, "discount": UNIT, "gae_lambda": UNIT, "clip": POSITIVE}
    ranges |= {"value_clip": POSITIVE, "entropy": POSITIVE, "value_weight": POSITIVE}
    ranges |= {"huber": POSITIVE}
    infinite = ("clip", "value_clip", "huber")
    check_ranges(hp, ranges, infinite=infinite, num_agents=num_agents)
    return hp


class PPOBatch(NamedTuple):
    """Data of one learner; ``[T, B, …]``.

    Attributes:
        transitions: collected ones.
        advantage: estimates, possibly normalized.
        value_target: regression target of the critic.
    """

    transitions: Transition
    advantage: jax.Array
    value_target: jax.Array


def ppo_loss(
    key: Key,
    network: Network,
    params: Params,
    batch: PPOBatch,
    carry: PyTree,
    hp: PPOHyperparameters,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Compute the loss of one learner on sequences ``[T, B, …]``, and metrics.

    Actions of several parts share their advantage, and the ratio of each part is clipped.

    Args:
        key: for heads whose entropy is estimated from samples.
        network: of the agent.
        params: weights of one learner, no agents axis.
        batch: sequences.
        carry: recurrent states at their beginning, leaves ``[B, …]``.
        hp: scalars.

    Returns:
        ``(loss [], {"policy_loss", "value_loss", "entropy", "kl", "clip_fraction"})``.
    """
    old = batch.transitions
    log_prob, entropy, penalty, value = evaluate_actions(key, network, params, old, carry)
    parts = log_prob.shape[old.mask.ndim :]
    mask, advantage = (
        jnp.broadcast_to(x.reshape(*x.shape, *(1 for _ in parts)), log_prob.shape)
        for x in (old.mask, batch.advantage)
    )
    log_ratio = log_prob - old.log_prob
    ratio = jnp.exp(log_ratio)
    clipped_ratio = jnp.clip(ratio, 1.0 - hp.clip, 1.0 + hp.clip)
    surrogate = jnp.minimum(ratio * advantage, clipped_ratio * advantage)
    policy_loss = -masked_mean(surrogate, mask)
    entropy = masked_mean(entropy, mask)
    clipped_value = old.value + jnp.clip(value - old.value, -hp.value_clip, hp.value_clip)
    error = jnp.maximum(
        huber(value - batch.value_target, hp.huber),
        huber(clipped_value - batch.value_target, hp.huber),
    )
    value_loss = masked_mean(error, old.mask)
    loss = policy_loss + hp.value_weight * value_loss - hp.entropy * entropy
    loss = loss + masked_mean(penalty, old.mask)
    return loss, {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "kl": masked_mean(ratio - 1.0 - log_ratio, mask),
        "clip_fraction": masked_mean((jnp.abs(ratio - 1.0) > hp.clip).astype(jnp.float32), mask),
    }


def huber(error: jax.Array, threshold: ArrayLike) -> jax.Array:
    """Half the squared error up to a threshold, linear beyond; the threshold may be infinite."""
    size = jnp.abs(error)
    inner = jnp.minimum(size, threshold)
    return inner * (size - 0.5 * inner)


def evaluate_actions(
    key: Key, network: Network, params: Params, transitions: Transition, carry: PyTree
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Evaluate collected actions under the current networks.

    Args:
        key: for heads whose entropy is estimated from samples.
        network: of the agent.
        params: weights of one learner.
        transitions: ``[T, B, …]``.
        carry: recurrent states at their beginning, leaves ``[B, …]``.

    Returns:
        ``(log_prob, entropy, penalty, value)``, each ``[T, B]``; the first two ``[T, B, P]`` if
        actions have parts. For the penalty see :class:`jaxswarm.rl.PolicyDistribution`.
    """
    outputs, value = forward(network, params, transitions, carry)
    keys = jax.random.split(key, transitions.mask.shape)
    evaluate = jax.vmap(
        jax.vmap(distribution_of(network).evaluate, (0, None, 0, 0)), (0, None, 0, 0)
    )
    log_prob, entropy, penalty = evaluate(keys, params["actor"], outputs, transitions.raw)
    return log_prob, entropy, penalty, value


def forward(
    network: Network, params: Params, transitions: Transition, carry: PyTree
) -> tuple[PyTree, jax.Array]:
    """Outputs of the actor and values ``[T, B]`` on sequences, recurrent states replayed."""
    actor = jax.vmap(network.actor, in_axes=(None, 0, 0))
    critic = jax.vmap(network.critic, in_axes=(None, 0, 0))
    if not network.recurrent:
        outputs = actor(params["actor"], carry["actor"], transitions.features[0])[1]
        value = critic(params["critic"], carry["critic"], transitions.critic_input[0])[1]
        return jax.tree.map(lambda x: x[None], outputs), value[None]

    def step(carry: PyTree, inputs: tuple[jax.Array, ...]) -> tuple[PyTree, tuple]:
        features, critic_input, first = inputs
        carry = restart(carry, network.initial_carry(), first)
        actor_carry, outputs = actor(params["actor"], carry["actor"], features)
        critic_carry, value = critic(params["critic"], carry["critic"], critic_input)
        return {"actor": actor_carry, "critic": critic_carry}, (outputs, value)

    inputs = (transitions.features, transitions.critic_input, transitions.first)
    return jax.lax.scan(step, carry, inputs)[1]
