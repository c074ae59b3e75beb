"""Hamming distances of packed hashes: of pairs, of all pairs, and their histogram in blocks.

Shapes: ``N`` and ``M`` hashes of ``W`` words, ``bits`` bits.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.hashes._words import require_pair, valid_of
from jaxswarm.types import ArrayLike

BLOCKS = {"cpu": 2**14}
"""Pairs whose distances :func:`histogram` holds at once: those that stay in a core's cache."""
LARGE_BLOCK = 2**22
"""The same on accelerators."""
ROWS = 2**31 - 1
"""Most pairs that one counter counts."""


def hamming(a: Any, b: Any) -> jax.Array:
    """Hamming distance of each pair of hashes, that of ``a[i]`` and ``b[i]``.

    Args:
        a: :class:`Hashes`, or packed words ``uint32[..., W]``.
        b: the same, of as many bits; leading axes are broadcast.

    Returns:
        ``int32[...]``, also where a hash is not valid.

    Raises:
        ValueError: for another dtype, or hashes of different lengths.

    Example:
        >>> from jaxswarm.trust import hashes
        >>> a = hashes.pack([[True, False, True], [True, True, True]])
        >>> hashes.hamming(a, a[:1]).tolist()
        [0, 1]
    """
    first, second, _ = require_pair(a, b)
    try:
        shape = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        raise ValueError(
            f"b: expected leading axes that broadcast with {list(first.shape[:-1])}, got "
            f"{list(second.shape[:-1])}"
        ) from None
    return _apart(first, second, shape)


def distances(a: Any, b: Any) -> jax.Array:
    """Hamming distances of all pairs of hashes.

    Args:
        a: :class:`Hashes` of ``N``, or packed words ``uint32[N, W]``.
        b: the same of ``M``, of as many bits.

    Returns:
        ``int32[N, M]``, also where a hash is not valid. :func:`histogram` needs no such table.

    Raises:
        ValueError: for another shape or dtype, or hashes of different lengths.

    Example:
        >>> from jaxswarm.trust import hashes
        >>> a = hashes.pack([[True, False, True], [True, True, True]])
        >>> hashes.distances(a, a).tolist()
        [[0, 1], [1, 0]]
    """
    first, second, _ = _tables(a, b)
    return _table(first, second)


def histogram(
    a: Any,
    b: Any,
    *,
    classes: tuple[ArrayLike, ArrayLike] | None = None,
    items: tuple[ArrayLike, ArrayLike] | None = None,
) -> Any:
    """Count the pairs of hashes at each Hamming distance, in blocks, without a table of all pairs.

    Pairs with a hash that is not valid are left out.

    Args:
        a: :class:`Hashes` of ``N``, or packed words ``uint32[N, W]``.
        b: the same of ``M``, of as many bits.
        classes: ``(int[N], int[M])``; only pairs of the same class count, such as impostors that
            look alike.
        items: ``(int[N], int[M])``; only pairs of different items count, such as outputs of
            different prompts. ``a`` against itself: ``(np.arange(N), np.arange(N))``, which counts
            each pair twice.

    Returns:
        ``int64[bits + 1]`` on the host, pairs at distance ``0, 1, …``; inside ``jit`` a traced
        ``int32[bits + 1]``, right up to ``2^31 - 1`` pairs at a distance.

    Raises:
        ValueError: for another shape or dtype, or hashes of different lengths.

    Example:
        >>> from jaxswarm.trust import hashes
        >>> a = hashes.pack([[True, False, True], [True, True, True], [False, True, True]])
        >>> index = np.arange(3)
        >>> hashes.histogram(a, a, items=(index, index))[:4].tolist()
        [0, 4, 2, 0]
    """
    first, second, bits = _tables(a, b)
    sizes = (first.shape[0], second.shape[0])
    groups = [_labels(name, x, sizes) for name, x in (("classes", classes), ("items", items))]
    sides = [
        (words, valid_of(value, words.shape[:1]), *(group[side] for group in groups))
        for side, (words, value) in enumerate(((first, a), (second, b)))
    ]
    used = (classes is not None, items is not None)
    traced = any(checks.is_traced(x) for x in jax.tree.leaves(sides))
    whole = np.zeros(bits + 1, np.int64)
    # A counter is an int32; beyond, several are added up on the host.
    step = sizes[0] if traced else max(1, ROWS // sizes[1])
    for start in range(0, sizes[0], step):
        part = tuple(x[start : start + step] for x in sides[0])
        counts = _counts(part, sides[1], bits, used)[: bits + 1]
        if traced:
            return counts
        whole += np.asarray(counts)
    return whole


@functools.partial(jax.jit, static_argnames="shape")
def _apart(a: jax.Array, b: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Distances of pairs whose words are broadcast to ``shape``."""
    differing = jnp.broadcast_to(a, shape) ^ jnp.broadcast_to(b, shape)
    return jnp.sum(jax.lax.population_count(differing), axis=-1, dtype=jnp.int32)


@jax.jit
def _table(a: jax.Array, b: jax.Array) -> jax.Array:
    """Distances ``int32[N, M]``, word by word: one pass over the result."""
    words = (
        jax.lax.population_count(a[:, None, word] ^ b[None, :, word]) for word in range(a.shape[1])
    )
    return functools.reduce(jnp.add, words).astype(jnp.int32)


@functools.partial(jax.jit, static_argnames=("bits", "used"))
def _counts(
    a: tuple[jax.Array, ...], b: tuple[jax.Array, ...], bits: int, used: tuple[bool, bool]
) -> jax.Array:
    """Pairs at each distance ``int32[bits + 2]``; those that do not count come last."""
    block = BLOCKS.get(jax.default_backend(), LARGE_BLOCK)
    rows = max(1, min(block // b[0].shape[0], a[0].shape[0]))
    pad = -a[0].shape[0] % rows
    a = tuple(jnp.pad(x, [(0, pad)] + [(0, 0)] * (x.ndim - 1)) for x in a)  # padding is not valid

    def add(counts: jax.Array, part: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        found = _table(part[0], b[0])
        counted = part[1][:, None] & b[1][None]
        if used[0]:
            counted &= part[2][:, None] == b[2][None]
        if used[1]:
            counted &= part[3][:, None] != b[3][None]
        at = jnp.where(counted, found, bits + 1).ravel()
        return counts.at[at].add(1, mode="promise_in_bounds"), None

    blocks = tuple(x.reshape(-1, rows, *x.shape[1:]) for x in a)
    return jax.lax.scan(add, jnp.zeros(bits + 2, jnp.int32), blocks)[0]


def _tables(a: Any, b: Any) -> tuple[jax.Array, jax.Array, int]:
    first, second, bits = require_pair(a, b)
    for name, words in (("a", first), ("b", second)):
        if words.ndim != 2 or words.shape[0] == 0:
            raise ValueError(f"{name}: expected hashes [N], got words of shape {words.shape}")
    return first, second, bits


def _labels(name: str, value: Any, sizes: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    """Labels of both sides; zeros if there are none."""
    if value is None:
        return jnp.zeros(sizes[0], jnp.int32), jnp.zeros(sizes[1], jnp.int32)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{name}: expected two arrays, of a and of b, got {checks.shown(value)}")
    first, second = (
        jnp.asarray(checks.wholes(name, x, -checks.LARGEST, shape=(size,)))
        for x, size in zip(value, sizes, strict=True)
    )
    return first, second
