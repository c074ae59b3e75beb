"""Procedural indoor scenes: occupancy grids with signed distance, objects, and a navigator.

Pure functions on arrays, not an environment: what acts in these scenes are clips of generated
motion (``systems.fantasy_hsi``), which no action of fixed size per step stands for. In short::

    scene = scenes.draw(key, "clutter")               # jit, vmap; FAMILIES lists the names
    scene = scenes.scene(occupied, kind=…, position=…, pose=…)         # of your own grid
    fields = scenes.fields(scene)                     # int32[O, H, W], steps to each object's pose
    waypoint, is_goal = scenes.next_waypoint(scene, fields[0], point, scene.pose[0, :2])
    scenes.distance_at(scene.distance, points, scene.cell)             # signed distance, metres
"""

from jaxswarm.envs.scenes._scene import ITEM, KINDS, SEAT, SURFACE, Scene, check_scene, scene
from jaxswarm.envs.scenes.distance import distance_at, euclidean_distances, signed_distance
from jaxswarm.envs.scenes.families import CELL, FAMILIES, draw, furnish
from jaxswarm.envs.scenes.navigation import (
    CLEARANCE,
    STRIDE,
    cell_of,
    center_of,
    descend,
    fields,
    is_clear,
    is_reachable,
    nearest_walkable,
    next_waypoint,
    walkable,
)
from jaxswarm.envs.scenes.viewer import draw_scene

__all__ = [
    "CELL",
    "CLEARANCE",
    "FAMILIES",
    "ITEM",
    "KINDS",
    "SEAT",
    "STRIDE",
    "SURFACE",
    "Scene",
    "cell_of",
    "center_of",
    "check_scene",
    "descend",
    "distance_at",
    "draw",
    "draw_scene",
    "euclidean_distances",
    "fields",
    "furnish",
    "is_clear",
    "is_reachable",
    "nearest_walkable",
    "next_waypoint",
    "scene",
    "signed_distance",
    "walkable",
]
