"""Weights of a server in fewer bytes: bfloat16, or 8-bit integers with one scale per output.

References:
    R. Krishnamoorthi, Quantizing deep convolutional networks for efficient inference, 2018.
    T. Dettmers et al., LLM.int8(): 8-bit matrix multiplication for transformers at scale, 2022.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models.transformer.serving._acceleration import WEIGHTS
from jaxswarm.types import Params, PyTree

LEVELS = 127.0


class Quantized(NamedTuple):
    """A matrix as 8-bit integers.

    Attributes:
        values: ``int8[..., O]``.
        scale: ``float32[..., O]`` with other axes of extent 1; the matrix is ``values * scale``.
    """

    values: jax.Array
    scale: jax.Array


def store(params: Params, weights: str = "int8") -> PyTree:
    """Convert the parameters of one model to what a server keeps.

    Args:
        params: pytree of floating leaves. The last axis of a leaf are its outputs.
        weights: a name in ``WEIGHTS``. For ``int8`` leaves with two axes or more become
            :class:`Quantized`, rounded to 127 levels of either sign; others stay.

    Raises:
        ValueError: for an unknown type, or leaves that are no real numbers.

    Example:
        >>> import jax.numpy as jnp
        >>> kept = store({"kernel": jnp.array([[2.54], [-1.0]]), "scale": jnp.ones(1)})
        >>> kept["kernel"].values.ravel().tolist(), num_bytes(kept)
        ([127, -50], 10)
    """
    checks.choice("weights", weights, WEIGHTS)

    def leaf(x: Any) -> Any:
        x = checks.numbers("params", x)
        if weights == "bfloat16":
            return x.astype(jnp.bfloat16)
        if weights == "float32" or x.ndim < 2:
            return x
        largest = jnp.max(jnp.abs(x), axis=tuple(range(x.ndim - 1)), keepdims=True)
        scale = jnp.where(largest > 0, largest / LEVELS, 1.0)
        return Quantized(jnp.round(x / scale).astype(jnp.int8), scale)

    return jax.tree.map(leaf, params)


def restore(weights: PyTree) -> Params:
    """Parameters that the network takes, of what :func:`store` keeps.

    Inside ``jit`` the conversion is part of the program: what is read from memory are integers.
    """

    def leaf(x: Any) -> Any:
        return x.values.astype(x.scale.dtype) * x.scale if isinstance(x, Quantized) else x

    return jax.tree.map(leaf, weights, is_leaf=lambda x: isinstance(x, Quantized))


def num_bytes(weights: PyTree) -> int:
    """Bytes of all arrays of a pytree."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(weights))
