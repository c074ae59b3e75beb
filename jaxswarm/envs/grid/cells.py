"""Reading and writing cells: windows around agents, placement on a grid, shortest distances.

Shapes: a grid ``[H, W]``, ``N`` agents, windows of ``k × k`` cells.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks


def windows(grid: jax.Array, position: jax.Array, size: int, outside: int) -> jax.Array:
    """Extract the cells around each agent, ``[N, k, k]``.

    Args:
        grid: ``[H, W]``.
        position: ``int32[N, 2]``; up to one cell outside the grid is allowed.
        size: ``k``, odd.
        outside: value of cells beyond the grid.

    Raises:
        ValueError: for an even or non-positive size.
    """
    size = checks.whole("size", size)
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size: expected an odd number of cells of at least 1, got {size}")
    margin = size // 2 + 1
    padded = jnp.pad(grid, margin, constant_values=outside)
    corner = position + margin - size // 2
    return jax.vmap(lambda at: jax.lax.dynamic_slice(padded, (at[0], at[1]), (size, size)))(corner)


def place(
    grid: jax.Array, position: jax.Array, value: jax.Array | int | bool, present: jax.Array
) -> jax.Array:
    """Write ``value [N]`` into the cells of the present agents; positions outside are ignored.

    Args:
        grid: ``[H, W]``.
        position: ``int32[N, 2]``; where two present agents share a cell, either may win.
        value: ``[N]`` or a scalar.
        present: ``bool[N]``.
    """
    height = grid.shape[0]
    inside = present & jnp.all(
        (position >= 0) & (position < jnp.array(grid.shape)[None, :]), axis=1
    )
    row = jnp.where(inside, position[:, 0], height)
    return grid.at[row, position[:, 1]].set(value, mode="drop")


def draw_cells(key: jax.Array, free: jax.Array, count: int) -> jax.Array:
    """Draw distinct free cells uniformly at random, ``int32[count, 2]``.

    Args:
        key: a random key.
        free: ``bool[H, W]``; with fewer than ``count`` free cells others are drawn as well, so
            check before.
        count: number of cells, static.
    """
    score = jnp.where(free.ravel(), jax.random.uniform(key, (free.size,)), -1.0)
    _, index = jax.lax.top_k(score, count)
    return jnp.stack([index // free.shape[1], index % free.shape[1]], axis=1).astype(jnp.int32)


def distances(free: jax.Array, goals: jax.Array) -> jax.Array:
    """Shortest-path lengths to the nearest goal over free cells, ``int32[H, W]``; ``H W`` if none.

    Args:
        free: ``bool[H, W]``, cells that may be entered; goals count as free.
        goals: ``bool[H, W]``.
    """
    far = free.size
    start = jnp.where(goals, 0, far).astype(jnp.int32)

    def relax(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        reach, _ = carry
        padded = jnp.pad(reach, 1, constant_values=far)
        around = jnp.minimum(
            jnp.minimum(padded[:-2, 1:-1], padded[2:, 1:-1]),
            jnp.minimum(padded[1:-1, :-2], padded[1:-1, 2:]),
        )
        nearer = jnp.where(free, jnp.minimum(reach, jnp.minimum(around + 1, far)), reach)
        return nearer, jnp.any(nearer < reach)

    return jax.lax.while_loop(lambda carry: carry[1], relax, (start, jnp.any(goals)))[0]
