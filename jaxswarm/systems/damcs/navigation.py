"""The navigator: what an agent believes about the map, and steps of shortest paths on it.

The path is planned anew at every step, on the map explored so far or on the whole map, by a search
on boards of bits (:mod:`jaxswarm.envs.grid.bitboards`). Cells that must be mined or felled first
take two steps.

Shapes: maps ``int8[S, S]`` of codes, 0 unknown. Unbatched; ``jax.vmap`` for agents.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm.envs.crafter import MATERIALS, VIEW
from jaxswarm.envs.grid import FirstStep, bitboards
from jaxswarm.systems.damcs import semantic
from jaxswarm.systems.damcs.records import TARGETS

GRASS, STONE, PATH, SAND, TREE, COAL, IRON, DIAMOND = (
    MATERIALS.index(name)
    for name in ("grass", "stone", "path", "sand", "tree", "coal", "iron", "diamond")
)
TABLE, FURNACE, WATER = (MATERIALS.index(name) for name in ("table", "furnace", "water"))
COW, PLAYER = 13, 16
NUM_TARGETS = len(TARGETS)
_OF_CRAFTER = np.array([2, 3, 0, 1])  # up, down, left, right of grid -> direction of Crafter


def look(belief: jax.Array, view: jax.Array, position: jax.Array, keep: jax.Array) -> jax.Array:
    """Write a view into the believed map; without ``keep`` only the view is known.

    Under another player, ground is believed to be as before, or grass.

    Args:
        belief: ``int8[S, S]``.
        view: ``int32[7, 9]``.
        position: ``int32[2]`` of its middle.
        keep: ``bool[]``.
    """
    margin = VIEW[1] // 2
    old = jnp.pad(jnp.where(keep, belief, 0), margin)
    corner = position + margin - np.array(VIEW) // 2
    before = jax.lax.dynamic_slice(old, (corner[0], corner[1]), VIEW)
    ground = jnp.where((before == 0) | (before == COW), GRASS, before)
    new = jnp.where(view == PLAYER, ground, view).astype(jnp.int8)
    return jax.lax.dynamic_update_slice(old, new, (corner[0], corner[1]))[
        margin:-margin, margin:-margin
    ]


def known_targets(belief: jax.Array) -> jax.Array:
    """Which codes of ``TARGETS`` occur on a map, ``bool[14]``."""
    flags = jnp.left_shift(jnp.int32(1), belief.astype(jnp.int32))
    found = jax.lax.reduce(flags, np.int32(0), jax.lax.bitwise_or, (0, 1))
    return (found >> jnp.arange(NUM_TARGETS)) & 1 == 1


def navigate(
    belief: jax.Array,
    material: jax.Array,
    position: jax.Array,
    inventory: jax.Array,
    view: jax.Array,
    sought: jax.Array,
) -> FirstStep:
    """First step to the nearest cell of a material, in Crafter's order of directions.

    Args:
        belief: ``int8[S, S]``.
        material: ``int32[]``, code of ``TARGETS``; 0 for the nearest unknown cell.
        position: ``int32[2]``.
        inventory: ``int32[16]``; pickaxes decide what can be mined on the way.
        view: ``int32[7, 9]``, for players in the way.
        sought: ``bool[S, S]``, cells that count when unknown cells are looked for.
    """
    free = (belief == GRASS) | (belief == SAND) | (belief == PATH)
    stone = inventory[semantic.WOOD_PICKAXE] > 0
    iron = inventory[semantic.STONE_PICKAXE] > 0
    slow = (belief == TREE) | (((belief == STONE) | (belief == COAL)) & stone)
    slow |= (belief == IRON) & iron
    goals = (belief == material) & (sought | (material != 0))
    size = belief.shape[0]
    margin = VIEW[1] // 2
    others = (view == PLAYER) & ~_MIDDLE
    corner = position + margin - np.array(VIEW) // 2
    blocked = jnp.zeros((size + 2 * margin,) * 2, bool)
    blocked = jax.lax.dynamic_update_slice(blocked, others, (corner[0], corner[1]))
    free &= ~blocked[margin:-margin, margin:-margin]
    step = bitboards.first_step(
        bitboards.pack(free), bitboards.pack(slow), bitboards.pack(goals), position
    )
    return step._replace(direction=jnp.asarray(_OF_CRAFTER)[step.direction])


def sectors(size: int, start: np.ndarray) -> np.ndarray:
    """Angle of every cell around the start as a share of the circle, ``float32[S, S]``.

    Agent ``i`` of ``n`` explores cells with a share in ``[i / n, (i + 1) / n)`` first.
    """
    middle = start.mean(axis=0)
    row, column = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    angle = np.arctan2(row - middle[0], column - middle[1])
    return np.mod(angle / (2 * np.pi), 1.0).astype(np.float32)


_MIDDLE = np.zeros(VIEW, bool)
_MIDDLE[VIEW[0] // 2, VIEW[1] // 2] = True
