"""Perceptual hashes of images: average, difference, DCT and Haar wavelet.

All arithmetic is in integers, so that compiling, batching or another device cannot change a bit,
and what is equal is equal: floating-point implementations round ties either way.

Shapes: ``N`` images, hashes of ``size x size`` bits in rows.

References:
    N. Krawetz, Looks like it, 2011 (average and DCT), Kind of like that, 2013 (difference).
    C. Zauner, Implementation and benchmarking of perceptual image hash functions, 2010.
    The ImageHash package defines details (median, Lanczos resizing, order of bits).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.trust.hashes._images import gray, require_images, resize
from jaxswarm.trust.hashes._words import Hashes, pack

KINDS = ("ahash", "dhash", "phash", "whash")
"""Average, difference, DCT ("perceptual") and Haar wavelet hash."""
LARGEST = 16
FREQUENCIES = 4
"""The DCT hash looks at ``4 size x 4 size`` pixels and keeps the lowest quarter each way."""


def perceptual(images: Any, kind: str = "phash", *, size: int = 8) -> Hashes:
    """Hash images so that images that look alike have hashes of a small Hamming distance.

    Images become 8-bit gray pixels, resized by a Lanczos filter. A bit is set where

    - ``"ahash"``: one of ``size x size`` pixels is above their mean;
    - ``"dhash"``: one of ``size x (size + 1)`` pixels is above its left neighbor;
    - ``"phash"``: one of the lowest ``size x size`` coefficients of the discrete cosine transform
      of ``4 size x 4 size`` pixels is above their median;
    - ``"whash"``: one of ``size x size`` coefficients of the Haar transform, at the largest
      power of two that the image holds, is above their median.

    Bits equal those of the ImageHash package (``str`` of its hash is :func:`to_hex`) unless what it
    compares is equal in exact arithmetic, where its rounding decides and ours leaves the bit 0.
    Removing the largest Haar level, as it does, lowers all coefficients alike and changes no bit.
    Widths are resized before heights; Pillow 13 does it in the other order for some images that are
    taller than wide, whose bits may differ.

    Args:
        images: ``uint8`` or floats in ``[0, 1]``, ``[N, H, W]`` or ``[N, H, W, C]`` with 1 or 3
            channels; at least ``size x size`` pixels, at most 8,191 x 8,191.
        kind: one of :data:`KINDS`.
        size: 2 to 16, a power of two for ``"whash"``; a hash has ``size^2`` bits.

    Returns:
        Hashes of ``N`` images. An image in which the compared numbers are all the same, such as a
        constant one, is not valid. Inside ``jit``, neither is one with NaN or values out of range.

    Raises:
        ValueError: for an unknown kind, a size out of range, images below it, another dtype or
            range, or NaN.

    Example:
        >>> from jaxswarm.trust import hashes
        >>> ramp = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
        >>> found = hashes.perceptual(ramp, "dhash", size=4)
        >>> hashes.to_hex(found), found.valid.tolist()
        (['ffff'], [True])
        >>> hashes.perceptual(np.zeros((1, 8, 8))).valid.tolist()
        [False]
    """
    checks.choice("kind", kind, KINDS)
    size = checks.whole("size", size, 2, LARGEST)
    if kind == "whash" and size & (size - 1):
        raise ValueError(f"size: expected a power of two for 'whash', got {size}")
    images = require_images(images, size)
    return _hashed(jnp.asarray(images), kind, size)


@functools.partial(jax.jit, static_argnames=("kind", "size"))
def _hashed(images: jax.Array, kind: str, size: int) -> Hashes:
    pixels, valid = gray(images)
    bits, varies = RULES[kind](pixels, size)
    return Hashes(pack(bits.reshape(len(bits), -1)), valid & varies, size * size)


def _average(pixels: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    small = resize(pixels, size, size)
    total = jnp.sum(small, axis=(1, 2), keepdims=True)
    return small * size**2 > total, _varies(small)


def _difference(pixels: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    small = resize(pixels, size, size + 1)
    steps = small[:, :, 1:] - small[:, :, :-1]
    return steps > 0, jnp.any(steps != 0, axis=(1, 2))


def _wavelet(pixels: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    scale = max(1 << (min(pixels.shape[1:]).bit_length() - 1), size)
    side = scale // size
    small = resize(pixels, scale, scale).reshape(-1, size, side, size, side)
    sums = jnp.sum(small, axis=(2, 4)).reshape(-1, size * size)
    return _above_median(sums[:, :, None] < sums[:, None, :]), _varies(sums)


def _cosine(pixels: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    high, low = _coefficients(resize(pixels, FREQUENCIES * size, FREQUENCIES * size), size)
    below = high[:, :, None] < high[:, None, :]
    below |= (high[:, :, None] == high[:, None, :]) & (low[:, :, None] < low[:, None, :])
    return _above_median(below), jnp.any((high[:, 1:] != 0) | (low[:, 1:] != 0), axis=1)


RULES = {"ahash": _average, "dhash": _difference, "phash": _cosine, "whash": _wavelet}


def _varies(values: jax.Array) -> jax.Array:
    axes = tuple(range(1, values.ndim))
    return jnp.max(values, axis=axes) != jnp.min(values, axis=axes)


def _above_median(below: jax.Array) -> jax.Array:
    """Which of ``n`` numbers exceed their median, by comparisons ``bool[N, n, n]`` of all pairs.

    ``below[:, i, j]`` is whether number ``i`` is less than number ``j``. A number exceeds the mean
    of the two middle ones just if it exceeds the lower of them: ``(n - 1) // 2`` others come before
    that one.
    """
    return jnp.sum(below, axis=1) > (below.shape[1] - 1) // 2


DIGITS, DIGIT, SCALE = 4, 7, 25
"""Cosine products are whole multiples of ``2^-25``, in four digits of 7 bits with a sign.

Then ``digit x pixel`` is exact in any floating-point format with 8 bits, bfloat16 and TF32
included, and sums over 1,024 pixels in float32; the error of a coefficient of ``32 x 32`` pixels
is at most .002 (about .00003 for noise), where coefficients reach 10,000.
"""
EXACT = 1024


def _coefficients(pixels: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Lowest coefficients of the DCT of 8-bit pixels as ``2^14 high + low``, ``int32[N, size^2]``.

    ``0 <= low < 2^14``; the first coefficient is the sum of the pixels.
    """
    count = pixels.shape[1] * pixels.shape[2]
    digits = _basis(size).reshape(-1, min(count, EXACT), DIGITS * size * size)
    centered = (pixels - 128).reshape(len(pixels), *digits.shape[:2]).astype(jnp.float32)
    parts = jnp.einsum("ncp,cpk->nck", centered, digits, precision="highest")
    sums = jnp.sum(parts.astype(jnp.int32), axis=1).reshape(-1, DIGITS, size * size)
    carried = sums[:, 1] + (sums[:, 0] >> DIGIT)
    low = ((carried & 127) << DIGIT) + (sums[:, 0] & 127)
    high = (sums[:, 3] << DIGIT) + sums[:, 2] + (carried >> DIGIT)
    return high.at[:, 0].add(count << (SCALE - DIGIT)), low


@functools.cache
def _basis(size: int) -> np.ndarray:
    """Digits ``float32[pixels, DIGITS x size^2]`` of cosine products, lowest digit first."""
    side = FREQUENCIES * size
    angles = np.outer(np.arange(size), 2 * np.arange(side) + 1) % (4 * side)
    cosines = np.array([_exact_cosine(step, side) for step in range(4 * side)])[angles]
    products = np.einsum("uh,vw->hwuv", cosines, cosines).reshape(side * side, size * size)
    rest = np.rint(products * (1 << SCALE)).astype(np.int64)
    digits = []
    for _ in range(DIGITS):
        digit = ((rest + 64) & 127) - 64
        digits.append(digit)
        rest = (rest - digit) >> DIGIT
    return np.stack(digits, axis=1).reshape(side * side, -1).astype(np.float32)


def _exact_cosine(step: int, side: int) -> float:
    """``cos(pi step / (2 side))`` with exact symmetries, from the first quarter of the circle."""
    folded = min(step, 4 * side - step)
    sign = 1.0 if folded <= side else -1.0
    return sign * float(np.cos(np.pi * min(folded, 2 * side - folded) / (2 * side)))
