"""Variational autoencoder (VAE) of grids of tiles with marked cells, such as start and goal.

The decoder gives a categorical distribution of every tile, and for each marked cell one over all
cells whose tile may carry a mark and which no earlier mark has. So every decoded grid has its marks
on allowed tiles; whether there is a way between them is for the caller to check.

Shapes: ``B`` grids ``[H, W]`` of ``C`` codes, ``M`` marked cells, ``Z`` latent numbers.

References:
    D. P. Kingma, M. Welling, Auto-encoding variational Bayes, 2014.
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024 (a VAE of levels whose marks are masked off walls; theirs encodes
    graphs, this one arrays by an MLP or a convolutional network).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.models._functional import functional
from jaxswarm.models.networks import cnn, mlp
from jaxswarm.types import ArrayLike, Key, Params

ENCODERS = ("mlp", "cnn")
MODES = ("mode", "sample")
_LOWEST = -1e9


class Grids(NamedTuple):
    """Grids of tiles with marked cells.

    Attributes:
        codes: ``int[B, H, W]``, tiles.
        cells: ``int[B, M, 2]``, row and column of each mark.
    """

    codes: ArrayLike
    cells: ArrayLike


class Posterior(NamedTuple):
    """Diagonal Gaussian over the latent space: ``mean [B, Z]``, ``std [B, Z]``."""

    mean: jax.Array
    std: jax.Array


class GridVAE(NamedTuple):
    """Pure functions of a VAE of grids; build it with :func:`grid_vae`.

    Attributes:
        init: ``init(key) -> params``.
        encode: ``encode(params, grids) -> Posterior``.
        decode: ``decode(key, params, z, mode="mode") -> Grids`` of latents ``z: [B, Z]``: the most
            likely tile and cell each, or random ones with ``mode="sample"``.
        logits: ``logits(params, z) -> (tiles [B, H, W, C], cells [B, M, H, W])``, unmasked.
        loss: ``loss(key, params, grids) -> (loss [], parts)``, the negative evidence lower bound
            with ``parts`` its terms ``codes``, ``cells`` and ``kl`` in nats per grid.
        shape: ``(H, W)``.
        latent: ``Z``.
        num_codes: ``C``.
        num_cells: ``M``.
    """

    init: Callable[[Key], Params]
    encode: Callable[[Params, Grids], Posterior]
    decode: Callable[..., Grids]
    logits: Callable[[Params, jax.Array], tuple[jax.Array, jax.Array]]
    loss: Callable[[Key, Params, Grids], tuple[jax.Array, dict[str, jax.Array]]]
    shape: tuple[int, int]
    latent: int
    num_codes: int
    num_cells: int


def grid_vae(
    shape: tuple[int, int],
    num_codes: int,
    *,
    num_cells: int = 2,
    allowed: Sequence[int] = (0,),
    latent: int = 32,
    widths: Sequence[int] = (256,),
    encoder: str = "mlp",
    beta: float = 1.0,
    cell_weight: float = 1.0,
) -> GridVAE:
    """Build a VAE of grids of tiles with marked cells.

    Args:
        shape: ``(H, W)``.
        num_codes: ``C`` tiles.
        num_cells: ``M`` marked cells.
        allowed: codes of tiles that a mark may be on; a decoded grid without such a tile left gets
            the first of them under the mark.
        latent: ``Z``.
        widths: hidden widths of encoder and decoder.
        encoder: ``"mlp"``, or ``"cnn"`` for two convolutions before the hidden layers.
        beta: weight of the Kullback–Leibler divergence from the standard normal prior, at least 0.
        cell_weight: weight of the marks' log-likelihood, at least 0.

    Raises:
        ValueError: for sizes below 1 (two codes at least), more marks than cells, allowed codes
            that do not exist, an unknown encoder, or negative weights; in its functions for
            parameters of another shape, such as of another size of grids.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm.models import vae
        >>> model = vae.grid_vae((5, 5), 3, latent=4, widths=(16,))
        >>> grids = vae.Grids(np.zeros((8, 5, 5), int), np.tile([[0, 0], [4, 4]], (8, 1, 1)))
        >>> params = model.init(jax.random.key(0))
        >>> model.encode(params, grids).mean.shape
        (8, 4)
    """
    height, width = (int(x) for x in checks.wholes("shape", shape, 1, shape=(2,)))
    num_codes = checks.whole("num_codes", num_codes, 2)
    num_cells = checks.whole("num_cells", num_cells, 1, height * width)
    allowed = checks.wholes("allowed", allowed, 0, num_codes - 1, shape=(None,)).tolist()
    if not allowed:
        raise ValueError("allowed: expected at least one code, got none")
    latent = checks.whole("latent", latent, 1)
    widths = tuple(checks.wholes("widths", widths, 1, shape=(None,)).tolist())
    checks.choice("encoder", encoder, ENCODERS)
    beta = checks.real("beta", beta, 0.0)
    cell_weight = checks.real("cell_weight", cell_weight, 0.0)

    channels = num_codes + num_cells
    example = jnp.zeros((1, height, width, channels))
    if encoder == "mlp":
        encoding = functional(mlp(*widths, 2 * latent), example)
    else:
        encoding = functional(cnn(2 * latent, channels=(16, 32), widths=widths), example)
    outputs = height * width * channels
    decoding = functional(mlp(*reversed(widths), outputs), jnp.zeros((1, latent)))
    carries = np.isin(np.arange(num_codes), allowed)

    def init(key: Key) -> Params:
        checks.key(key)
        one, two = jax.random.split(key)
        return {"encoder": encoding.init(one), "decoder": decoding.init(two)}

    expected = jax.eval_shape(init, jax.random.key(0))

    def encode(params: Params, grids: Grids) -> Posterior:
        agents.check_same_shapes(params, expected, "params")
        codes, cells = _checked(grids, (height, width), num_codes, num_cells)
        marks = _one_hot_cells(cells, (height, width))
        x = jnp.concatenate([jax.nn.one_hot(codes, num_codes), jnp.moveaxis(marks, 1, -1)], axis=-1)
        mean, raw = jnp.split(encoding.apply(params["encoder"], x), 2, axis=-1)
        return Posterior(mean, jax.nn.softplus(raw) + 1e-4)

    def logits(params: Params, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        agents.check_same_shapes(params, expected, "params")
        z = checks.numbers("z", z, (None, latent))
        out = decoding.apply(params["decoder"], z).reshape(-1, height, width, channels)
        return out[..., :num_codes], jnp.moveaxis(out[..., num_codes:], -1, 1)

    def masked(logit: jax.Array, free: jax.Array) -> jax.Array:
        """Logits of one mark over all cells, ``[B, H W]``, lowest where it may not be."""
        return jnp.where(free, logit, _LOWEST).reshape(len(logit), -1)

    def loss(key: Key, params: Params, grids: Grids) -> tuple[jax.Array, dict[str, jax.Array]]:
        codes, cells = _checked(grids, (height, width), num_codes, num_cells)
        mean, std = encode(params, grids)
        z = mean + std * jax.random.normal(key, mean.shape)
        tile_logits, cell_logits = logits(params, z)
        likely = jax.nn.log_softmax(tile_logits)
        right = jnp.take_along_axis(likely, codes[..., None], axis=-1)
        code_loss = -jnp.mean(jnp.sum(right, axis=(1, 2, 3)))
        free = jnp.asarray(carries)[codes]
        marks = _one_hot_cells(cells, (height, width)) > 0
        cell_loss = jnp.zeros(())
        for mark in range(num_cells):
            flat = jax.nn.log_softmax(masked(cell_logits[:, mark], free))
            index = cells[:, mark, 0] * width + cells[:, mark, 1]
            picked = jnp.take_along_axis(flat, index[:, None], axis=1)
            cell_loss = cell_loss - jnp.mean(jnp.maximum(picked, _LOWEST))
            free = free & ~marks[:, mark]
        divergence = 0.5 * (jnp.square(mean) + jnp.square(std) - 1.0) - jnp.log(std)
        kl = jnp.mean(jnp.sum(divergence, axis=-1))
        parts = {"codes": code_loss, "cells": cell_loss, "kl": kl}
        return code_loss + cell_weight * cell_loss + beta * kl, parts

    def decode(key: Key, params: Params, z: jax.Array, mode: str = "mode") -> Grids:
        checks.key(key)
        checks.choice("mode", mode, MODES)
        tile_logits, cell_logits = logits(params, z)
        tile_key, cell_key = jax.random.split(key)
        if mode == "sample":
            codes = jax.random.categorical(tile_key, tile_logits)
        else:
            codes = jnp.argmax(tile_logits, axis=-1)
        taken = jnp.zeros(codes.shape, bool)
        cells = []
        for mark in range(num_cells):
            free = jnp.asarray(carries)[codes] & ~taken
            some = jnp.any(free, axis=(1, 2), keepdims=True)
            choices = masked(cell_logits[:, mark], jnp.where(some, free, ~taken))
            if mode == "sample":
                index = jax.random.categorical(jax.random.fold_in(cell_key, mark), choices)
            else:
                index = jnp.argmax(choices, axis=-1)
            cell = jnp.stack([index // width, index % width], axis=-1)
            here = _one_hot_cells(cell[:, None], (height, width))[:, 0] > 0
            codes = jnp.where(here & ~some, allowed[0], codes)
            taken = taken | here
            cells.append(cell)
        return Grids(codes.astype(jnp.int32), jnp.stack(cells, axis=1).astype(jnp.int32))

    return GridVAE(
        init, encode, decode, logits, loss, (height, width), latent, num_codes, num_cells
    )


def _one_hot_cells(cells: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Masks of cells ``[B, M, 2]``, ``float32[B, M, H, W]``."""
    rows = jax.nn.one_hot(cells[..., 0], shape[0])
    columns = jax.nn.one_hot(cells[..., 1], shape[1])
    return rows[..., :, None] * columns[..., None, :]


def _checked(
    grids: Grids, shape: tuple[int, int], num_codes: int, num_cells: int
) -> tuple[jax.Array, jax.Array]:
    checks.instance("grids", grids, Grids, "vae.Grids(codes, cells)")
    codes = checks.wholes("grids.codes", grids.codes, 0, num_codes - 1, shape=(None, *shape))
    cells = checks.wholes(
        "grids.cells", grids.cells, 0, max(shape) - 1, shape=(codes.shape[0], num_cells, 2)
    )
    return jnp.asarray(codes).astype(jnp.int32), jnp.asarray(cells).astype(jnp.int32)
