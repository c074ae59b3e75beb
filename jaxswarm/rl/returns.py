"""Generalized advantage estimation (GAE), with terminated and truncated episodes.

Shapes: ``T`` steps, ``...`` any trailing axes (environments, agents).

References:
    J. Schulman et al., High-dimensional continuous control using generalized advantage estimation,
    2016. F. Pardo et al., Time limits in reinforcement learning, 2018 (truncation bootstraps).
"""

import jax
import jax.numpy as jnp
import rlax

from jaxswarm import checks
from jaxswarm.types import ArrayLike, PyTree


def advantages(
    reward: jax.Array,
    discount: jax.Array,
    last: jax.Array,
    value: jax.Array,
    next_value: jax.Array,
    gae_lambda: jax.Array | float,
) -> jax.Array:
    """Estimate advantages by truncated GAE, ``[T, ...]``.

    The return of a terminated step (discount 0) is its reward; that of a truncated one is its
    reward plus the discounted value of the *true* next observation. Neither depends on the episode
    after it.

    Args:
        reward: ``[T, ...]``.
        discount: ``[T, ...]``, the discount factor, times 0 where the agent's episode terminated.
        last: ``bool[T, ...]``, the episode is over after this step, terminated or truncated.
        value: ``[T, ...]`` of the observation acted on.
        next_value: ``[T, ...]`` of the true next observation; only used where ``last``, and in the
            final step.
        gae_lambda: in ``[0, 1]``: 0 for one-step differences, 1 for whole returns.

    Raises:
        ValueError: if shapes differ, ``last`` is not ``bool``, or a known ``gae_lambda`` is out of
            range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxswarm import rl
        >>> one, zero = jnp.ones(2), jnp.zeros(2)
        >>> last = jnp.array([False, True])
        >>> rl.advantages(one, 0.5 * one, last, zero, jnp.array([0.0, 4.0]), 1.0).tolist()
        [2.5, 3.0]
    """
    reward, discount, value, next_value = (
        _numbers(name, given)
        for name, given in (
            ("reward", reward),
            ("discount", discount),
            ("value", value),
            ("next_value", next_value),
        )
    )
    if not reward.ndim:
        raise ValueError("reward: expected shape [T, ...], got a single number")
    for name, given in (("discount", discount), ("value", value), ("next_value", next_value)):
        if given.shape != reward.shape:
            raise ValueError(f"{name}: expected shape {reward.shape}, got {given.shape}")
    last = checks.mask("last", last, jnp.shape(reward))
    checks.probability("gae_lambda", gae_lambda)
    # rlax takes one chain of values: add the last value of an episode to its last reward.
    bootstrapped = jnp.where(last & (discount != 0.0), next_value, 0.0)
    rewards = reward + discount * bootstrapped
    discounts = jnp.where(last, 0.0, discount)
    values = jnp.concatenate([value, next_value[-1:]])
    gae = rlax.truncated_generalized_advantage_estimation
    estimate = jax.vmap(gae, in_axes=(1, 1, None, 1), out_axes=1)
    flat = [x.reshape(len(x), -1) for x in (rewards, discounts, values)]
    result = estimate(flat[0], flat[1], jnp.asarray(gae_lambda), flat[2])
    return jnp.asarray(result).reshape(reward.shape)


def _numbers(name: str, value: ArrayLike) -> jax.Array:
    """An array of numbers; flags and texts are refused by name."""
    if not isinstance(value, jax.Array):
        value = checks.as_array(name, value, "an array of numbers")
    if not jnp.issubdtype(value.dtype, jnp.number):
        raise ValueError(f"{name}: expected numbers, got {checks.shown(value)}")
    return jnp.asarray(value)


def normalized(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Shift and scale to mean 0 and standard deviation 1 where ``mask``; other entries are 0."""
    x = jnp.where(mask, x, 0.0)  # also for finite gradients
    mean = masked_mean(x, mask)
    std = jnp.sqrt(masked_mean(jnp.square(x - mean), mask))
    return jnp.where(mask, (x - mean) / (std + 1e-8), 0.0)


def masked_mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean over the entries where ``mask``; 0 if there are none."""
    return jnp.sum(jnp.where(mask, x, 0.0)) / jnp.maximum(jnp.sum(mask), 1)


def select_valid(tree: PyTree, mask: jax.Array) -> PyTree:
    """Set the entries of all leaves ``[...mask's shape, ...]`` to 0 unless ``mask``.

    Select before computing losses: the gradient of a masked mean is NaN if an input of the network
    is, even where the mask is false.
    """
    return jax.tree.map(lambda x: jnp.where(_expand(mask, x), x, jnp.zeros_like(x)), tree)


def keep_unless(happens: jax.Array, new: PyTree, old: PyTree) -> PyTree:
    """``new`` if ``happens: bool[]``, else ``old``; typed keys included."""
    return jax.tree.map(lambda a, b: jnp.where(happens, a, b), new, old)


def _expand(mask: jax.Array, x: jax.Array) -> jax.Array:
    return mask.reshape(*mask.shape, *(1 for _ in range(x.ndim - mask.ndim)))
