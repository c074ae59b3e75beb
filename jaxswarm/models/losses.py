"""Weighted losses and accuracy of one agent's batch; an all-zero weight gives zero, never NaN.

Samples of weight 0 are selected away, not multiplied: they have no influence on values or gradients
even if they are NaN or infinite. Labels and weights are checked unless they are traced.

Shapes: ``B`` samples, ``C`` classes, ``D`` outputs.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks


def weighted_mean(values: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """``Σ w v / Σ w``, a scalar; 0 (with zero gradient) where the weights sum to 0.

    Args:
        values: ``[B]``.
        weight: ``[B]``, non-negative; ``None`` weights all entries equally. Values of weight 0 have
            no influence even if they are NaN.

    Raises:
        ValueError: for weights of another shape, or concrete ones that are negative or not finite.
    """
    if weight is None:
        return jnp.mean(_numbers("values", values))
    values, weight = _numbers("values", values), _checked_weight(weight, jnp.shape(values))
    total = jnp.sum(weight)
    kept = jnp.where(weight > 0, values, jnp.zeros((), values.dtype))
    return jnp.sum(weight * kept) / jnp.where(total > 0, total, 1.0)


def cross_entropy(logits: jax.Array, y: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Weighted mean of ``-log softmax(logits)[y]`` in nats, a scalar; in float32 at least.

    Args:
        logits: ``[B, C]``; minus infinity for a class that is masked.
        y: ``int32[B]`` in ``[0, C)``; any integer where the weight is 0.
        weight: ``[B]`` or ``None``.

    Raises:
        ValueError: for shapes that do not fit, labels that are no integers, or concrete labels
            outside ``[0, C)``; as :func:`weighted_mean`.
    """
    logits = _numbers("logits", logits)
    y = _checked_labels(logits, y, weight)
    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    if weight is not None:  # rows of weight 0 would have a NaN gradient if they are NaN
        weight = _checked_weight(weight, logits.shape[:-1])
        logits = jnp.where((weight > 0)[..., None], logits, 0.0)
    classes = jnp.arange(logits.shape[-1]).reshape((1,) * y.ndim + (-1,))
    is_label = y[..., None] == classes
    picked = jnp.sum(jnp.where(is_label, logits, 0.0), axis=-1)
    return weighted_mean(jax.nn.logsumexp(logits, axis=-1) - picked, weight)


def squared_error(output: jax.Array, y: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Weighted mean of ``½‖output − y‖²``; ``output`` and ``y`` are both ``[B]`` or ``[B, D]``.

    Raises:
        ValueError: if their shapes differ; as :func:`weighted_mean`.
    """
    output, y = _numbers("output", output), _numbers("y", y)
    if output.shape != y.shape or not output.ndim:
        raise ValueError(f"output, y: expected equal shapes, got {output.shape} and {y.shape}")
    if weight is not None:
        weight = _checked_weight(weight, output.shape[:1])
        kept = weight.reshape(len(output), *(1,) * (output.ndim - 1)) > 0
        output, y = jnp.where(kept, output, 0.0), jnp.where(kept, y, 0.0)
    return weighted_mean(0.5 * jnp.sum(jnp.square(output - y).reshape(len(y), -1), -1), weight)


def accuracy(logits: jax.Array, y: jax.Array, weight: jax.Array | None = None) -> jax.Array:
    """Weighted share of samples whose largest logit is that of the label, in ``[0, 1]``.

    A sample with a NaN among its logits counts as wrong.

    Raises:
        ValueError: as :func:`cross_entropy`.
    """
    logits = _numbers("logits", logits)
    y = _checked_labels(logits, y, weight)
    correct = (jnp.argmax(logits, axis=-1) == y) & ~jnp.isnan(jnp.max(logits, axis=-1))
    return weighted_mean(correct.astype(jnp.float32), weight)


def zero_padding(x: jax.Array, weight: jax.Array) -> jax.Array:
    """Set samples of weight 0 to 0, so that no gradient of a network meets a NaN among them.

    Args:
        x: ``[B, ...]``.
        weight: ``[B]``.
    """
    x, weight = jnp.asarray(x), _checked_weight(weight, jnp.shape(x)[:1])
    kept = (weight > 0).reshape(weight.shape + (1,) * (x.ndim - 1))
    return jnp.where(kept, x, jnp.zeros((), x.dtype))


def _numbers(name: str, value: jax.Array) -> jax.Array:
    """The value as an array of real numbers."""
    if not isinstance(value, jax.Array):
        value = jnp.asarray(checks.as_array(name, value, "an array of numbers"))
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    if not any(jnp.issubdtype(value.dtype, kind) for kind in kinds):
        raise ValueError(f"{name}: expected an array of numbers, got {checks.shown(value)}")
    return value


def _checked_weight(weight: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """The weights as an array, which are those of that many samples, finite and not negative."""
    dtype = getattr(weight, "dtype", None)
    if dtype is not None and jnp.issubdtype(dtype, jnp.bool_):
        weight = jnp.asarray(weight).astype(jnp.float32)
    return jnp.asarray(checks.real("weight", weight, 0.0, shape=shape))


def _checked_labels(logits: jax.Array, y: jax.Array, weight: jax.Array | None) -> jax.Array:
    """The labels as an array of integers, of one class for each row of logits."""
    if not logits.ndim or not logits.shape[-1]:
        raise ValueError(f"logits: expected shape [B, C], got {logits.shape}")
    classes = logits.shape[-1]
    wanted = f"classes in [0, {classes})"
    labels = y if checks.is_traced(y) else checks.as_array("y", y, wanted)
    if not (jnp.issubdtype(labels.dtype, jnp.integer) or labels.dtype == bool):
        raise ValueError(f"y: expected {wanted} as integers, got {checks.shown(labels)}")
    if labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"y: expected one label per row of logits, shape {logits.shape[:-1]}, got "
            f"{labels.shape}"
        )
    if not checks.is_traced(y):
        outside = (labels < 0) | (labels >= classes)
        if weight is not None:
            known = not checks.is_traced(weight) and np.shape(weight) == labels.shape
            outside &= (np.asarray(weight) > 0) if known else False
        if outside.any():
            raise ValueError(f"y: expected {wanted}, got {np.asarray(labels)[outside][0]}")
    labels = jnp.asarray(y)
    return labels.astype(jnp.int32) if labels.dtype == bool else labels
