"""Cows and plants of Crafter: moving, growing, and how many cows there are.

Cows move at the same time: of two that enter the same cell the first does. Shapes: ``C`` cows,
``P`` plants, ``N`` players.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm._draws import flat
from jaxswarm.envs.crafter import rules as r
from jaxswarm.envs.crafter.types import CrafterWorld, Herd
from jaxswarm.types import Key

REACH = 18
"""Cows and plants change within this distance (in steps) of a player."""


def stock(key: Key, terrain: jax.Array, start: np.ndarray, count: int) -> Herd:
    """Put cows on one in about 67 cells of grass that are more than three cells from players."""
    size = terrain.shape[0]
    at = np.arange(size)
    away = np.hypot(at[:, None, None] - start[:, 0], at[None, :, None] - start[:, 1]).min(axis=-1)
    chosen = (terrain == r.GRASS) & (away > 3)
    draw = jnp.where(chosen, flat(jax.random.uniform, key, terrain.shape), 0.0)
    score, index = jax.lax.top_k(draw.ravel(), count)
    position = jnp.stack([index // size, index % size], axis=1).astype(jnp.int32)
    health = jnp.where(score > 0.985, 3, 0)
    return Herd(position, health, jnp.zeros(count, jnp.int32))


def no_plants(count: int) -> Herd:
    """Free slots for plants."""
    none = jnp.zeros(count, jnp.int32)
    return Herd(jnp.zeros((count, 2), jnp.int32), none, none)


def daylight(time: jax.Array, period: int = 300) -> jax.Array:
    """Daylight in ``[0, 1]`` after ``time`` steps."""
    progress = (time / period) % 1.0 + 0.3
    return 1.0 - jnp.abs(jnp.cos(jnp.pi * progress)) ** 3


def move_cows(draw: jax.Array, world: CrafterWorld) -> CrafterWorld:
    """Half of the cows try a step in a random direction; then plants grow or are trampled.

    Args:
        draw: ``float32[C]`` in ``[0, 1)``, uniformly random.
        world: after the players have acted.
    """
    cows, plants, size = world.cows, world.plants, world.terrain.shape[0]
    count = cows.health.shape[0]
    there = cows.health > 0
    draw = (8.0 * draw).astype(jnp.int32)
    goes = there & (draw < 4) & _near_players(world, cows.position)
    target = cows.position + jnp.asarray(r.DIRECTIONS)[draw % 4]
    goes &= jnp.all((target >= 0) & (target < size), axis=1)
    cell = jnp.clip(target, 0, size - 1)
    material = world.terrain[cell[:, 0], cell[:, 1]]
    goes &= (material == r.GRASS) | (material == r.SAND) | (material == r.PATH)
    goes &= ~_occupied(target, world.position, world.alive)
    goes &= ~_occupied(target, cows.position, there)
    goes &= ~_occupied(target, plants.position, plants.health > 0)
    same = jnp.all(target[:, None] == target[None, :], axis=2) & goes[None, :]
    goes &= ~jnp.any(same & np.tri(count, k=-1, dtype=bool), axis=1)
    cows = cows._replace(position=jnp.where(goes[:, None], target, cows.position))

    grows = (plants.health > 0) & _near_players(world, plants.position)
    apart = jnp.abs(plants.position[:, None] - cows.position[None, :]).sum(axis=2)
    trampled = grows & jnp.any((apart == 1) & there[None, :], axis=1)
    plants = plants._replace(
        age=plants.age + grows, health=jnp.where(trampled, plants.health - 1, plants.health)
    )
    return world._replace(cows=cows, plants=plants)


def balance_cows(draw: jax.Array, world: CrafterWorld, chunk: int) -> CrafterWorld:
    """Every ten steps, add a cow to chunks with grass that have none, remove one of too many.

    A random cell of a chunk is tried; the probability of 0.01 is divided by the share of grass.

    Args:
        draw: ``float32[3 K + C]`` in ``[0, 1)``, uniformly random, for ``K`` chunks.
        world: after the step.
        chunk: cells of a chunk's side, a divisor of the map's.
    """
    size, cows = world.terrain.shape[0], world.cows
    side = size // chunk
    there = cows.health > 0
    for_place, for_spawn, for_leave = jnp.split(draw, [2 * side**2, 3 * side**2])
    where = (cows.position // chunk) @ np.array([side, 1])
    inside = where[:, None] == np.arange(side**2)[None]
    number = jnp.sum(inside & there[:, None], axis=0)
    grass = (world.terrain == r.GRASS).reshape(side, chunk, side, chunk).sum(axis=(1, 3)).ravel()
    corner = np.stack(np.divmod(np.arange(side**2), side), axis=1) * chunk
    cell = jnp.asarray(corner) + (chunk * for_place.reshape(side**2, 2)).astype(jnp.int32)
    now = world.time % 10 == 0
    spawns = now & (grass >= 30) & (number < 1)
    spawns &= for_spawn < 0.01 * chunk**2 / jnp.maximum(grass, 1)
    spawns &= world.terrain[cell[:, 0], cell[:, 1]] == r.GRASS
    spawns &= ~_occupied(cell, world.plants.position, world.plants.health > 0)
    spawns &= ~_near_players(world, cell, 4)

    # Each cow of a crowded chunk leaves with an equal share of the chunk's probability.
    crowded = number > jnp.floor(1.5 + daylight(world.time))
    share = jnp.sum(
        jnp.where(inside, jnp.where(crowded, 0.1 / jnp.maximum(number, 1), 0.0)[None], 0), 1
    )
    leaves = now & there & (for_leave < share) & ~_near_players(world, cows.position, 4)
    health = jnp.where(leaves, 0, cows.health)
    # The k-th chunk that gets a cow takes the k-th free slot.
    free = health <= 0
    takes = jnp.cumsum(free)[:, None] == jnp.cumsum(spawns)[None]
    takes &= free[:, None] & spawns[None]
    new = jnp.any(takes, axis=1)
    position = jnp.sum(jnp.where(takes[:, :, None], cell[None], 0), axis=1)
    position = jnp.where(new[:, None], position, cows.position)
    return world._replace(cows=Herd(position, jnp.where(new, 3, health), cows.age))


def _near_players(world: CrafterWorld, position: jax.Array, reach: int = REACH - 1) -> jax.Array:
    apart = jnp.abs(position[:, None] - world.position[None, :]).sum(axis=2)
    return jnp.any((apart <= reach) & world.alive[None, :], axis=1)


def _occupied(target: jax.Array, position: jax.Array, there: jax.Array) -> jax.Array:
    same = jnp.all(target[:, None] == position[None, :], axis=2)
    return jnp.any(same & there[None, :], axis=1)
