"""Weighted losses and accuracy of one agent's batch; an all-zero weight gives zero, never NaN.

Shapes: ``B`` samples, ``C`` classes, ``D`` outputs.
"""

import jax
import jax.numpy as jnp


def weighted_mean(values: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """``Σ w v / Σ w``, a scalar; 0 (with zero gradient) where the weights sum to 0.

    Args:
        values: ``[B]``.
        weight: ``[B]``, non-negative; ``None`` weights all entries equally.
    """
    if weight is None:
        return jnp.mean(values)
    total = jnp.sum(weight)
    return jnp.sum(weight * values) / jnp.where(total > 0, total, 1.0)


def cross_entropy(logits: jax.Array, y: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Weighted mean of ``-log softmax(logits)[y]`` in nats, a scalar; in float32 at least.

    Args:
        logits: ``[B, C]``.
        y: ``int32[B]``.
        weight: ``[B]`` or ``None``.
    """
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    picked = jnp.sum(logits * jax.nn.one_hot(y, logits.shape[-1], dtype=logits.dtype), axis=-1)
    return weighted_mean(jax.nn.logsumexp(logits, axis=-1) - picked, weight)


def squared_error(output: jax.Array, y: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Weighted mean of ``½‖output − y‖²``; ``output`` and ``y`` are both ``[B]`` or ``[B, D]``.

    Raises:
        ValueError: if their shapes differ.
    """
    if output.shape != y.shape:
        raise ValueError(f"output, y: expected equal shapes, got {output.shape} and {y.shape}")
    return weighted_mean(0.5 * jnp.sum(jnp.square(output - y).reshape(len(y), -1), -1), weight)


def accuracy(logits: jax.Array, y: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Weighted share of samples whose largest logit is that of the label, in ``[0, 1]``."""
    return weighted_mean((jnp.argmax(logits, axis=-1) == y).astype(jnp.float32), weight)
