"""Deterministic integer arithmetic between the products of a quantized model.

Every function computes in ``int32`` and gives the same bits on every machine, so that a verifier
can recompute it. Arguments outside the stated ranges saturate.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

RESIDUAL_MAX = 2**15 - 1
"""Largest magnitude of residual streams and of numbers between two scales."""

WEIGHT_MAX = 2**12 - 1
"""Largest attention weight."""

LOG_STEPS = 256
"""Steps of an exponent of 2 in :func:`softmax`."""


class Rescale(NamedTuple):
    """Multiplication by a positive number, as ``((x >> before) * multiplier) >> after``, rounded.

    Attributes:
        limit: ``int32[]``, magnitudes at which ``x`` saturates.
        before: ``int32[]``.
        multiplier: ``int32[]``, below ``2**15``.
        after: ``int32[]``.
    """

    limit: jax.Array
    before: jax.Array
    multiplier: jax.Array
    after: jax.Array


def rescaling(ratio: float, largest: int) -> Rescale:
    """Find the integers that multiply by ``ratio`` where the result is at most ``largest``.

    The relative error of the multiplier is at most ``2**-15``, and ``x`` keeps 15 bits.
    """
    limit = min(math.ceil((largest + 1) / ratio), 2**30) if ratio > 0 else 1
    before = max(0, limit.bit_length() - 15)
    mantissa, exponent = math.frexp(ratio * 2.0**before)  # in [.5, 1)
    after = 15 - exponent
    multiplier = round(mantissa * 2**15)
    if after < 0:  # a ratio above 2**15 saturates all but 0
        multiplier, after = 2**15 - 1, 0
    multiplier = min(multiplier, 2**15 - 1)
    if after > 30:
        multiplier, after = multiplier >> min(after - 30, 31), 30
    return Rescale(*(jnp.int32(v) for v in (limit, before, multiplier, after)))


def rescale(x: jax.Array, by: Rescale, largest: int) -> jax.Array:
    """Multiply ``int32`` numbers, round to the nearest and saturate at ``largest``."""
    kept = shift(jnp.clip(x, -by.limit, by.limit), by.before)
    return jnp.clip(shift(kept * by.multiplier, by.after), -largest, largest)


def shift(x: jax.Array, bits: jax.Array | int) -> jax.Array:
    """Divide by ``2**bits``, rounded to the nearest, halves upwards."""
    one = jnp.int32(1)
    return (x + ((one << bits) >> 1)) >> jnp.int32(bits)


def root(x: jax.Array) -> jax.Array:
    """Integer square root, rounded down, of ``int32`` numbers of at least 0."""
    n = x.astype(jnp.uint32)

    def step(i: jax.Array, found: jax.Array) -> jax.Array:
        tried = found | (jnp.uint32(2**15) >> i.astype(jnp.uint32))
        return jnp.where(tried * tried <= n, tried, found)

    return jax.lax.fori_loop(0, 16, step, jnp.zeros_like(n)).astype(jnp.int32)


def unit_rows(x: jax.Array) -> jax.Array:
    """Divide rows ``[..., D]`` by their Euclidean length, in units of ``2**-15``.

    Rows are scaled by a power of two first, so that small ones lose nothing; rows of zeros stay.
    """
    bits = (31 - math.ceil(math.log2(max(x.shape[-1], 2)))) // 2  # squares of D entries: 31 bits
    x = jnp.clip(x, -RESIDUAL_MAX, RESIDUAL_MAX)
    top = jnp.max(jnp.abs(x), axis=-1, keepdims=True)
    length = 32 - jax.lax.clz(top)  # bits of the largest entry
    scaled = jnp.where(
        length > bits,
        x >> jnp.maximum(length - bits, 0),
        x << jnp.maximum(bits - length, 0),
    )
    # An entry -2**bits can result from rounding down: it is moved by one.
    scaled = jnp.maximum(scaled, -(2**bits - 1))
    norm = root(jnp.sum(scaled * scaled, axis=-1, keepdims=True, dtype=jnp.int32))
    return jax.lax.div(scaled << 15, jnp.maximum(jnp.broadcast_to(norm, scaled.shape), 1))


def exponential_table() -> jax.Array:
    """Powers ``2**15 * 2**(-i / 256)`` as ``int32[256]``."""
    steps = np.arange(LOG_STEPS, dtype=np.float64)
    return jnp.asarray(np.round(2.0 ** (15 - steps / LOG_STEPS)).astype(np.int32))


def softmax(scores: jax.Array, allowed: jax.Array, by: Rescale, table: jax.Array) -> jax.Array:
    """Attention weights in units of 1 / 4095, ``int32`` as ``scores``.

    Args:
        scores: ``int32[..., C, S]``.
        allowed: ``bool``, broadcasts with the scores at equal rank; each row allows at least one.
        by: turns differences of scores into steps of :data:`LOG_STEPS` per factor 2.
        table: of :func:`exponential_table`.
    """
    hidden = jnp.int32(-(2**30))
    top = jnp.max(jnp.where(allowed, scores, hidden), axis=-1, keepdims=True)
    below = jnp.where(allowed, jnp.maximum(top - scores, 0), 0)
    steps = rescale(below, by, 30 * LOG_STEPS)
    powers = table[steps % LOG_STEPS] >> (steps // LOG_STEPS)
    powers = jnp.where(allowed, powers, 0)
    total = jnp.sum(powers, axis=-1, keepdims=True, dtype=jnp.int32)
    wanted = powers * WEIGHT_MAX + (total >> 1)
    return jax.lax.div(wanted, jnp.broadcast_to(jnp.maximum(total, 1), wanted.shape))
