"""Dense and convolutional layers with flax's initial weights, whose draws compile faster.

XLA's CPU backend unrolls the generator of random bits over short last axes. The weights of a 3×3
convolution take 17 s to compile and those of a layer with 10 outputs 5 s, drawn in the shape of the
layer for every agent; as one flat row of numbers that is reshaped, .6 s and .7 s. The numbers are
equal, because each is drawn from its position in row-major order.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm._draws import flat

Initializer = Callable[..., jax.Array]

_STD_OF_TRUNCATED = 0.87962566103423978  # of a standard normal variable cut off at -2 and 2


def _truncated(key: jax.Array, shape: Sequence[int], dtype: Any) -> jax.Array:
    return jax.random.truncated_normal(key, -2, 2, shape, dtype)


def variance_scaling(
    scale: float,
    mode: Literal["fan_in", "fan_avg"] = "fan_in",
    distribution: Literal["truncated_normal", "normal", "uniform"] = "truncated_normal",
) -> Initializer:
    """Weights of variance ``scale / fan`` for kernels ``[..., inputs, outputs]``.

    Args:
        scale: positive.
        mode: ``fan`` is the number of inputs, or the mean of inputs and outputs; both times the
            number of leading positions, those of a convolution's window.
        distribution: a normal distribution cut off at two standard deviations, a normal or a
            uniform one.

    Returns:
        ``init(key, shape, dtype=float32)``, as flax's layers take it; equal to
        ``flax.linen.initializers.variance_scaling`` up to rounding.

    Example:
        >>> import jax
        >>> variance_scaling(1.0)(jax.random.key(0), (3, 3, 8, 16)).shape
        (3, 3, 8, 16)
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        window = math.prod(shape[:-2])
        inputs, outputs = shape[-2] * window, shape[-1] * window
        variance = scale / (inputs if mode == "fan_in" else (inputs + outputs) / 2)
        if distribution == "uniform":
            half_width = jnp.sqrt(jnp.asarray(3 * variance, dtype))
            return half_width * flat(jax.random.uniform, key, shape, dtype, -1)
        deviation = jnp.sqrt(jnp.asarray(variance, dtype))
        if distribution == "normal":
            return deviation * flat(jax.random.normal, key, shape, dtype)
        deviation = deviation / jnp.asarray(_STD_OF_TRUNCATED, dtype)
        return deviation * flat(_truncated, key, shape, dtype)

    return init


def normal(deviation: float) -> Initializer:
    """Independent normal weights of one standard deviation, as ``init(key, shape, dtype)``."""

    def init(key: jax.Array, shape: Sequence[int], dtype: Any = jnp.float32) -> jax.Array:
        return flat(jax.random.normal, key, shape, dtype) * jnp.asarray(deviation, dtype)

    return init


lecun_normal = variance_scaling(1.0)
"""Variance ``1 / inputs``, cut off at two standard deviations: the default of flax's layers.

Source: Y. LeCun, L. Bottou, G. Orr, K.-R. Müller, Efficient backprop, 1998.
"""


class Dense(nn.Dense):
    """``flax.linen.Dense`` whose weights are drawn flat."""

    kernel_init: Initializer = lecun_normal


class Conv(nn.Conv):
    """``flax.linen.Conv`` whose weights are drawn flat."""

    kernel_init: Initializer = lecun_normal
