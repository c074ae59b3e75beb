"""Images as 8-bit gray pixels of any size, in integers: the same on every device.

Shapes: ``N`` images of ``H x W`` pixels in ``C`` channels, 1 (gray) or 3 (RGB).

References:
    Turkowski, Filters for common resampling tasks, 1990 (Lanczos' windowed sinc).
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks

WANTED = "uint8 in [0, 255] or floats in [0, 1], [N, H, W] or [N, H, W, C]"
FRACTION = 22
"""Bits behind the point of resampling weights: sums of ``255 x`` weights stay below ``2^31``."""
LOBES = 3
LARGEST_SIDE = 8191
"""Up to this height and width all sums of pixels fit ``int32``."""


def require_images(images: Any, least: int, name: str = "images") -> Any:
    """Check images and return them as they came.

    Args:
        images: ``uint8`` or floats in ``[0, 1]``, ``[N, H, W]`` or ``[N, H, W, C]``.
        least: smallest height and width.
        name: the argument, for messages.

    Raises:
        ValueError: for another dtype, range or shape, NaN, or images that are smaller.
    """
    array = images if checks.is_traced(images) else checks.as_array(name, images, WANTED)
    dtype = str(array.dtype)
    if dtype != "uint8" and not dtype.startswith(("float", "bfloat")):
        raise ValueError(f"{name}: expected {WANTED}, got {checks.shown(images)}")
    shape = tuple(array.shape)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)) or 0 in shape:
        raise ValueError(f"{name}: expected [N, H, W] or [N, H, W, 1 or 3], got {list(shape)}")
    if min(shape[1:3]) < least:
        raise ValueError(
            f"{name}: expected at least {least} x {least} pixels for hashes of size {least}, got "
            f"{shape[1]} x {shape[2]}"
        )
    if max(shape[1:3]) > LARGEST_SIDE:
        raise ValueError(
            f"{name}: expected at most {LARGEST_SIDE} x {LARGEST_SIDE} pixels, got {shape[1]} x "
            f"{shape[2]}"
        )
    if dtype != "uint8":
        checks.real(name, array, 0.0, 1.0, shape=None)
    return array


def gray(images: Any) -> tuple[jax.Array, jax.Array]:
    """8-bit gray pixels, and which images can be hashed.

    Floats are rounded to 8 bits, as in a file. Red, green and blue weigh .299, .587 and .114 (ITU-R
    601), in 16-bit fixed point as in Pillow.

    Returns:
        ``(int32[N, H, W], bool[N])``. Where values are traced and cannot be checked, an image with
        NaN or values outside of ``[0, 1]`` is not valid.
    """
    pixels = jnp.asarray(images)
    valid = jnp.ones(pixels.shape[0], bool)
    if pixels.dtype != jnp.uint8:
        pixels = pixels.astype(jnp.float32)
        inside = (pixels >= 0.0) & (pixels <= 1.0)
        valid = jnp.all(inside, axis=tuple(range(1, pixels.ndim)))
        pixels = jnp.round(jnp.where(inside, pixels, 0.0) * 255.0)
    pixels = pixels.astype(jnp.int32)
    if pixels.ndim == 4 and pixels.shape[3] == 3:
        weighted = 19595 * pixels[..., 0] + 38470 * pixels[..., 1] + 7471 * pixels[..., 2]
        pixels = (weighted + 0x8000) >> 16
    elif pixels.ndim == 4:
        pixels = pixels[..., 0]
    return pixels, valid


def resize(pixels: jax.Array, height: int, width: int) -> jax.Array:
    """Resize 8-bit pixels by a Lanczos filter in fixed point, rows first, as Pillow does.

    Args:
        pixels: ``int32[N, H, W]`` in ``[0, 255]``.
        height: of the result.
        width: of the result.

    Returns:
        ``int32[N, height, width]`` in ``[0, 255]``.
    """
    if pixels.shape[2] != width:
        pixels = _rounded(jnp.einsum("nhw,vw->nhv", pixels, _weights(pixels.shape[2], width)))
    if pixels.shape[1] != height:
        pixels = _rounded(jnp.einsum("nhw,uh->nuw", pixels, _weights(pixels.shape[1], height)))
    return pixels


def _rounded(sums: jax.Array) -> jax.Array:
    return jnp.clip((sums + (1 << (FRACTION - 1))) >> FRACTION, 0, 255)


@functools.cache
def _weights(size: int, wanted: int) -> np.ndarray:
    """Weights ``int32[wanted, size]`` of a Lanczos filter, each row with sum about ``2^22``."""
    scale = size / wanted
    stretch = max(scale, 1.0)
    reach = LOBES * stretch
    found = np.zeros((wanted, size))
    for row in range(wanted):
        center = (row + 0.5) * scale
        low, high = max(int(center - reach + 0.5), 0), min(int(center + reach + 0.5), size)
        values = [_lanczos((x - center + 0.5) / stretch) for x in range(low, high)]
        found[row, low:high] = np.array(values) / sum(values)
    scaled = found * (1 << FRACTION)
    return np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int32)


def _lanczos(x: float) -> float:
    if not -LOBES <= x < LOBES:
        return 0.0
    return _sinc(x) * _sinc(x / LOBES)


def _sinc(x: float) -> float:
    return 1.0 if x == 0.0 else math.sin(x * math.pi) / (x * math.pi)
