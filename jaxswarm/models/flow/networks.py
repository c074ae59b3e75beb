"""Networks of flow models: multi-layer perceptron, diffusion transformer (DiT) and U-Net.

Every module is called as ``module(x, t, condition)`` with ``x: [B, ...]``, ``t: [B]`` in ``[0, 1]``
and ``condition: int32[B]`` in ``[0, num_classes]`` (``None`` without classes) and returns
``[B, ...]``. Class ``num_classes`` means no condition. Without classes the condition may also be
real numbers ``[B, ...]``. Time is embedded in float32, layers compute in the type of ``x`` and of
the parameters.

References:
    Peebles, Xie, Scalable diffusion models with transformers, 2023 (DiT, adaLN-Zero).
    Ronneberger, Fischer, Brox, U-Net, 2015.
    Dhariwal, Nichol, Diffusion models beat GANs on image synthesis, 2021 (adaptive group norm).
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm.models import layers
from jaxswarm.models.linear import dot_general


def time_features(t: jax.Array, width: int) -> jax.Array:
    """Cosines and sines of the time at geometric frequencies, ``[B] -> [B, width]``.

    Args:
        t: ``[B]`` in ``[0, 1]``.
        width: even number of features, ``>= 2``; angular frequencies from 1 to 100.
    """
    frequencies = jnp.exp(jnp.linspace(0.0, math.log(100.0), width // 2))
    angles = t.astype(jnp.float32)[:, None] * frequencies[None]
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)


class Conditioning(nn.Module):
    """Embedding of time and class, ``[B, width]``.

    Attributes:
        width: size of the embedding.
        num_classes: number of classes; ``None`` for none.
    """

    width: int
    num_classes: int | None = None

    @nn.compact
    def __call__(self, t: jax.Array, condition: jax.Array | None) -> jax.Array:
        """Embed ``t: [B]`` and ``condition: int32[B]``, or numbers ``[B, ...]``."""
        features = time_features(t, 32)
        embedding = layers.Dense(self.width, dot_general=dot_general)(features)
        if self.num_classes is not None:
            embedding += nn.Embed(self.num_classes + 1, self.width)(condition)
        elif condition is not None:
            numbers = condition.reshape(len(condition), -1)
            embedding += layers.Dense(self.width, dot_general=dot_general)(numbers)
        return nn.silu(embedding)


class MLP(nn.Module):
    """Multi-layer perceptron over flattened samples, for data of few dimensions.

    Attributes:
        width: width of the hidden layers.
        depth: number of hidden layers.
        num_classes: number of classes; ``None`` for an unconditional network.
    """

    width: int = 64
    depth: int = 3
    num_classes: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """Apply to ``x: [B, ...]``; the embedding is added to the first hidden layer."""
        embedding = Conditioning(self.width, self.num_classes)(t, condition).astype(x.dtype)
        flat = x.reshape(len(x), -1)
        hidden = layers.Dense(self.width, dot_general=dot_general)(flat) + embedding
        for _ in range(self.depth - 1):
            hidden = layers.Dense(self.width, dot_general=dot_general)(nn.silu(hidden))
        output = layers.Dense(flat.shape[-1], dot_general=dot_general)(nn.silu(hidden))
        return output.reshape(x.shape)


class DiT(nn.Module):
    """Diffusion transformer over image patches with adaptive layer norms that start at zero.

    Attributes:
        patch: side of a patch; divides height and width.
        width: width of the tokens.
        depth: number of blocks.
        num_heads: attention heads; divides ``width``.
        num_classes: number of classes; ``None`` for an unconditional network.
    """

    patch: int = 4
    width: int = 64
    depth: int = 3
    num_heads: int = 4
    num_classes: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """Apply to images ``[B, H, W]`` or ``[B, H, W, C]``."""
        images = as_images(x)
        batch, height, width, channels = images.shape
        p = self.patch
        if height % p or width % p:
            raise ValueError(f"x: expected sides that {p} divides, got {height}×{width}")
        rows, columns = height // p, width // p
        patches = images.reshape(batch, rows, p, columns, p, channels).swapaxes(2, 3)
        patches = patches.reshape(batch, rows * columns, p * p * channels)
        tokens = layers.Dense(self.width)(patches)
        tokens += positions(rows, columns, self.width)[None].astype(tokens.dtype)
        embedding = Conditioning(self.width, self.num_classes)(t, condition).astype(x.dtype)
        for _ in range(self.depth):
            tokens = _Block(self.num_heads)(tokens, embedding)
        shift, scale = jnp.split(_zero_dense(2 * self.width)(embedding)[:, None], 2, axis=-1)
        tokens = nn.LayerNorm(use_bias=False, use_scale=False)(tokens) * (1 + scale) + shift
        output = _zero_dense(p * p * channels)(tokens)
        output = output.reshape(batch, rows, columns, p, p, channels).swapaxes(2, 3)
        return output.reshape(x.shape)


class _Block(nn.Module):
    """Transformer block whose norms and residual branches are modulated by the embedding."""

    num_heads: int

    @nn.compact
    def __call__(self, tokens: jax.Array, embedding: jax.Array) -> jax.Array:
        width = tokens.shape[-1]
        modulation = jnp.split(_zero_dense(6 * width)(embedding)[:, None], 6, axis=-1)
        for attention, (shift, scale, gate) in ((True, modulation[:3]), (False, modulation[3:])):
            hidden = nn.LayerNorm(use_bias=False, use_scale=False)(tokens)
            hidden = hidden * (1 + scale) + shift
            if attention:
                hidden = nn.MultiHeadDotProductAttention(self.num_heads)(hidden)
            else:
                hidden = layers.Dense(width)(nn.gelu(layers.Dense(4 * width)(hidden)))
            tokens = tokens + gate * hidden
        return tokens


class UNet(nn.Module):
    """Convolutional U-Net whose blocks are scaled and shifted by time and class embeddings.

    Attributes:
        channels: channels at every resolution; each level after the first halves the image, whose
            sides must be divisible by ``2 ** (len(channels) - 1)``.
        num_classes: number of classes; ``None`` for an unconditional network.
    """

    channels: tuple[int, ...] = (32, 64)
    num_classes: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array, condition: jax.Array | None = None) -> jax.Array:
        """Apply to images ``[B, H, W]`` or ``[B, H, W, C]``."""
        images = as_images(x)
        factor = 2 ** (len(self.channels) - 1)
        if images.shape[1] % factor or images.shape[2] % factor:
            raise ValueError(
                f"x: expected sides that {factor} divides, got {images.shape[1]}×{images.shape[2]}"
            )
        embedding = Conditioning(4 * self.channels[0], self.num_classes)(t, condition)
        embedding = embedding.astype(x.dtype)
        hidden = layers.Conv(self.channels[0], (3, 3))(images)
        skips = []
        for level, width in enumerate(self.channels):
            if level:
                hidden = nn.avg_pool(hidden, (2, 2), strides=(2, 2))
            hidden = _ResidualBlock(width)(hidden, embedding)
            skips.append(hidden)
        hidden = _ResidualBlock(self.channels[-1])(hidden, embedding)
        for level in reversed(range(len(self.channels))):
            hidden = jnp.concatenate([hidden, skips[level]], axis=-1)
            hidden = _ResidualBlock(self.channels[level])(hidden, embedding)
            if level:
                hidden = jnp.repeat(jnp.repeat(hidden, 2, axis=1), 2, axis=2)
        output = layers.Conv(images.shape[-1], (3, 3), kernel_init=nn.initializers.zeros)(
            nn.silu(_group_norm(hidden))
        )
        return output.reshape(x.shape)


class _ResidualBlock(nn.Module):
    """Two 3×3 convolutions; the embedding scales and shifts what the second norm returns."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, embedding: jax.Array) -> jax.Array:
        hidden = layers.Conv(self.channels, (3, 3))(nn.silu(_group_norm(x)))
        modulation = layers.Dense(2 * self.channels)(embedding)[:, None, None]
        scale, shift = jnp.split(modulation, 2, axis=-1)
        hidden = _group_norm(hidden) * (1 + scale) + shift
        hidden = layers.Conv(self.channels, (3, 3))(nn.silu(hidden))
        skip = x if x.shape[-1] == self.channels else layers.Conv(self.channels, (1, 1))(x)
        return skip + hidden


def as_images(x: jax.Array) -> jax.Array:
    """Images ``[B, H, W]`` or ``[B, H, W, C]`` with a channel axis.

    Raises:
        ValueError: for another number of axes.
    """
    if x.ndim not in (3, 4):
        raise ValueError(f"x: expected images [B, H, W] or [B, H, W, C], got shape {x.shape}")
    return x if x.ndim == 4 else x[..., None]


def positions(rows: int, columns: int, width: int) -> jax.Array:
    """Fixed sine and cosine features of a patch's row and column, ``[rows·columns, width]``."""
    quarter = width // 4
    frequencies = 100.0 ** (-jnp.arange(quarter) / quarter)
    row, column = jnp.meshgrid(jnp.arange(rows), jnp.arange(columns), indexing="ij")
    parts = [axis.reshape(-1, 1) * frequencies[None] for axis in (row, column)]
    features = [function(part) for part in parts for function in (jnp.sin, jnp.cos)]
    table = jnp.concatenate(features, axis=-1)
    return jnp.pad(table, ((0, 0), (0, width - table.shape[-1])))


def _zero_dense(width: int) -> nn.Dense:
    return layers.Dense(width, kernel_init=nn.initializers.zeros)


def _group_norm(x: jax.Array) -> jax.Array:
    # Normalizing very few channels together removes their information: group at least eight.
    width = x.shape[-1]
    groups = next((g for g in (8, 4, 2) if width % g == 0 and width // g >= 8), 1)
    return nn.GroupNorm(num_groups=groups)(x)
