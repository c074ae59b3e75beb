"""Mapping and path planning of the scripted policies: remembered cells and shortest paths.

Shapes: ``N`` agents, a map ``[H, W]``, windows ``k × k``.
"""

import jax
import jax.numpy as jnp

from jaxswarm.envs.grid import distances
from jaxswarm.envs.swarmbench.codes import (
    AGENT,
    DIM_AGENT,
    EMPTY,
    OUTSIDE,
    SELF,
    STAY,
    STEPS,
    UNSEEN,
)


def blank(num_agents: int, shape: tuple[int, int]) -> jax.Array:
    """Maps of agents that have not observed any cell, ``int32[N, H, W]``."""
    return jnp.full((num_agents, *shape), UNSEEN, jnp.int32)


def remember(known: jax.Array, view: jax.Array, position: jax.Array) -> jax.Array:
    """Write the views into the maps ``[N, H, W]``; agents, which move, are not stored."""
    k = view.shape[1]
    margin = k // 2 + 1
    moving = (view == AGENT) | (view == DIM_AGENT) | (view == SELF)
    view = jnp.where(moving, EMPTY, view)

    def update(known: jax.Array, view: jax.Array, at: jax.Array) -> jax.Array:
        padded = jnp.pad(known, margin, constant_values=OUTSIDE)
        corner = at + margin - k // 2
        old = jax.lax.dynamic_slice(padded, (corner[0], corner[1]), (k, k))
        kept = jnp.where((view == UNSEEN) | (view == OUTSIDE), old, view)
        padded = jax.lax.dynamic_update_slice(padded, kept, (corner[0], corner[1]))
        return padded[margin:-margin, margin:-margin]

    return jax.vmap(update)(known, view, position)


def others(view: jax.Array, position: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Cells where each agent sees another one, ``bool[N, H, W]``."""
    known = remember(jnp.zeros((len(view), *shape), jnp.int32), _only_agents(view), position)
    return known == AGENT + 100


def _only_agents(view: jax.Array) -> jax.Array:
    """Agents under a code that :func:`remember` stores, all other cells empty."""
    return jnp.where((view == AGENT) | (view == DIM_AGENT), AGENT + 100, EMPTY)


def at(cell: jax.Array, shape: tuple[int, int]) -> jax.Array:
    """Mask ``bool[N, H, W]`` that is true in one cell ``int32[N, 2]`` of each agent."""
    row = jnp.arange(shape[0])[None, :, None] == cell[:, 0, None, None]
    column = jnp.arange(shape[1])[None, None, :] == cell[:, 1, None, None]
    return row & column


def step_toward(
    key: jax.Array,
    walkable: jax.Array,
    goals: jax.Array,
    position: jax.Array,
    crowd: jax.Array,
    noise: float = 0.1,
) -> jax.Array:
    """Next move on a shortest path, ``int32[N]``; of equal paths one that avoids other agents.

    Args:
        key: for the share ``noise`` of random moves, which resolve jams; agents draw independently.
        walkable: ``bool[N, H, W]``.
        goals: ``bool[N, H, W]``; an agent on a goal stays.
        position: ``int32[N, 2]``.
        crowd: ``bool[N, H, W]``, cells where another agent is seen.
        noise: probability of a random move, in [0, 1].
    """
    shape = goals.shape[1:]
    far = shape[0] * shape[1]
    reach = jax.vmap(distances)(walkable, goals)
    cost = jnp.pad(2 * reach + crowd, ((0, 0), (1, 1), (1, 1)), constant_values=2 * far + 2)
    around = position[:, None, :] + jnp.asarray(STEPS[:5])[None, :, :] + 1
    n = len(position)
    costs = cost[jnp.arange(n)[:, None], around[:, :, 0], around[:, :, 1]]  # [N, 5]
    draw, which, tie = jax.random.split(key, 3)
    costs = costs + jax.random.uniform(tie, costs.shape, maxval=0.5)
    best = jnp.argmin(costs, axis=1)
    arrived = reach[jnp.arange(n), position[:, 0], position[:, 1]] == 0
    lost = (jax.random.uniform(draw, (n,)) < noise) & ~arrived
    wander = jax.random.randint(which, (n,), 0, 4)
    return jnp.where(arrived, STAY, jnp.where(lost, wander, best)).astype(jnp.int32)
