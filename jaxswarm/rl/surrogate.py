"""PPO's clipped surrogate: what one learner descends, on what it or its peers collected.

Shapes: ``T`` steps, ``B`` sequences. Without memory all steps are one row: ``T = 1``.

References:
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.rl.collect import Transition, restart
from jaxswarm.rl.networks import Network, law_of
from jaxswarm.rl.returns import masked_mean

PyTree = Any


class Batch(NamedTuple):
    """What one learner learns from; ``[T, B, …]``."""

    done: Transition
    advantage: jax.Array
    target: jax.Array


def loss(
    network: Network, params: PyTree, key: jax.Array, batch: Batch, carry: PyTree, p: Any
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """What one learner descends on sequences ``[T, B, …]``, and what to look at.

    Actions of several parts share their advantage, and the ratio of each part is clipped.

    Args:
        network: of the agent.
        params: of one learner, no agents axis.
        key: for heads whose entropy is estimated.
        batch: sequences.
        carry: memories at their beginning, leaves ``[B, …]``.
        p: a :class:`PPOHyperparameters` of scalars.
    """
    done = batch.done
    outputs, value = reread(network, params, done, carry)
    keys = jax.random.split(key, done.mask.shape)
    judge = jax.vmap(jax.vmap(law_of(network).judge, (None, 0, 0, 0)), (None, 0, 0, 0))
    log_prob, entropy, penalty = judge(params["actor"], keys, outputs, done.raw)
    parts = log_prob.shape[done.mask.ndim :]
    mask, advantage = (
        jnp.broadcast_to(x.reshape(*x.shape, *(1 for _ in parts)), log_prob.shape)
        for x in (done.mask, batch.advantage)
    )
    change = log_prob - done.log_prob
    ratio = jnp.exp(change)
    held = jnp.clip(ratio, 1.0 - p.clip, 1.0 + p.clip)
    gain = jnp.minimum(ratio * advantage, held * advantage)
    policy_loss = -masked_mean(gain, mask)
    entropy = masked_mean(entropy, mask)
    near = done.value + jnp.clip(value - done.value, -p.value_clip, p.value_clip)
    error = jnp.maximum(jnp.square(value - batch.target), jnp.square(near - batch.target))
    value_loss = 0.5 * masked_mean(error, done.mask)
    total = policy_loss + p.value_weight * value_loss - p.entropy * entropy
    total = total + masked_mean(penalty, done.mask)
    return total, {
        "policy_loss": policy_loss,
        "value_loss": value_loss,
        "entropy": entropy,
        "kl": masked_mean(ratio - 1.0 - change, mask),
        "clipped": masked_mean((jnp.abs(ratio - 1.0) > p.clip).astype(jnp.float32), mask),
    }


def reread(
    network: Network, params: PyTree, done: Transition, carry: PyTree
) -> tuple[PyTree, jax.Array]:
    """Outputs and values of the current networks on ``[T, B, …]``, memories replayed."""
    actor = jax.vmap(network.actor, in_axes=(None, 0, 0))
    critic = jax.vmap(network.critic, in_axes=(None, 0, 0))
    if not network.recurrent:
        acting, judging = carry["actor"], carry["critic"]
        outputs = actor(params["actor"], acting, done.features[0])[1]
        value = critic(params["critic"], judging, done.seen[0])[1]
        return jax.tree.map(lambda x: x[None], outputs), value[None]

    def advance(memory: PyTree, now: tuple[jax.Array, ...]) -> Any:
        features, seen, first = now
        memory = restart(memory, network.start(), first)
        acting, outputs = actor(params["actor"], memory["actor"], features)
        judging, value = critic(params["critic"], memory["critic"], seen)
        return {"actor": acting, "critic": judging}, (outputs, value)

    return jax.lax.scan(advance, carry, (done.features, done.seen, done.first))[1]
