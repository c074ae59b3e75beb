"""Exact Euclidean distance transform of an occupancy grid, signed, and its interpolation.

The transform is separable: column distances first, then the lower envelope of parabolas along rows,
here as a minimum over all columns, ``O(H W (H + W))`` without loops.

Shapes: a grid ``[H, W]``; points ``[..., 2]`` in metres, ``x`` along columns, ``y`` along rows.

References:
    Felzenszwalb, Huttenlocher, Distance transforms of sampled functions, 2012.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike


def euclidean_distances(mask: ArrayLike) -> jax.Array:
    """Distance from every cell's centre to the nearest centre of a set cell, ``float32[H, W]``.

    Args:
        mask: ``bool[H, W]``.

    Returns:
        Distances in cells, 0 in the set itself; ``H + W``, which no distance reaches, if it is
        empty.

    Raises:
        ValueError: unless the mask is a rectangular grid of flags.

    Example:
        >>> euclidean_distances([[True, False, False]]).tolist()
        [[0.0, 1.0, 2.0]]
    """
    mask = jnp.asarray(checks.mask("mask", mask, (None, None)))
    height, width = mask.shape
    far = float((height + width) ** 2)
    squares = lambda n: jnp.square(jnp.subtract.outer(jnp.arange(n), jnp.arange(n))).astype(  # noqa: E731
        jnp.float32
    )
    down = jnp.where(mask[None, :, :], squares(height)[:, :, None], far).min(axis=1)
    both = (down[:, None, :] + squares(width)[None, :, :]).min(axis=2)
    return jnp.sqrt(jnp.minimum(both, far))


def signed_distance(occupied: ArrayLike, cell: ArrayLike = 1.0) -> jax.Array:
    """Signed distance from every cell's centre to the border of the occupied cells.

    Half a cell is taken off the distance between centres, so that a free cell beside an obstacle is
    at ``+cell / 2`` and the obstacle's outermost cells are at ``-cell / 2``.

    Args:
        occupied: ``bool[H, W]``.
        cell: side of a cell, > 0, in metres.

    Returns:
        ``float32[H, W]`` in metres, negative inside of obstacles.

    Raises:
        ValueError: unless ``occupied`` is a rectangular grid of flags and ``cell`` positive.
    """
    occupied = jnp.asarray(checks.mask("occupied", occupied, (None, None)))
    cell = jnp.asarray(checks.real("cell", cell, above=0.0), jnp.float32)
    outside = euclidean_distances(occupied) - 0.5
    inside = euclidean_distances(~occupied) - 0.5
    return cell * jnp.where(occupied, -inside, outside)


def distance_at(distance: jax.Array, points: jax.Array, cell: ArrayLike) -> jax.Array:
    """Bilinear interpolation of a field of cell centres, ``float32[...]``.

    Args:
        distance: ``float32[H, W]``, values at cell centres.
        points: ``float32[..., 2]`` in metres; beyond the outermost centres the nearest value
            counts. NaN gives NaN.
        cell: side of a cell in metres.
    """
    height, width = distance.shape
    at = points / cell - 0.5
    x = jnp.clip(at[..., 0], 0.0, width - 1.0)
    y = jnp.clip(at[..., 1], 0.0, height - 1.0)
    finite = jnp.isfinite(x) & jnp.isfinite(y)
    left = jnp.clip(jnp.where(finite, x, 0.0).astype(jnp.int32), 0, max(width - 2, 0))
    upper = jnp.clip(jnp.where(finite, y, 0.0).astype(jnp.int32), 0, max(height - 2, 0))
    right, lower = jnp.minimum(left + 1, width - 1), jnp.minimum(upper + 1, height - 1)
    u, v = x - left, y - upper
    top = distance[upper, left] * (1 - u) + distance[upper, right] * u
    bottom = distance[lower, left] * (1 - u) + distance[lower, right] * u
    return top * (1 - v) + bottom * v
