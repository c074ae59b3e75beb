"""Baselines of locality-sensitive hashes: exact bytes and differences of pixels.

Shapes: ``N`` outputs.
"""

import hashlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.hashes import Hashes
from jaxswarm.trust.hashes._images import require_images
from jaxswarm.types import ArrayLike

DIGEST_BITS = 256


def exact_hash(outputs: ArrayLike) -> Hashes:
    """SHA-256 of the bytes of each output: one differing bit changes all.

    Compare with tolerance 0. Bring outputs of different precision to one dtype first, else they
    differ already by their dtype.

    Args:
        outputs: ``[N, ...]`` of numbers, concrete.

    Returns:
        Hashes of 256 bits; all are valid.

    Raises:
        ValueError: for traced outputs, or no leading axis.

    Example:
        >>> from jaxswarm.trust import consensus, hashes
        >>> found = consensus.exact_hash(np.array([[0.1, 0.2], [0.1, 0.2], [0.1, 0.3]]))
        >>> (hashes.hamming(found[0], found) == 0).tolist()
        [True, True, False]
    """
    checks.concrete("outputs", outputs)
    array = checks.as_array("outputs", outputs, "numbers [N, ...]")
    if array.ndim == 0 or not len(array):
        raise ValueError(f"outputs: expected numbers [N, ...], got {checks.shown(outputs)}")
    head = f"{array.dtype.name}{list(array.shape[1:])}".encode()
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    digests = b"".join(hashlib.sha256(head + row.tobytes()).digest() for row in little)
    words = np.frombuffer(digests, ">u4").astype(np.uint32).reshape(len(array), -1)
    return Hashes(jnp.asarray(words), jnp.ones(len(array), bool), DIGEST_BITS)


def pixel_distance(a: Any, b: Any) -> jax.Array:
    """Root mean square difference of the pixels of each pair of images.

    Args:
        a: ``uint8`` or floats in ``[0, 1]``, ``[N, H, W]`` or ``[N, H, W, C]``.
        b: images of the same shape.

    Returns:
        ``float32[N]`` in ``[0, 1]``.

    Raises:
        ValueError: for another dtype, range or shape, or NaN.

    Example:
        >>> pixel_distance(np.zeros((1, 2, 2)), np.full((1, 2, 2), 255, np.uint8)).tolist()
        [1.0]
    """
    first, second = (jnp.asarray(require_images(x, 1, name)) for name, x in (("a", a), ("b", b)))
    if first.shape != second.shape:
        raise ValueError(f"b: expected shape {list(first.shape)} like a, got {list(second.shape)}")
    return _apart(first, second)


@jax.jit
def _apart(a: jax.Array, b: jax.Array) -> jax.Array:
    units = (x.astype(jnp.float32) / (255.0 if x.dtype == jnp.uint8 else 1.0) for x in (a, b))
    return jnp.sqrt(jnp.mean(jnp.square(next(units) - next(units)), axis=tuple(range(1, a.ndim))))
