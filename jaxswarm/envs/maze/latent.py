"""Generative model of levels: a VAE fitted to a set of levels, decoded into valid levels.

Decoded levels have their start and goal on floor or moss and a ring of walls; they may be
unsolvable: filter by :func:`jaxswarm.envs.maze.solvable`. The start's direction is not modelled, it
is drawn at random.

Shapes: batches of ``B`` levels, ``Z`` latent numbers.

References:
    S. Garcin et al., DRED: zero-shot transfer in reinforcement learning via data-regularised
    environment design, 2024.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm._draws import flat
from jaxswarm.envs.maze.levels import FLOOR, MOSS, NUM_TILES, SMALLEST, WALL, Level, check
from jaxswarm.models import vae
from jaxswarm.types import Key, Params


class LevelVAE(NamedTuple):
    """Pure functions of a VAE of levels; build it with :func:`level_vae`.

    Attributes:
        fit: ``fit(key, levels, num_steps=1_000, batch_size=64, learning_rate=1e-3) ->
            vae.Trained``, on the host; its ``params`` go into the other functions.
        encode: ``encode(params, levels) -> vae.Posterior`` with leaves ``[B, Z]``.
        decode: ``decode(key, params, z, mode="mode") -> Level`` of ``z: [B, Z]``.
        sample: ``sample(key, params, num_samples, mode="mode") -> Level`` from the prior.
        interpolate: ``interpolate(key, params, first, second, num_points=6, mode="mode") -> Level``
            of ``B · num_points`` levels along the arcs between pairs of levels, ends included.
        model: the :class:`jaxswarm.models.vae.GridVAE` of the inner tiles.
    """

    fit: Callable[..., vae.Trained]
    encode: Callable[[Params, Level], vae.Posterior]
    decode: Callable[..., Level]
    sample: Callable[..., Level]
    interpolate: Callable[..., Level]
    model: vae.GridVAE


def level_vae(
    size: int,
    *,
    latent: int = 64,
    widths: Sequence[int] = (256,),
    encoder: str = "mlp",
    beta: float = 1.0,
    cell_weight: float = 1.0,
) -> LevelVAE:
    """Build a VAE of levels of one size.

    Args:
        size: side of the grid including the ring of walls.
        latent: ``Z``.
        widths: hidden widths of encoder and decoder.
        encoder: ``"mlp"`` or ``"cnn"``.
        beta: weight of the Kullback–Leibler divergence.
        cell_weight: weight of the log-likelihood of start and goal.

    Raises:
        ValueError: for a size below 4, or as :func:`jaxswarm.models.vae.grid_vae`.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import maze
        >>> levels = maze.families.blocks(0, 16, 7)
        >>> model = maze.level_vae(7, latent=4, widths=(32,))
        >>> trained = model.fit(jax.random.key(0), levels, num_steps=20)
        >>> model.sample(jax.random.key(1), trained.params, 5).tiles.shape
        (5, 7, 7)
    """
    size = checks.whole("size", size, SMALLEST)
    inner = size - 2
    model = vae.grid_vae(
        (inner, inner),
        NUM_TILES,
        num_cells=2,
        allowed=(FLOOR, MOSS),
        latent=latent,
        widths=widths,
        encoder=encoder,
        beta=beta,
        cell_weight=cell_weight,
    )

    def grids(levels: Level, name: str = "levels", at_least: int = 1) -> vae.Grids:
        """Inner tiles, with goal and start as marks: the start is masked off the goal."""
        levels = check(levels, name, at_least=at_least)
        if jnp.shape(levels.tiles)[1:] != (size, size):
            raise ValueError(
                f"{name}.tiles: expected shape [B, {size}, {size}], got {jnp.shape(levels.tiles)}"
            )
        tiles = jnp.asarray(levels.tiles)[:, 1:-1, 1:-1].astype(jnp.int32)
        ends = jnp.stack([jnp.asarray(levels.goal), jnp.asarray(levels.start)], axis=1)
        return vae.Grids(tiles, ends - 1)

    def levels_of(key: Key, found: vae.Grids) -> Level:
        codes, cells = jnp.asarray(found.codes), jnp.asarray(found.cells)
        tiles = jnp.pad(codes, ((0, 0), (1, 1), (1, 1)), constant_values=WALL).astype(jnp.uint8)
        turn = jax.random.randint(key, (codes.shape[0],), 0, 4)
        return Level(tiles, cells[:, 1] + 1, turn, cells[:, 0] + 1)

    def fit(
        key: Key,
        levels: Level,
        num_steps: int = 1_000,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
    ) -> vae.Trained:
        return vae.train(
            key,
            model,
            grids(levels, at_least=2),
            num_steps=num_steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
        )

    def encode(params: Params, levels: Level) -> vae.Posterior:
        return model.encode(params, grids(levels))

    def decode(key: Key, params: Params, z: jax.Array, mode: str = "mode") -> Level:
        checks.key(key)
        decode_key, turn_key = jax.random.split(key)
        return levels_of(turn_key, model.decode(decode_key, params, z, mode))

    def sample(key: Key, params: Params, num_samples: int, mode: str = "mode") -> Level:
        checks.key(key)
        num_samples = checks.whole("num_samples", num_samples, 1)
        z_key, decode_key = jax.random.split(key)
        return decode(
            decode_key, params, jax.random.normal(z_key, (num_samples, model.latent)), mode
        )

    def interpolate(
        key: Key,
        params: Params,
        first: Level,
        second: Level,
        num_points: int = 6,
        mode: str = "mode",
    ) -> Level:
        checks.key(key)
        ends = (
            model.encode(params, grids(first, "first")),
            model.encode(params, grids(second, "second")),
        )
        between = vae.interpolate(*ends, num_points)
        noise_key, decode_key = jax.random.split(key)
        z = between.mean + between.std * flat(jax.random.normal, noise_key, between.mean.shape)
        return decode(decode_key, params, z.reshape(-1, model.latent), mode)

    return LevelVAE(fit, encode, decode, sample, interpolate, model)
