"""Random worlds of Crafter: terrain from fractal gradient noise, and which goals are in reach.

Terrain follows the thresholds of Crafter's generator. The noise is not OpenSimplex but gradient
noise on a square lattice, scaled to the same standard deviation: worlds resemble Crafter's and are
not equal to them.

Shapes: maps ``[H, W]`` of material codes, ``S`` cells a side.

References:
    K. Perlin, An image synthesizer, 1985 (gradient noise);
    D. Hafner, Benchmarking the spectrum of agent capabilities, 2021 (the thresholds).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.crafter import rules
from jaxswarm.envs.grid import reached
from jaxswarm.types import Key

_SIZES = {
    "start": (8.0, 8.0),
    "water": (15.0, 15.0),
    "water detail": (5.0, 5.0),
    "mountain": (15.0, 15.0),
    "mountain detail": (5.0, 5.0),
    "cave": (7.0, 7.0),
    "row tunnel": (15.0, 1.5),
    "column tunnel": (1.5, 15.0),
    "coal": (8.0, 8.0),
    "iron": (6.0, 6.0),
    "lava": (5.0, 5.0),
    "sand": (9.0, 9.0),
    "tree": (7.0, 7.0),
}
"""Layers of noise: extent of a lattice cell in rows and columns of the map."""

_AMPLITUDE = 1.46  # gives the standard deviation of OpenSimplex, 0.314

REQUIRED = ("tree", "stone", "coal", "iron", "diamond")
"""Materials that a diamond takes."""

_AMOUNTS = np.array([5, 5, 1, 1, 1])


def gradient_noise(key: Key, rows: np.ndarray, columns: np.ndarray) -> jax.Array:
    """Gradient noise at known points, one layer for each leading index, about in ``[-1, 1]``.

    Args:
        key: a random key.
        rows: ``float[L, H, W]``, lattice coordinates of at least 0.
        columns: ``float[L, H, W]``.
    """
    row, column = np.floor(rows).astype(np.int32), np.floor(columns).astype(np.int32)
    layer = np.arange(len(rows))[:, None, None]
    extent = (len(rows), int(row.max()) + 2, int(column.max()) + 2)
    angle = jax.random.uniform(key, extent, maxval=2.0 * jnp.pi)
    slope = jnp.stack([jnp.sin(angle), jnp.cos(angle)])
    inside_row, inside_column = rows - row, columns - column

    def fade(t: np.ndarray) -> np.ndarray:
        return t * t * t * (t * (6.0 * t - 15.0) + 10.0)

    total = jnp.zeros(rows.shape)
    for i in (0, 1):  # the four corners of a lattice cell
        for j in (0, 1):
            at = slope[:, layer, row + i, column + j]
            ramp = at[0] * (inside_row - i) + at[1] * (inside_column - j)
            weight = fade(np.abs(1 - i - inside_row)) * fade(np.abs(1 - j - inside_column))
            total += ramp * weight.astype(np.float32)
    return _AMPLITUDE * total


def generate(key: Key, size: int, start: np.ndarray) -> jax.Array:
    """Generate terrain ``int8[S, S]`` with grass around the cells where players start.

    Args:
        key: a random key.
        size: ``S``, at least 8; static.
        start: ``int[N, 2]``, cells of the players; static.

    Raises:
        ValueError: for a smaller size or cells outside of the map.

    Example:
        >>> import jax, numpy as np
        >>> from jaxswarm.envs import crafter
        >>> terrain = crafter.generate(jax.random.key(0), 32, np.array([[16, 16]]))
        >>> terrain.shape, crafter.MATERIALS[int(terrain[16, 16])]
        ((32, 32), 'grass')
    """
    checks.key(key)
    size = checks.whole("size", size, 8)
    start = checks.wholes("start", start, 0, size - 1, shape=(None, 2))
    noise_key, draw_key = jax.random.split(key)
    at = np.arange(size)
    scale = np.array(list(_SIZES.values()))
    rows = np.broadcast_to(at[:, None] / scale[:, 0, None, None], (len(scale), size, size))
    columns = np.broadcast_to(at[None, :] / scale[:, 1, None, None], (len(scale), size, size))
    noise = dict(zip(_SIZES, gradient_noise(noise_key, rows, columns), strict=True))
    draw = jax.random.uniform(draw_key, (4, size, size))

    away = np.hypot(at[:, None, None] - start[:, 0], at[None, :, None] - start[:, 1]).min(axis=-1)
    near = jax.nn.sigmoid(4.0 - away + 2.0 * noise["start"])
    near = jnp.where(away < 1.5, 1.0, near)
    water = noise["water"] + 0.15 * noise["water detail"] + 0.1 - 2.0 * near
    mountain = (noise["mountain"] + 0.3 * noise["mountain detail"]) / 1.3
    mountain = mountain - 4.0 * near - 0.3 * water

    inside = jnp.int8(rules.STONE)
    inside = jnp.where((mountain > 0.3) & (noise["lava"] > 0.35), rules.LAVA, inside)
    inside = jnp.where((mountain > 0.18) & (draw[0] > 0.994), rules.DIAMOND, inside)
    inside = jnp.where((noise["iron"] > 0.4) & (draw[1] > 0.75), rules.IRON, inside)
    inside = jnp.where((noise["coal"] > 0.0) & (draw[2] > 0.85), rules.COAL, inside)
    tunnel = (noise["row tunnel"] > 0.4) | (noise["column tunnel"] > 0.4)
    cave = (noise["cave"] > 0.15) & (mountain > 0.3)
    inside = jnp.where(tunnel | cave, rules.PATH, inside)
    outside = jnp.where((noise["tree"] > 0.0) & (draw[3] > 0.8), rules.TREE, rules.GRASS)
    outside = jnp.where(water > 0.3, rules.WATER, outside)
    beach = (water > 0.25) & (water <= 0.35) & (noise["sand"] > -0.2)
    outside = jnp.where(beach, rules.SAND, outside)
    terrain = jnp.where(mountain > 0.15, inside, outside)
    return jnp.where(near > 0.5, rules.GRASS, terrain).astype(jnp.int8)


def obtainable(terrain: jax.Array, position: jax.Array) -> jax.Array:
    """Whether enough of each of :data:`REQUIRED` is in reach of a cell, ``bool[5]``.

    Ways lead over ground and through what can be mined, but not over water and lava, which could be
    filled with stone. A world in which any is false is flagged as not solvable.

    Args:
        terrain: ``[H, W]``, codes.
        position: ``int32[2]``.

    Raises:
        ValueError: for a batch of maps.
    """
    terrain = jnp.asarray(terrain)
    if terrain.ndim != 2:
        raise ValueError(f"terrain: expected [H, W], got {terrain.shape}; use jax.vmap")
    free = jnp.isin(
        terrain,
        np.array([rules.GRASS, rules.SAND, rules.PATH, rules.TREE, rules.STONE, rules.COAL]),
    )
    at = jnp.zeros(terrain.shape, bool).at[position[0], position[1]].set(True)
    found = reached(free, at, next_to=True)
    codes = np.array([rules.MATERIALS.index(name) for name in REQUIRED])
    counts = jnp.sum(found[None] & (terrain[None] == codes[:, None, None]), axis=(1, 2))
    return counts >= _AMOUNTS
