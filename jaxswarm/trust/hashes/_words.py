"""Hashes as packed bits: 32 bits to a word, the first bit of a word its most significant.

Shapes: ``N`` hashes of ``bits`` bits in ``W = ceil(bits / 32)`` words; unused bits are 0.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike

WORD = 32


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Hashes:
    """Packed hashes and which of them say anything.

    Attributes:
        words: ``uint32[..., W]``.
        valid: ``bool[...]``; the hash of a constant image is not valid: it cannot be verified and
            matches nothing.
        bits: static; the length of a hash.
    """

    words: Any
    valid: Any
    bits: int = field(metadata={"static": True})

    def __getitem__(self, index: Any) -> "Hashes":
        """Hashes at an index of the leading axes."""
        return Hashes(self.words[index], self.valid[index], self.bits)

    def __len__(self) -> int:
        return len(self.valid)

    def __iter__(self) -> Iterator["Hashes"]:
        return (self[i] for i in range(len(self)))


def pack(bits: ArrayLike) -> jax.Array:
    """Pack bits into words.

    Args:
        bits: ``bool[..., bits]``, at least one.

    Returns:
        ``uint32[..., W]``.

    Raises:
        ValueError: for another dtype or no bits.

    Example:
        >>> [f"{int(word):08x}" for word in pack([True] * 4 + [False] * 30 + [True, True])]
        ['f0000000', '30000000']
    """
    array: Any = (
        bits if checks.is_traced(bits) else checks.as_array("bits", bits, "bool[..., bits]")
    )
    if array.dtype != bool or array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"bits: expected bool[..., bits], got {checks.shown(array)}")
    return _packed(jnp.asarray(array))


@jax.jit
def _packed(array: jax.Array) -> jax.Array:
    count = array.shape[-1]
    pad = [(0, 0)] * (array.ndim - 1) + [(0, -count % WORD)]
    lanes = jnp.pad(array, pad).reshape((*array.shape[:-1], -1, WORD)).astype(jnp.uint32)
    shifts = jnp.arange(WORD - 1, -1, -1, dtype=jnp.uint32)
    return jnp.sum(lanes << shifts.reshape((1,) * (lanes.ndim - 1) + (WORD,)), -1, jnp.uint32)


def unpack(hashes: Any, bits: int | None = None) -> jax.Array:
    """Bits of packed hashes.

    Args:
        hashes: :class:`Hashes` or ``uint32[..., W]``.
        bits: length of a hash; that of :class:`Hashes`, else ``32 W``.

    Returns:
        ``bool[..., bits]``.

    Raises:
        ValueError: for another dtype, or more bits than the words hold.
    """
    return _unpacked(*require_words("hashes", hashes, bits))


@functools.partial(jax.jit, static_argnames="length")
def _unpacked(words: jax.Array, length: int) -> jax.Array:
    shifts = jnp.arange(WORD - 1, -1, -1, dtype=jnp.uint32)
    lanes = words[..., None] >> shifts.reshape((1,) * words.ndim + (WORD,))
    flat = (lanes & jnp.uint32(1)).astype(bool)
    return flat.reshape((*words.shape[:-1], -1))[..., :length]


def to_hex(hashes: Any) -> Any:
    """Hexadecimal digits of packed hashes, those of the ImageHash package.

    Args:
        hashes: :class:`Hashes` or ``uint32[..., W]``, concrete.

    Returns:
        A text for one hash, else a list of texts, nested as the leading axes are.

    Raises:
        ValueError: for another dtype or traced words.

    Example:
        >>> to_hex(np.array([[255, 1], [0, 2**31]], np.uint32))
        ['000000ff00000001', '0000000080000000']
    """
    words, bits = require_words("hashes", checks.concrete("hashes", hashes))
    digits = -(-bits // 4)

    def text(row: np.ndarray) -> Any:
        if row.ndim > 1:
            return [text(part) for part in row]
        return "".join(f"{int(word):08x}" for word in row)[:digits]

    return text(np.asarray(words))


def require_words(name: str, value: Any, bits: int | None = None) -> tuple[jax.Array, int]:
    """Check hashes and return ``(uint32[..., W], bits)``.

    Raises:
        ValueError: naming ``name``, or ``bits``.
    """
    known = value.bits if isinstance(value, Hashes) else None
    words = value.words if isinstance(value, Hashes) else value
    if not hasattr(words, "dtype") or words.dtype != np.uint32 or words.ndim == 0:
        raise ValueError(
            f"{name}: expected Hashes or packed words uint32[..., W], got {checks.shown(words)}"
        )
    if words.shape[-1] == 0:
        raise ValueError(f"{name}: expected at least one word, got {checks.shown(words)}")
    held = WORD * words.shape[-1]
    length = known or held
    if bits is not None:
        length = checks.whole("bits", bits, held - WORD + 1, held)
        if known is not None and length != known:
            raise ValueError(f"bits: expected {known} as in {name}, got {bits}")
    return jnp.asarray(words), length


def require_pair(
    a: Any, b: Any, bits: int | None = None, names: tuple[str, str] = ("a", "b")
) -> tuple[jax.Array, jax.Array, int]:
    """Check that two sets of hashes have the same length: words of both, and the bits.

    Raises:
        ValueError: naming the second set where lengths differ.
    """
    first, length = require_words(names[0], a, bits)
    second, other = require_words(names[1], b, bits)
    if isinstance(a, Hashes) != isinstance(b, Hashes):  # plain words do not know their length
        length = other = a.bits if isinstance(a, Hashes) else b.bits
    if length != other or first.shape[-1] != second.shape[-1]:
        raise ValueError(
            f"{names[1]}: expected hashes of {length} bits in {first.shape[-1]} words like "
            f"{names[0]}, got {other} bits in {second.shape[-1]} words"
        )
    return first, second, length


def valid_of(value: Any, shape: tuple[int, ...]) -> jax.Array:
    """Which hashes are valid; all where plain words came."""
    if isinstance(value, Hashes):
        return jnp.asarray(value.valid)
    return jnp.ones(shape, bool)
