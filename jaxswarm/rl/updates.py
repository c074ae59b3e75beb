"""PPO's updates of one learner from what it collected: epochs of shuffled minibatches.

Shapes: ``T`` steps, ``B`` sequences of one learner.

References:
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxswarm.rl.collect import Transition
from jaxswarm.rl.networks import Network
from jaxswarm.rl.returns import advantages, normalized
from jaxswarm.rl.surrogate import Batch, loss

PyTree = Any
Learn = Callable[..., tuple[PyTree, PyTree, dict[str, jax.Array]]]
"""``learn(key, params, optimiser state, done [T, B, …], carry [B, …], numbers)``."""


def updates(
    network: Network,
    optimizer: optax.GradientTransformation,
    *,
    items: int,
    epochs: int,
    minibatches: int,
    normalize: bool,
) -> Learn:
    """All updates of one iteration, as a function of one learner; ``vmap`` it over learners.

    Args:
        network: of the learner.
        optimizer: gives the direction, which is then scaled by ``-lr``.
        items: what is shuffled: ``B`` sequences with a memory, ``T B`` steps without.
        epochs: passes over them.
        minibatches: a divisor of ``items``.
        normalise: bring the advantages to mean 0 and deviation 1.
    """

    def learn(
        key: jax.Array, params: PyTree, state: PyTree, done: Transition, carry: PyTree, p: Any
    ) -> tuple[PyTree, PyTree, dict[str, jax.Array]]:
        """All updates of one learner from ``[T, B, …]``."""
        advantage = advantages(
            done.reward,
            done.discount * p.discount,
            done.last,
            done.value,
            done.next_value,
            p.gae_lambda,
        )
        target = advantage + done.value
        advantage = normalized(advantage, done.mask) if normalize else advantage
        batch = Batch(done, advantage, target)
        if not network.recurrent:
            batch = jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), batch)
            carry = jax.tree.map(lambda x: jnp.zeros((items, *x.shape[1:])), carry)

        def update(held: tuple[PyTree, PyTree], given: tuple[jax.Array, jax.Array]) -> Any:
            params, state = held
            chosen, draw = given
            part = jax.tree.map(lambda x: jnp.take(x, chosen, axis=1), batch)
            memory = jax.tree.map(lambda x: jnp.take(x, chosen, axis=0), carry)
            slope, seen = jax.grad(loss, argnums=1, has_aux=True)(
                network, params, draw, part, memory, p
            )
            change, state = optimizer.update(slope, state, params)
            change = jax.tree.map(lambda x: -p.lr * x, change)
            return (optax.apply_updates(params, change), state), seen

        def epoch(held: tuple[PyTree, PyTree], key: jax.Array) -> Any:
            order, noise = jax.random.split(key)
            chosen = shuffled(order, items).reshape(minibatches, -1)
            return jax.lax.scan(update, held, (chosen, jax.random.split(noise, minibatches)))

        (params, state), seen = jax.lax.scan(epoch, (params, state), jax.random.split(key, epochs))
        return params, state, jax.tree.map(lambda x: jnp.mean(x[-1]), seen)

    return learn


def shuffled(key: jax.Array, count: int) -> jax.Array:
    """``0 … count − 1`` in random order, ``int32[count]``.

    Up to 2¹⁶ of them by sorting one array, in which an index follows 16 or more random bits; a
    pair whose bits are equal, one in 2¹⁶ or fewer, stays in order. On a CPU this takes an eighth of
    the time of ``jax.random.permutation``, which sorts pairs, twice, and which larger counts get.

    Args:
        key: a random key.
        count: at least 1, static.
    """
    if count > 2**16:
        return jax.random.permutation(key, count)
    low = max((count - 1).bit_length(), 1)
    index = jnp.arange(count, dtype=jnp.uint32)
    bits = jax.random.bits(key, (count,), jnp.uint32) >> low << low
    return (jax.lax.sort(bits | index) & (2**low - 1)).astype(jnp.int32)
