"""Generators of levels and their distance from held-out levels, without reinforcement learning.

Shapes: ``S`` seeds, ``P`` levels of a starting set, ``K`` levels of a generator, ``F`` features.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.dred.config import Config
from jaxswarm.envs import maze
from jaxswarm.models import vae
from jaxswarm.rl import curriculum
from jaxswarm.types import Key, Params

FEATURES = ("shortest path", "wall share", "lava share", "moss share", "unsolvable share")
"""Features of a level; the first is -1 for those without a path."""

EDITS = 5  # random edits of a generation


def level_vae(config: Config) -> maze.LevelVAE:
    """The VAE of levels: dense layers over one-hot tiles, start and goal masked off walls."""
    return maze.level_vae(
        config.size, latent=config.latent, widths=(config.vae_width,), beta=config.beta
    )


def fit(
    config: Config, model: maze.LevelVAE, key: Key, starting: maze.Level
) -> tuple[Params, vae.Posterior]:
    """Fit the VAE to a starting set; its weights and its posteriors of the set, ``[P, Z]``."""
    steps = config.vae_steps
    batch = min(32, starting.tiles.shape[0])
    params = model.fit(key, starting, num_steps=steps, batch_size=batch).params
    return params, model.encode(params, starting)


def decoder(
    model: maze.LevelVAE, params: Params, mode: str = "mode"
) -> Callable[[Key, jax.Array], maze.Level]:
    """Decoder of one code; ``"mode"`` for the most likely tiles, as the authors' code decodes."""

    def decode(key: Key, z: jax.Array) -> maze.Level:
        return jax.tree.map(lambda x: x[0], model.decode(key, params, z[None], mode))

    return decode


def generated(
    config: Config,
    model: maze.LevelVAE,
    key: Key,
    starting: maze.Level,
    params: Params,
    codes: vae.Posterior,
) -> dict[str, maze.Level]:
    """Levels of every generator, ``{name: [K]}``.

    Args:
        config: sizes.
        model: the VAE.
        key: consumed.
        starting: the starting set.
        params: weights of the VAE.
        codes: its posteriors of the starting set.
    """
    count = config.sampled
    keys = jax.random.split(key, 7)
    many = {"unused": jnp.zeros(count)}
    pairs = jax.random.randint(keys[0], (2, count), 0, starting.tiles.shape[0])
    first, second = (jax.tree.map(lambda x, i=i: x[i], starting) for i in pairs)
    empty = jax.tree.map(
        lambda x: jnp.broadcast_to(jnp.asarray(x), (count, *jnp.shape(x))),
        maze.empty_level(config.size),
    )
    both = jax.tree.map(lambda *x: jnp.concatenate(x), first, empty)

    def generation(levels: maze.Level, key: Key) -> tuple[maze.Level, None]:
        edit = jax.vmap(lambda key, level: maze.mutate(key, level, EDITS))
        return edit(jax.random.split(key, 2 * count), levels), None

    # The first generation alone is EL-DRED's; a scan of both lengths shares its program.
    counts = jnp.arange(config.generations)
    edit_keys = jax.random.split(keys[1], config.generations)

    def step(
        carry: tuple[maze.Level, maze.Level], inputs: tuple[jax.Array, Key]
    ) -> tuple[tuple[maze.Level, maze.Level], None]:
        levels, once = carry
        number, key = inputs
        after, _ = generation(levels, key)
        once = jax.tree.map(lambda x, y: jnp.where(number == 0, x, y), after, once)
        return (after, once), None

    (edited, once), _ = jax.lax.scan(step, (both, both), (counts, edit_keys))
    made = {
        "starting set": first,
        "EL": jax.tree.map(lambda x: x[:count], once),
        "ACCEL-D": jax.tree.map(lambda x: x[:count], edited),
        "ACCEL": jax.tree.map(lambda x: x[count:], edited),
        "DR": curriculum.random_levels(lambda k: maze.random_level(k, config.size))(
            keys[2], many, many
        ),
        "mixed cells": jax.vmap(mixed_cells)(jax.random.split(keys[3], count), first, second),
    }
    for mode, name in (("mode", "VAE"), ("sample", "VAE, sampled tiles")):
        between = curriculum.interpolated_levels(
            codes.mean, codes.std, decoder(model, params, mode)
        )
        made[name] = between(keys[4], many, many)
    return made


def mixed_cells(key: Key, first: maze.Level, second: maze.Level) -> maze.Level:
    """Interpolate two levels without a model: every tile from either; start and goal of one.

    The tiles under start and goal are floor.
    """
    share_key, cell_key, end_key = jax.random.split(key, 3)
    share = jax.random.uniform(share_key)
    tiles = jnp.where(
        jax.random.bernoulli(cell_key, share, first.tiles.shape), first.tiles, second.tiles
    )
    is_first = jax.random.bernoulli(end_key, share)
    start, goal, direction = (
        jnp.where(is_first, getattr(first, name), getattr(second, name))
        for name in ("start", "goal", "direction")
    )
    for cell in (start, goal):
        tiles = tiles.at[cell[0], cell[1]].set(maze.FLOOR)
    return maze.Level(tiles, start, direction, goal)


def features(level: maze.Level) -> jax.Array:
    """The :data:`FEATURES` of a level, ``float32[F]``; shares are of its inner cells."""
    inner = level.tiles[1:-1, 1:-1]
    length = maze.distance(level)
    shares = [jnp.mean(inner == code) for code in (maze.WALL, maze.LAVA, maze.MOSS)]
    return jnp.stack([length.astype(jnp.float32), *shares, (length < 0).astype(jnp.float32)])


def shift(found: np.ndarray, reference: np.ndarray) -> float:
    """Distance of levels from reference levels, from their features ``[K, F]``.

    The sum of four Wasserstein-1 distances, each in standard deviations of the reference (the
    lengths of paths among solvable levels), and the excess of the unsolvable share.
    """
    from scipy import stats

    total = 0.0
    for number in range(len(FEATURES) - 1):
        ours, theirs = found[:, number], reference[:, number]
        if number == 0:
            ours, theirs = ours[ours >= 0], theirs[theirs >= 0]
            if not len(ours):
                ours = np.zeros(1)
        scale = max(float(theirs.std()), 1e-6)
        total += float(stats.wasserstein_distance(ours, theirs)) / scale
    return total + max(float(found[:, -1].mean() - reference[:, -1].mean()), 0.0)
