"""Causal transformer: rotary positions, pre-normalization by RMS, key–value cache, tied embeddings.

Shapes: ``B`` sequences, ``C`` tokens of each that are processed now, ``S`` slots of the cache (or
``S = C`` without a cache), ``H`` heads of width ``E``, ``D = H E``, ``V`` tokens of the vocabulary.

References:
    A. Vaswani et al., Attention is all you need, 2017.
    J. Su et al., RoFormer: enhanced transformer with rotary position embedding, 2021.
    B. Zhang, R. Sennrich, Root mean square layer normalization, 2019.
    O. Press, L. Wolf, Using the output embedding to improve language models, 2017.
"""

import math
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.models import layers
from jaxswarm.models.linear import dot_general
from jaxswarm.models.networks import ACTIVATIONS
from jaxswarm.models.transformer._config import Config, attention_scale

MASKED = -1e30
"""Score of a key that a query must not see: its weight is exactly 0 beside any finite score."""

UNROLLED = 32
"""Widest head whose scores for a single query are a sum of elementwise products."""

SMALL_VOCABULARY = 512
"""Largest vocabulary that is embedded by a product with one-hot rows, whose gradient is a product
as well: on a CPU faster than the scattered sum of a lookup."""


class Cache(NamedTuple):
    """Keys and values of the tokens processed so far, in slots.

    Attributes:
        keys: one ``[B, H, E, S]`` per layer, rotated.
        values: one ``[B, H, S, E]`` per layer.
        valid: ``bool[B, S]``, slots that hold a token which counts.
        lengths: ``int32[B]``, number of valid tokens, that is the position of the next one.
        used: ``int32[]``, number of slots in use, the same for all sequences.
    """

    keys: tuple[jax.Array, ...]
    values: tuple[jax.Array, ...]
    valid: jax.Array
    lengths: jax.Array
    used: jax.Array


class Outputs(NamedTuple):
    """Outputs of a transformer.

    Attributes:
        logits: ``float32[B, C, V]``, of the token that follows each one.
        values: ``float32[B, C]`` of the scalar head; ``None`` without one.
    """

    logits: jax.Array
    values: jax.Array | None


def empty_cache(config: Config, batch_size: int, num_slots: int) -> Cache:
    """Make a cache without tokens, of ``num_slots`` slots for each of ``batch_size`` sequences."""
    heads, width, dtype = config.num_heads, config.head_width, config.compute_dtype
    keys = jnp.zeros((batch_size, heads, width, num_slots), dtype)
    values = jnp.zeros((batch_size, heads, num_slots, width), dtype)
    return Cache(
        keys=(keys,) * config.num_layers,
        values=(values,) * config.num_layers,
        valid=jnp.zeros((batch_size, num_slots), bool),
        lengths=jnp.zeros(batch_size, jnp.int32),
        used=jnp.zeros((), jnp.int32),
    )


def resized(cache: Cache, num_slots: int) -> Cache:
    """Copy a cache into one of another number of slots, at least those in use.

    Added slots are empty. Attention costs as much as there are slots, so a prompt that is processed
    in chunks takes them as it needs them.
    """
    slots = cache.valid.shape[1]

    def fit(x: jax.Array, axis: int) -> jax.Array:
        if num_slots <= slots:
            return jax.lax.slice_in_dim(x, 0, num_slots, axis=axis)
        widths = [(0, 0)] * x.ndim
        widths[axis] = (0, num_slots - slots)
        return jnp.pad(x, widths)

    return cache._replace(
        keys=tuple(fit(k, 3) for k in cache.keys),
        values=tuple(fit(v, 2) for v in cache.values),
        valid=fit(cache.valid, 1),
    )


class Network(nn.Module):
    """Causal transformer, called as ``module(tokens, mask, cache, at) -> (Outputs, cache)``.

    Attributes:
        config: sizes.
    """

    config: Config

    @nn.compact
    def __call__(
        self,
        tokens: jax.Array,
        mask: jax.Array | None = None,
        cache: Cache | None = None,
        at: jax.Array | None = None,
    ) -> tuple[Outputs, Cache | None]:
        """Apply the network to tokens ``[B, C]``, after those of the cache if there is one.

        With ``at: int32[B]`` in ``[0, C)`` outputs are those of one token of each sequence,
        ``C = 1``; of the others the last block computes keys and values alone.
        """
        config = self.config
        dtype = config.compute_dtype
        layout = _layout(tokens, mask, cache)
        rotation = rotary_angles(
            layout.positions, config.head_width, config.rope_base, layout.allowed.shape[-1]
        )
        embed = nn.Embed(
            config.vocab_size,
            config.width,
            dtype=dtype,
            embedding_init=layers.normal(0.02),
            name="embed",
        )
        if config.vocab_size <= SMALL_VOCABULARY:
            x = jax.nn.one_hot(tokens, config.vocab_size, dtype=dtype) @ embed.embedding.astype(
                dtype
            )
        else:
            x = embed(tokens)
        keys, values = [], []
        for layer in range(config.num_layers):
            past = None if cache is None else (cache.keys[layer], cache.values[layer], cache.used)
            chosen = at if layer == config.num_layers - 1 else None
            block = Block(config, name=f"block_{layer}")
            x, own = block(x, rotation, layout.allowed, past, chosen)
            keys.append(own[0])
            values.append(own[1])
        x = nn.RMSNorm(dtype=dtype, name="norm")(x)
        logits = embed.attend(x).astype(jnp.float32)
        value = None
        if config.value_head:
            head = layers.Dense(
                1, use_bias=False, dtype=dtype, kernel_init=nn.initializers.zeros, name="value"
            )
            value = head(x)[..., 0].astype(jnp.float32)
        if cache is not None:
            cache = Cache(tuple(keys), tuple(values), layout.valid, layout.lengths, layout.used)
        return Outputs(logits, value), cache


class Block(nn.Module):
    """Attention and a multi-layer perceptron, each after a normalization and with a residual."""

    config: Config

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        rotation: tuple[jax.Array, jax.Array],
        allowed: jax.Array,
        past: tuple[jax.Array, jax.Array, jax.Array] | None,
        at: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        """Apply the block to ``x: [B, C, D]``, or only at ``at``; also returns keys and values."""
        config = self.config
        dtype = config.compute_dtype
        batch, count, width = x.shape
        residual = 1.0 / (2 * config.num_layers)

        def dense(x: jax.Array, features: int, name: str, scale: float = 1.0) -> jax.Array:
            layer = layers.Dense(
                features,
                use_bias=False,
                dtype=dtype,
                kernel_init=layers.variance_scaling(scale, "fan_in", "normal"),
                dot_general=dot_general,
                name=name,
            )
            rows = layer(x.reshape(-1, x.shape[-1]))  # matrices: see models/linear.py
            return rows.reshape(batch, -1, features)

        y = dense(nn.RMSNorm(dtype=dtype, name="attention_norm")(x), 3 * width, "qkv")
        y = y.reshape(batch, count, 3, config.num_heads, config.head_width)
        # The gradient of a split is a concatenation; that of slices, a sum of padded arrays.
        qk, v = jnp.split(y, [2], axis=2)
        q, k = jnp.split(rotate(qk, rotation), 2, axis=2)
        q = q[:, :, 0].swapaxes(1, 2) * attention_scale(config)  # [B, H, C, E]
        k, v = k[:, :, 0].transpose(0, 2, 3, 1), v[:, :, 0].swapaxes(1, 2)
        if past is not None:
            k = jax.lax.dynamic_update_slice_in_dim(past[0], k, past[2], axis=3)
            v = jax.lax.dynamic_update_slice_in_dim(past[1], v, past[2], axis=2)
        if at is not None:
            x, q, allowed = _pick(x, at, 1), _pick(q, at, 2), _pick(allowed, at, 1)
        mixed = attend(q, k, v, allowed).swapaxes(1, 2).reshape(x.shape)
        x = x + dense(mixed, width, "out", residual)
        y = nn.RMSNorm(dtype=dtype, name="mlp_norm")(x)
        y = ACTIVATIONS[config.activation](dense(y, config.hidden_width, "up"))
        return x + dense(y, width, "down", residual), (k, v)


def attend(q: jax.Array, k: jax.Array, v: jax.Array, allowed: jax.Array) -> jax.Array:
    """Masked softmax attention, in which a masked key has weight 0.

    For one query per sequence and narrow heads, scores are a sum of elementwise products, which
    XLA's CPU backend runs faster than so many products of a matrix and a vector.

    Args:
        q: ``[B, H, C, E]``, scaled.
        k: ``[B, H, E, S]``.
        v: ``[B, H, S, E]``.
        allowed: ``bool[B or 1, C, S]``.

    Returns:
        ``[B, H, C, E]``.
    """
    if q.shape[2] == 1 and q.shape[3] <= UNROLLED:
        scores = sum(q[:, :, 0, e, None] * k[:, :, e] for e in range(q.shape[3]))
        scores = jnp.expand_dims(jnp.asarray(scores), 2)
    else:
        scores = jnp.matmul(q, k)
    scores = jnp.where(allowed[:, None], scores.astype(jnp.float32), MASKED)
    return jnp.matmul(jax.nn.softmax(scores, axis=-1).astype(v.dtype), v)


def rotary_angles(
    positions: jax.Array, head_width: int, base: float, num_positions: int
) -> tuple[jax.Array, jax.Array]:
    """Cosines and sines ``[B or 1, C, 1, 1, E / 2]`` of rotary angles at positions ``[B, C]``.

    Positions are below ``num_positions``. They are looked up in constants: XLA would compute angles
    anew for every head, key, query, layer and gradient.
    """
    half = head_width // 2
    frequencies = np.array([math.pow(base, -i / half) for i in range(half)], np.float32)
    angles = np.arange(num_positions, dtype=np.float32)[:, None] * frequencies

    def look_up(values: np.ndarray) -> jax.Array:
        found = jnp.asarray(values).at[positions].get(mode="clip")
        return found[:, :, None, None]

    return look_up(np.cos(angles)), look_up(np.sin(angles))


def rotate(x: jax.Array, rotation: tuple[jax.Array, jax.Array]) -> jax.Array:
    """Rotate pairs ``(i, i + E / 2)`` of ``x: [B, C, 2, H, E]`` by the angles of the positions."""
    cos, sin = rotation
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    rotated = [first * cos - second * sin, first * sin + second * cos]
    return jnp.concatenate(rotated, axis=-1).astype(x.dtype)


def _pick(x: jax.Array, at: jax.Array, axis: int) -> jax.Array:
    """Entry ``at[b]`` of an axis of ``x[b]``, ``[B, ..., 1, ...]``.

    By a sum over the axis: its gradient is a product, where that of a gather scatters.
    """
    shape = [1] * x.ndim
    shape[0], shape[axis] = len(at), x.shape[axis]
    chosen = (at[:, None] == jnp.arange(x.shape[axis])[None]).reshape(shape)
    if x.dtype == bool:
        return jnp.any(chosen & x, axis=axis, keepdims=True)
    return jnp.sum(jnp.where(chosen, x, 0), axis=axis, keepdims=True)


class _Layout(NamedTuple):
    positions: jax.Array  # int32[B or 1, C]
    allowed: jax.Array  # bool[B or 1, C, S]
    valid: Any = None  # of the cache, if there is one
    lengths: Any = None
    used: Any = None


def _layout(tokens: jax.Array, mask: jax.Array | None, cache: Cache | None) -> _Layout:
    """Positions, the keys that each query sees, and what the cache remembers of it."""
    batch, count = tokens.shape
    causal = jnp.tril(jnp.ones((1, count, count), bool))
    if cache is None:
        if mask is None:
            return _Layout(jnp.arange(count)[None], causal)
        return _Layout(_positions(mask), causal & mask[:, None])
    mask = jnp.ones((batch, count), bool) if mask is None else mask
    valid = jax.lax.dynamic_update_slice_in_dim(cache.valid, mask, cache.used, axis=1)
    slots = jnp.arange(valid.shape[1])
    order = slots[None] <= cache.used + jnp.arange(count)[:, None]
    return _Layout(
        positions=cache.lengths[:, None] + _positions(mask),
        allowed=order[None] & valid[:, None],
        valid=valid,
        lengths=cache.lengths + jnp.sum(mask, axis=1, dtype=jnp.int32),
        used=cache.used + count,
    )


def _positions(mask: jax.Array) -> jax.Array:
    """Number of valid tokens before each one, ``int32[B, C]``, wherever the padding stands."""
    return jnp.maximum(jnp.cumsum(mask, axis=1, dtype=jnp.int32) - 1, 0)
