"""Probabilistic check of matrix products (Freivalds) in a prime field.

References:
    R. Freivalds, Probabilistic machines can use less running time, 1977.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.trust.verify import field
from jaxswarm.types import ArrayLike


class Product(NamedTuple):
    """Sizes of one product ``c = a b`` of a model.

    Attributes:
        batch: leading axes of ``a`` and ``c``.
        rows: ``m``.
        terms: ``k``.
        columns: ``n``.
        matrices: number of different ``b``: 1, one per layer or one per leading axis.
        largest: bound of the magnitudes of ``c``.
    """

    batch: tuple[int, ...]
    rows: int
    terms: int
    columns: int
    matrices: int
    largest: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of ``c``."""
        return (*self.batch, self.rows, self.columns)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of computing the product."""
        return math.prod(self.batch) * self.rows * self.terms * self.columns

    @property
    def check_multiply_adds(self) -> int:
        """Multiply-adds of one check: ``b r``, ``a (b r)`` and ``c r``, each counted in the field.

        One in the field ``2**31 - 1`` takes about twenty 32-bit instructions on a CPU.
        """
        rows = math.prod(self.batch) * self.rows
        return self.matrices * self.terms * self.columns + rows * (self.terms + self.columns)


def freivalds(
    a: ArrayLike,
    b: ArrayLike,
    c: ArrayLike,
    challenge: ArrayLike,
    modulus: int = field.MERSENNE,
) -> jax.Array:
    """Check ``a b = c`` modulo a prime by ``a (b r) = c r`` for a random vector ``r``.

    A correct product always passes. A wrong one passes with probability at most ``1 / p`` for a
    challenge that is uniform and drawn after ``a``, ``b`` and ``c`` were fixed: exactly ``1 / p``
    if the error has rank 1, and less if it has a higher one. Runs inside ``jit`` and under
    ``vmap``; the product is never computed.

    Args:
        a: ``int[..., m, k]``, signed integers in ``[-(p - 1) / 2, (p - 1) / 2]`` or residues
            ``uint32`` in ``[0, p)``.
        b: ``int[..., k, n]``; leading axes broadcast, one matrix may serve all.
        c: ``int[..., m, n]``.
        challenge: residues ``uint32[n]``, or ``[..., n]`` for one vector each.
        modulus: ``2**31 - 1`` or an odd prime below ``2**16``.

    Returns:
        ``bool[...]`` over the leading axes.

    Raises:
        ValueError: for a modulus that is not prime, values outside the field (if not traced), or
            shapes that do not fit.

    Example:
        >>> import jax
        >>> from jaxswarm.trust import verify
        >>> a, b = [[1, -2], [3, 4]], [[5, 6], [-7, 8]]
        >>> r = verify.field.random(jax.random.key(0), (2,))
        >>> bool(verify.freivalds(a, b, [[19, -10], [-13, 50]], r))
        True
        >>> bool(verify.freivalds(a, b, [[19, -10], [-13, 51]], r))
        False
    """
    p = field.check_modulus(modulus)
    given = {"a": a, "b": b, "c": c}
    first, second, third = (field.elements(v, p, name) for name, v in given.items())
    r = field.elements(challenge, p, "challenge")
    for name, value in zip(given, (first, second, third), strict=True):
        if value.ndim < 2:
            raise ValueError(f"{name}: expected a matrix [..., m, n], got {list(value.shape)}")
    m, n, k = first.shape[-2], second.shape[-1], first.shape[-1]
    if second.shape[-2] != k:
        raise ValueError(f"b: expected [..., {k}, n], got {list(second.shape)}")
    if third.shape[-2:] != (m, n):
        raise ValueError(f"c: expected [..., {m}, {n}], got {list(third.shape)}")
    if r.ndim < 1 or r.shape[-1] != n:
        raise ValueError(f"challenge: expected [..., {n}], got {list(r.shape)}")
    return _holds(first, second, third, r, p)


@functools.partial(jax.jit, static_argnums=4)
def _holds(a: jax.Array, b: jax.Array, c: jax.Array, r: jax.Array, p: int) -> jax.Array:
    left = field.matvec(a, field.matvec(b, r, p), p)
    right = field.matvec(c, r, p)
    rank = max(left.ndim, right.ndim)
    left = left.reshape((1,) * (rank - left.ndim) + left.shape)
    right = right.reshape((1,) * (rank - right.ndim) + right.shape)
    return jnp.all(left == right, axis=-1)


def holds(factors: "Factors", challenges: jax.Array, p: int) -> jax.Array:
    """Check one product of a model with challenges ``uint32[R, n]``, ``bool[]``."""
    return jnp.all(jax.vmap(lambda r: freivalds(*factors, r, p))(challenges))


class Factors(NamedTuple):
    """A product inside a model.

    Attributes:
        a: ``int[..., m, k]``.
        b: ``int[..., k, n]``.
        c: ``int32[..., m, n]``, computed or claimed.
    """

    a: jax.Array
    b: jax.Array
    c: jax.Array


def product(a: jax.Array, b: jax.Array, claimed: jax.Array | None) -> Factors:
    """Multiply integer matrices exactly, or take the claimed product where there is one.

    Exact where :func:`product_bound` accepts the sizes.
    """
    if claimed is None:
        claimed = jnp.matmul(a.astype(jnp.int32), b.astype(jnp.int32))
    return Factors(a, b, claimed)


def product_bound(terms: int, a_max: int, b_max: int) -> int:
    """Bound the magnitudes of a product of integer matrices.

    Raises:
        ValueError: if it exceeds ``2**30 - 1``, which leaves room for a bias.
    """
    largest = checks.whole("terms", terms, 1) * a_max * b_max
    if largest >= 2**30:
        raise ValueError(
            f"model: expected products below 2**30, got up to {largest} ({terms} terms of up to "
            f"{a_max} times {b_max})"
        )
    return largest
