"""Quantization of weights to a few bits, by which a provider saves memory.

References:
    R. Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, 2018.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import Params


def quantized(params: Params, bits: int = 8) -> Params:
    """Round weights to so many bits: symmetric, one scale for each output of a matrix.

    Args:
        params: pytree of one model. The last axis of a leaf are its outputs; leaves with fewer than
            two axes (biases) and integers stay.
        bits: 2 to 16.

    Returns:
        The rounded weights in their own types, so that they run in the same program.

    Raises:
        ValueError: for bits out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> quantized({"kernel": jnp.array([[1.0], [0.3]]), "bias": jnp.array([0.3])}, bits=2)
        {'bias': Array([0.3], dtype=float32), 'kernel': Array([[1.],
               [0.]], dtype=float32)}
    """
    levels = 2.0 ** (checks.whole("bits", bits, 2, 16) - 1) - 1

    def leaf(x: Any) -> Any:
        x = jnp.asarray(x)
        if x.ndim < 2 or not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        largest = jnp.max(jnp.abs(x), axis=tuple(range(x.ndim - 1)), keepdims=True)
        scale = jnp.where(largest > 0, largest / levels, 1.0)
        return (jnp.round(x / scale) * scale).astype(x.dtype)

    return jax.tree.map(leaf, params)
