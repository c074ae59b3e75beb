"""A scene: occupied cells with signed distance, and objects with interaction poses.

Shapes: a grid ``[H, W]``, ``O`` objects. Poses are ``(x, y, heading)`` in metres and radians, ``x``
along columns and ``y`` along rows; heading 0 looks along ``x``.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.envs.scenes.distance import signed_distance
from jaxswarm.types import ArrayLike

SEAT, ITEM, SURFACE = 0, 1, 2
KINDS = ("seat", "item", "surface")
"""Kinds of objects: to sit on, to pick up, to place something on."""


class Scene(NamedTuple):
    """A scene as arrays; ``vmap`` functions over stacked scenes.

    Attributes:
        occupied: ``bool[H, W]``, walls and furniture, objects included.
        distance: ``float32[H, W]``, signed distance in metres at cell centres.
        kind: ``int32[O]``, index into :data:`KINDS`.
        position: ``float32[O, 2]``, centre of an object's cell in metres.
        pose: ``float32[O, 3]``, where a figure stands (or sits) to use the object, and where it
            looks: towards items and surfaces, away from the cell of a seat (its back).
        cell: ``float32[]``, side of a cell in metres.
    """

    occupied: jax.Array
    distance: jax.Array
    kind: jax.Array
    position: jax.Array
    pose: jax.Array
    cell: jax.Array


def scene(
    occupied: ArrayLike,
    *,
    kind: ArrayLike,
    position: ArrayLike,
    pose: ArrayLike,
    cell: float = 0.2,
) -> Scene:
    """Make a scene of the user's own grid and objects, and check it.

    Args:
        occupied: ``bool[H, W]``.
        kind: ``int[O]``, index into :data:`KINDS`.
        position: ``float[O, 2]``, centres of the objects in metres, inside the grid.
        pose: ``float[O, 3]``, interaction poses; in free cells.
        cell: side of a cell in metres, > 0.

    Raises:
        ValueError: for a grid that is not rectangular or smaller than 3 × 3, unknown kinds, numbers
            that are not finite, or a pose in an occupied cell or outside of the grid.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.envs import scenes
        >>> grid = np.zeros((20, 20), bool)
        >>> grid[10, 15] = True
        >>> made = scenes.scene(grid, kind=[0], position=[[3.1, 2.1]], pose=[[2.7, 2.1, 3.14]])
        >>> bool(scenes.is_reachable(made, [0.5, 0.5])[0])
        True
    """
    checks.concrete("occupied, kind, position, pose", (occupied, kind, position, pose))
    occupied = np.asarray(checks.mask("occupied", occupied, (None, None)))
    if min(occupied.shape) < 3:
        raise ValueError(f"occupied: expected at least 3 × 3 cells, got {occupied.shape}")
    checks.real("cell", cell, above=0.0)
    kinds = checks.wholes("kind", kind, 0, len(KINDS) - 1, shape=(None,))
    if not len(kinds):
        raise ValueError("kind: expected at least one object, got none")
    checks.real("position", position, shape=(len(kinds), 2))
    checks.real("pose", pose, shape=(len(kinds), 3))
    for name, points in (("position", position), ("pose", pose)):
        cells = np.floor(np.asarray(points)[:, :2] / cell).astype(int)
        inside = (cells >= 0).all(axis=1) & (cells < np.array(occupied.shape)[None, ::-1]).all(
            axis=1
        )
        if not inside.all():
            raise ValueError(f"{name}: expected points inside of the grid, got {points}")
        if name == "pose" and occupied[cells[:, 1], cells[:, 0]].any():
            raise ValueError("pose: expected interaction poses in free cells, got an occupied one")
    as_float = lambda x: jnp.asarray(x, jnp.float32)  # noqa: E731
    return Scene(
        jnp.asarray(occupied),
        signed_distance(occupied, cell),
        jnp.asarray(kinds),
        as_float(position),
        as_float(pose),
        as_float(cell),
    )


def check_scene(value: Scene, *, batched: bool = False) -> Scene:
    """Check that a value is a :class:`Scene` and return it.

    Args:
        value: what came.
        batched: whether a leading axis of scenes is expected.

    Raises:
        ValueError: for another type, or arrays with more or fewer axes.
    """
    checks.instance("scene", value, Scene, "scenes.draw(key)")
    wanted = 3 if batched else 2
    if jnp.ndim(value.occupied) != wanted:
        kind = "a batch of scenes" if batched else "a single scene (use jax.vmap)"
        raise ValueError(f"scene: expected {kind}, got a grid of shape {jnp.shape(value.occupied)}")
    return value
