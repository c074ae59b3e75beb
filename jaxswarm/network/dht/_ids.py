"""Identifiers of peers and keys: words of 32 bits, compared by XOR.

Shapes: ``W`` words, the first one the most significant.
"""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike, Key

ROUTED_WORDS = 2
"""Words by which distances are ordered; identifiers of peers must differ in these."""


def random_ids(key: Key, count: int, *, words: int = 5) -> jax.Array:
    """Draw identifiers uniformly, ``uint32[count, W]``.

    Args:
        key: consumed.
        count: at least 1.
        words: ``W``, at least 1; 5 for 160 bits as in Kademlia, 8 for SHA-256.

    Raises:
        ValueError: for a legacy key or sizes below 1.
    """
    shape = (checks.whole("count", count, 1), checks.whole("words", words, 1))
    return jax.random.bits(checks.key(key), shape, jnp.uint32)


def content_id(content: bytes, *, words: int = 8) -> np.ndarray:
    """Identifier of content, the first words of its SHA-256, ``uint32[W]`` on the host.

    Args:
        content: bytes.
        words: ``W``, in ``1 … 8``.

    Raises:
        ValueError: for what is no ``bytes``, or a number of words out of range.

    Example:
        >>> from jaxswarm.network import dht
        >>> dht.content_id(b"weights", words=2).shape
        (2,)
    """
    checks.instance("content", content, bytes)
    words = checks.whole("words", words, 1, 8)
    return np.frombuffer(hashlib.sha256(content).digest(), ">u4")[:words].astype(np.uint32)


def distance(first: ArrayLike, second: ArrayLike) -> jax.Array:
    """XOR distance, ``uint32[..., W]``, ordered lexicographically by words.

    Raises:
        ValueError: if the numbers of words differ, or the dtype is not ``uint32``.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.network import dht
        >>> dht.distance(np.uint32([1, 7]), np.uint32([1, 4])).tolist()
        [0, 3]
    """
    one, other = identifiers("first", first), identifiers("second", second)
    if one.shape[-1] != other.shape[-1]:
        raise ValueError(
            f"second: expected {one.shape[-1]} words as first has, got {other.shape[-1]}"
        )
    return one ^ other


def common_prefix(first: ArrayLike, second: ArrayLike) -> jax.Array:
    """Number of leading bits that two identifiers share, ``int32[...]`` in ``0 … 32 W``.

    Raises:
        ValueError: as :func:`distance`.
    """
    words = distance(first, second)
    zeros = jax.lax.clz(words).astype(jnp.int32)
    before = jnp.cumprod((zeros == 32).astype(jnp.int32), axis=-1)
    counted = jnp.concatenate([jnp.ones_like(before[..., :1]), before[..., :-1]], axis=-1)
    return jnp.sum(zeros * counted, axis=-1)


def identifiers(name: str, value: ArrayLike) -> jax.Array:
    """Check that a value is an array of ``uint32`` words."""
    dtype = getattr(value, "dtype", None)
    if dtype != jnp.uint32 or not jnp.ndim(value):
        raise ValueError(
            f"{name}: expected uint32 words such as dht.random_ids(key, 8), got "
            f"{checks.shown(value)}"
        )
    return jnp.asarray(value)
