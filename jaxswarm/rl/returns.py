"""Advantages and returns, with episodes that end and episodes that are cut.

Shapes: ``T`` steps, ``...`` any trailing axes (environments, agents).

References:
    J. Schulman et al., High-dimensional continuous control using generalized advantage estimation,
    2016. F. Pardo et al., Time limits in reinforcement learning, 2018 (a cut bootstraps).
"""

import jax
import jax.numpy as jnp
import rlax


def advantages(
    reward: jax.Array,
    discount: jax.Array,
    last: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    gae_lambda: jax.Array | float,
) -> jax.Array:
    """Truncated generalised advantage estimates, ``[T, ...]``.

    A terminated step (discount 0) is worth its reward; a truncated one is worth its reward and the
    discounted value of the *true* next observation. Neither sees the episode after it.

    Args:
        reward: ``[T, ...]``.
        discount: ``[T, ...]``, the discount factor, times 0 where the agent's episode terminated.
        last: ``bool[T, ...]``, the episode is over after this step, for whatever reason.
        value: ``[T, ...]`` of the observation acted on.
        next_value: ``[T, ...]`` of the true next observation; only looked at where ``last``, and in
            the final step.
        gae_lambda: in ``[0, 1]``: 0 for one-step differences, 1 for whole returns.

    Raises:
        ValueError: if shapes differ.
    """
    for name, given in (("discount", discount), ("value", value), ("next_value", next_value)):
        if given.shape != reward.shape:
            raise ValueError(f"{name}: expected shape {reward.shape}, got {given.shape}")
    if last.shape != reward.shape:
        raise ValueError(f"last: expected shape {reward.shape}, got {last.shape}")
    # rlax knows one chain of values: fold the last value of an episode into its last reward.
    whole = reward + jnp.where(last, discount * next_value, 0.0)
    follow = jnp.where(last, 0.0, discount)
    chain = jnp.concatenate([value, next_value[-1:]])
    one = rlax.truncated_generalized_advantage_estimation
    flat = [x.reshape(len(x), -1) for x in (whole, follow, chain)]
    estimate = jax.vmap(one, in_axes=(1, 1, None, 1), out_axes=1)
    found = estimate(flat[0], flat[1], jnp.asarray(gae_lambda), flat[2])
    return jnp.asarray(found).reshape(reward.shape)


def normalized(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean 0 and standard deviation 1 among the entries where ``mask``."""
    mean = masked_mean(x, mask)
    spread = jnp.sqrt(masked_mean(jnp.square(x - mean), mask))
    return (x - mean) / (spread + 1e-8)


def masked_mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over the entries where ``mask``; 0 if there are none."""
    return jnp.sum(jnp.where(mask, x, 0.0)) / jnp.maximum(jnp.sum(mask), 1)
