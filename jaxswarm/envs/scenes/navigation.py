"""Navigation of a scene: distance fields to the objects, and the next waypoint of a path.

Fields are breadth-first distances over cells with enough clearance
(:func:`jaxswarm.envs.grid.distances`). A path descends a field, in open space along the straight
line to the target, and is shortened by lines of sight ("string pulling").

Shapes: a grid ``[H, W]``, ``O`` objects.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import grid
from jaxswarm.envs.scenes._scene import Scene, check_scene
from jaxswarm.envs.scenes.distance import distance_at
from jaxswarm.types import ArrayLike

CLEARANCE = 0.25
"""Distance from obstacles that paths keep, in metres."""

STRIDE = 0.8
"""Longest distance to a waypoint, in metres."""

_LOOK_AHEAD = 7  # cells of the path that are tried as waypoints


def walkable(scene: Scene, clearance: ArrayLike = CLEARANCE) -> jax.Array:
    """Cells whose centres keep a distance from obstacles, ``bool[H, W]``."""
    return scene.distance >= clearance


def cell_of(scene: Scene, points: jax.Array) -> jax.Array:
    """Row and column of the cells of points ``[..., 2]``, ``int32[..., 2]``, inside of the grid."""
    height, width = scene.distance.shape
    cells = jnp.floor(points[..., ::-1] / scene.cell).astype(jnp.int32)
    return jnp.clip(
        cells, 0, jnp.array([height - 1, width - 1]).reshape((1,) * (cells.ndim - 1) + (2,))
    )


def center_of(scene: Scene, cells: jax.Array) -> jax.Array:
    """Centres ``float32[..., 2]`` of cells ``int32[..., 2]``."""
    return (cells[..., ::-1] + 0.5) * scene.cell


def fields(scene: Scene, clearance: ArrayLike = CLEARANCE) -> jax.Array:
    """Steps over walkable cells to each object's interaction pose, ``int32[O, H, W]``.

    A cell from which a pose cannot be reached has ``H W``. The cell of the pose counts as walkable.

    Args:
        scene: a single scene; map batches by ``jax.vmap``.
        clearance: distance from obstacles that the cells of a path keep, in metres.

    Raises:
        ValueError: for a batch of scenes or what is no scene.

    Example:
        >>> import jax
        >>> from jaxswarm.envs import scenes
        >>> scenes.fields(scenes.draw(jax.random.key(0))).shape
        (6, 36, 36)
    """
    check_scene(scene)
    free = walkable(scene, clearance)
    cells = cell_of(scene, scene.pose[:, :2])
    goals = jax.vmap(lambda at: jnp.zeros_like(free).at[at[0], at[1]].set(True))(cells)
    return jax.vmap(lambda goal: grid.distances(free | goal, goal))(goals)


def nearest_walkable(scene: Scene, point: jax.Array, field: jax.Array) -> jax.Array:
    """Row and column of the cell nearest to a point from which a field's goal can be reached."""
    height, width = field.shape
    rows, columns = jnp.arange(height), jnp.arange(width)
    x, y = (columns + 0.5) * scene.cell, (rows + 0.5) * scene.cell
    away = jnp.square(y - point[1])[:, None] + jnp.square(x - point[0])[None, :]
    index = jnp.argmin(jnp.where(field < field.size, away, jnp.inf))
    return jnp.stack(jnp.unravel_index(index, field.shape)).astype(jnp.int32)


def is_reachable(scene: Scene, point: ArrayLike, clearance: ArrayLike = CLEARANCE) -> jax.Array:
    """Whether a figure at a point can walk to each object's interaction pose, ``bool[O]``.

    False from an occupied cell and from a pocket whose cells are not walkable.

    Args:
        scene: a single scene.
        point: ``float[2]`` in metres.
        clearance: as in :func:`fields`.

    Raises:
        ValueError: for a batch of scenes or a point of another shape.
    """
    check_scene(scene)
    checks.real("point", point, shape=(2,))
    at = cell_of(scene, jnp.asarray(point, jnp.float32))
    found = fields(scene, clearance)
    return found[:, at[0], at[1]] < found[0].size


def descend(field: jax.Array, start: jax.Array, goal: jax.Array, num_steps: int) -> jax.Array:
    """Cells of a shortest path, ``int32[num_steps, 2]``, without its start; the goal repeats.

    Among neighbours that are equally near to the goal the one nearest to it in a straight line is
    taken, so that the path of an open space follows the line and not two sides of a rectangle.

    Args:
        field: ``int32[H, W]`` of :func:`fields`.
        start: ``int32[2]``, row and column of a cell from which the goal can be reached.
        goal: ``int32[2]``.
        num_steps: static.
    """
    height, width = field.shape
    ways = jnp.array([[0, 1], [1, 0], [0, -1], [-1, 0]])
    padded = jnp.pad(field, 1, constant_values=field.size)

    def step(at: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        around = at[None, :] + ways
        value = padded[around[:, 0] + 1, around[:, 1] + 1].astype(jnp.float32)
        straight = jnp.sqrt(jnp.sum(jnp.square(around - goal[None, :]), axis=1).astype(jnp.float32))
        best = jnp.argmin(value + straight / (2.0 * (height + width)))
        nearer = value[best] < padded[at[0] + 1, at[1] + 1]
        at = jnp.where(nearer, around[best], at)
        return at, at

    return jax.lax.scan(step, start, None, num_steps)[1]


def is_clear(scene: Scene, start: jax.Array, stop: jax.Array, clearance: ArrayLike) -> jax.Array:
    """Whether a straight line keeps a distance from obstacles, at nine points of it, ``bool[]``."""
    share = jnp.linspace(0.0, 1.0, 10)[1:, None]
    points = start[None, :] * (1 - share) + stop[None, :] * share
    return jnp.min(distance_at(scene.distance, points, scene.cell)) >= clearance


def next_waypoint(
    scene: Scene,
    field: jax.Array,
    point: jax.Array,
    goal: jax.Array,
    *,
    stride: ArrayLike = STRIDE,
    clearance: ArrayLike = CLEARANCE - 0.05,
) -> tuple[jax.Array, jax.Array]:
    """Next waypoint of the shortest path from a point to an object's interaction pose.

    The farthest of the next cells of the path that is within a stride and in the line of sight; the
    goal itself where it is both.

    Args:
        scene: a single scene.
        field: ``int32[H, W]``, the object's field of :func:`fields`.
        point: ``float32[2]``; the nearest walkable cell counts if its own is not.
        goal: ``float32[2]``, position of the interaction pose.
        stride: longest distance in metres.
        clearance: distance from obstacles that lines of sight keep.

    Returns:
        The waypoint ``float32[2]`` and whether it is the goal itself.
    """
    start = nearest_walkable(scene, point, field)
    cells = descend(field, start, cell_of(scene, goal), _LOOK_AHEAD)
    points = center_of(scene, cells)
    within = jnp.linalg.norm(points - point[None, :], axis=1) <= stride
    clear = jax.vmap(lambda stop: is_clear(scene, point, stop, clearance))(points)
    order = jnp.where(within & clear, jnp.arange(_LOOK_AHEAD), -1)
    chosen = points[jnp.maximum(jnp.max(order), 0)]
    # From a point away from the walkable cells the way leads back to them first.
    inside = jnp.all(start == cell_of(scene, point))
    chosen = jnp.where((jnp.max(order) < 0) & ~inside, center_of(scene, start), chosen)
    last = is_clear(scene, point, goal, clearance) & (jnp.linalg.norm(goal - point) <= stride)
    return jnp.where(last, goal, chosen), last
