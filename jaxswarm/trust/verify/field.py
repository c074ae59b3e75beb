"""Exact arithmetic in a prime field, in 32-bit integers without ``x64``.

Elements are ``uint32`` residues in ``[0, p)``. For ``p = 2**31 - 1`` products are taken in 16-bit
limbs and reduced by rotating 31 bits, since ``2**31 ≡ 1``; for a prime below ``2**16`` a product
fits in 32 bits. Sums add the limbs of residues apart, so nothing overflows. Everything runs inside
``jit`` and under ``vmap``; values are checked where they are known and refused, never reduced
silently.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.types import ArrayLike, Key

MERSENNE = 2**31 - 1
"""The default modulus, a Mersenne prime."""

LONGEST = 2**16
"""Most terms of one sum of products."""


@functools.cache
def _is_prime(number: int) -> bool:
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))


def check_modulus(modulus: Any, name: str = "modulus") -> int:
    """Check that a modulus is a prime that the field supports and return it as ``int``.

    Args:
        modulus: ``2**31 - 1`` or an odd prime below ``2**16``.
        name: for the message.

    Raises:
        ValueError: for even and composite numbers, other primes, and what is no whole number.
    """
    wanted = "2**31 - 1 or an odd prime below 2**16"
    if not checks.is_whole(modulus):
        raise ValueError(f"{name}: expected {wanted}, got {checks.shown(modulus)}")
    p = int(modulus)
    if p != MERSENNE and not (2 < p < 2**16 and _is_prime(p)):
        kind = "an even number" if p % 2 == 0 else "it"
        raise ValueError(f"{name}: expected {wanted}, got {p}" + f" ({kind} is refused)")
    return p


def elements(values: ArrayLike, modulus: int = MERSENNE, name: str = "values") -> jax.Array:
    """Embed signed integers as residues ``uint32`` of the same shape.

    Args:
        values: integers in ``[-(p - 1) / 2, (p - 1) / 2]``, of at most 32 bits; unsigned ones are
            taken as residues in ``[0, p)`` already. Traced values are only checked for their dtype.
        modulus: ``p``.
        name: for the message.

    Example:
        >>> elements([-1, 0, 125], 251).tolist()
        [250, 0, 125]
        >>> elements([126], 251)
        Traceback (most recent call last):
        ...
        ValueError: values: expected integers in [-125, 125], got 126

    Raises:
        ValueError: for values outside the field and for what is no integer.
    """
    p = check_modulus(modulus)
    half = (p - 1) // 2
    array: Any = values if checks.is_traced(values) else checks.as_array(name, values, "integers")
    kind = np.dtype(array.dtype).kind
    if kind not in "iu" or (checks.is_traced(values) and np.dtype(array.dtype).itemsize > 4):
        raise ValueError(f"{name}: expected integers, got {checks.shown(values)}")
    low, high = (0, p - 1) if kind == "u" else (-half, half)
    if not checks.is_traced(values):
        bad = (array < low) | (array > high)
        if bad.any():
            raise ValueError(
                f"{name}: expected integers in [{low}, {high}], got {array[bad].flat[0]}"
            )
    if checks.is_traced(values):
        array = array.astype(jnp.uint32 if kind == "u" else jnp.int32)
        return array if kind == "u" else _from_signed(array, p)
    return jnp.asarray((array.astype(np.int64) % p).astype(np.uint32))


def signed(residues: ArrayLike, modulus: int = MERSENNE) -> jax.Array:
    """Return the integers ``int32`` of smallest magnitude that residues stand for.

    Raises:
        ValueError: for residues outside ``[0, p)`` or not ``uint32``.
    """
    p = check_modulus(modulus)
    array = _residues("residues", residues, p)
    value = array.astype(jnp.int32)
    return jnp.where(value > (p - 1) // 2, value - jnp.int32(p), value)


def add(a: ArrayLike, b: ArrayLike, modulus: int = MERSENNE) -> jax.Array:
    """Add residues elementwise, arrays of equal rank that broadcast.

    Raises:
        ValueError: for residues outside ``[0, p)`` or not ``uint32``.
    """
    p = check_modulus(modulus)
    total = _residues("a", a, p) + _residues("b", b, p)
    return jnp.where(total >= p, total - jnp.uint32(p), total)


def subtract(a: ArrayLike, b: ArrayLike, modulus: int = MERSENNE) -> jax.Array:
    """Subtract residues elementwise.

    Raises:
        ValueError: as :func:`add`.
    """
    p = check_modulus(modulus)
    first, second = _residues("a", a, p), _residues("b", b, p)
    return jnp.where(first >= second, first - second, first + jnp.uint32(p) - second)


def multiply(a: ArrayLike, b: ArrayLike, modulus: int = MERSENNE) -> jax.Array:
    """Multiply residues elementwise.

    Example:
        >>> import numpy as np
        >>> largest = np.uint32(2**31 - 2)
        >>> int(multiply(largest, largest))  # (-1) (-1)
        1

    Raises:
        ValueError: as :func:`add`.
    """
    p = check_modulus(modulus)
    return _multiply(_residues("a", a, p), _residues("b", b, p), p)


def power(a: ArrayLike, exponent: int, modulus: int = MERSENNE) -> jax.Array:
    """Raise residues to a power by repeated squaring; ``p - 2`` gives inverses.

    Raises:
        ValueError: as :func:`add`, or for an exponent that is negative or not whole.
    """
    p = check_modulus(modulus)
    base, bits = _residues("a", a, p), bin(checks.whole("exponent", exponent))[2:]
    result = jnp.ones_like(base)
    for bit in bits:
        result = _multiply(result, result, p)
        result = _multiply(result, base, p) if bit == "1" else result
    return result


def inverse(a: ArrayLike, modulus: int = MERSENNE) -> jax.Array:
    """Return the inverses of residues, ``a**(p - 2)``.

    Raises:
        ValueError: as :func:`add`, or if one of them is 0.
    """
    p = check_modulus(modulus)
    if not checks.is_traced(a) and (np.asarray(a) == 0).any():
        raise ValueError("a: expected residues other than 0, got 0")
    return power(a, p - 2, p)


def matmul(a: ArrayLike, b: ArrayLike, modulus: int = MERSENNE) -> jax.Array:
    """Multiply matrices of residues, exact for up to :data:`LONGEST` terms of each sum.

    Args:
        a: ``uint32[..., m, k]``.
        b: ``uint32[..., k, n]``; leading axes broadcast.
        modulus: ``p``.

    Returns:
        ``uint32[..., m, n]``.

    Raises:
        ValueError: as :func:`add`, or for shapes that do not fit.
    """
    p = check_modulus(modulus)
    first, second = _residues("a", a, p), _residues("b", b, p)
    if first.ndim < 2 or second.ndim < 2 or first.shape[-1] != second.shape[-2]:
        raise ValueError(
            f"b: expected [..., k, n] for a [..., m, k], got {list(second.shape)} for "
            f"{list(first.shape)}"
        )
    rank = max(first.ndim, second.ndim)
    first, second = _leading(first, rank), _leading(second, rank)
    return _sum_products(first[..., None], second[..., None, :, :], -2, p)


def matvec(a: ArrayLike, v: ArrayLike, modulus: int = MERSENNE) -> jax.Array:
    """Multiply matrices and vectors of residues.

    Args:
        a: ``uint32[..., m, k]``.
        v: ``uint32[..., k]``; leading axes broadcast.
        modulus: ``p``.

    Returns:
        ``uint32[..., m]``.

    Raises:
        ValueError: as :func:`matmul`.
    """
    p = check_modulus(modulus)
    matrix, vector = _residues("a", a, p), _residues("v", v, p)
    if matrix.ndim < 2 or vector.ndim < 1 or matrix.shape[-1] != vector.shape[-1]:
        raise ValueError(
            f"v: expected [..., k] for a [..., m, k], got {list(vector.shape)} for "
            f"{list(matrix.shape)}"
        )
    rank = max(matrix.ndim, vector.ndim + 1)
    return _sum_products(_leading(matrix, rank), _leading(vector[..., None, :], rank), -1, p)


def random(key: Key, shape: Any, modulus: int = MERSENNE) -> jax.Array:
    """Draw uniform residues for simulations; not from a cryptographic source.

    Challenges of claims come from :class:`jaxswarm.trust.verify.Transcript` or ``secrets``.

    Raises:
        ValueError: for a wrong key or modulus.
    """
    p = check_modulus(modulus)
    return jax.random.randint(checks.key(key), shape, 0, p, jnp.uint32)


def _residues(name: str, value: ArrayLike, p: int) -> jax.Array:
    """Check residues and return them as ``uint32``."""
    array: Any = value if checks.is_traced(value) else checks.as_array(name, value, "residues")
    if array.dtype != np.uint32:
        raise ValueError(
            f"{name}: expected residues uint32 as elements(values) gives them, got "
            f"{checks.shown(value)}"
        )
    if not checks.is_traced(value):
        bad = array >= p
        if bad.any():
            raise ValueError(
                f"{name}: expected residues in [0, {p}), got {int(array[bad].flat[0])}"
            )
    return jnp.asarray(array)


def _leading(x: jax.Array, rank: int) -> jax.Array:
    return x.reshape((1,) * (rank - x.ndim) + x.shape)


def _fold(x: jax.Array) -> jax.Array:
    """Reduce any ``uint32`` to at most ``2**31 - 1``, where that number stands for 0 too."""
    x = (x & jnp.uint32(MERSENNE)) + (x >> 31)
    return jnp.where(x > MERSENNE, jnp.uint32(1), x)


def _rotate16(x: jax.Array) -> jax.Array:
    """Multiply by ``2**16`` a number of at most 31 bits: rotate its bits."""
    return ((x << 16) & jnp.uint32(MERSENNE)) | (x >> 15)


def _product(a: jax.Array, b: jax.Array, p: int) -> jax.Array:
    """Elementwise products, of at most ``p``."""
    if p != MERSENNE:
        return (a * b) % jnp.uint32(p)
    mask = jnp.uint32(0xFFFF)
    a1, a0, b1, b0 = a >> 16, a & mask, b >> 16, b & mask
    middle = _rotate16(_fold(a1 * b0 + a0 * b1))
    ends = _fold((a1 * b1 << 1) + _fold(a0 * b0))  # 2**32 = 2
    return _fold(middle + ends)


def _from_signed(x: jax.Array, p: int) -> jax.Array:
    return jnp.where(x < 0, x + jnp.int32(p), x).astype(jnp.uint32)


@functools.partial(jax.jit, static_argnums=2)
def _multiply(a: jax.Array, b: jax.Array, p: int) -> jax.Array:
    product = _product(a, b, p)
    return jnp.where(product == p, jnp.uint32(0), product)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _sum_products(a: jax.Array, b: jax.Array, axis: int, p: int) -> jax.Array:
    """Sums of elementwise products along an axis."""
    terms = a.shape[axis]
    if terms > LONGEST:
        raise ValueError(f"a: expected sums of at most {LONGEST} terms, got {terms}")
    products = _product(a, b, p)
    low = jnp.sum(products & jnp.uint32(0xFFFF), axis=axis, dtype=jnp.uint32)
    if p != MERSENNE:
        return low % jnp.uint32(p)
    high = jnp.sum(products >> 16, axis=axis, dtype=jnp.uint32)
    total = _fold(_rotate16(_fold(high)) + _fold(low))
    return jnp.where(total == MERSENNE, jnp.uint32(0), total)
