"""Drawing of scenes: obstacles from above, objects and their interaction poses."""

from typing import Any

import numpy as np

from jaxswarm import plotting
from jaxswarm.envs.scenes._scene import KINDS, Scene, check_scene

COLORS = {"free": "#F6F6F6", "wall": "#4A4A4A"}
OBJECTS = {"seat": plotting.PALETTE[2], "item": plotting.PALETTE[1], "surface": plotting.PALETTE[3]}
"""Colours of the kinds of objects."""


def draw_scene(scene: Scene, ax: Any, *, objects: bool = True) -> None:
    """Draw a scene from above into matplotlib axes, in metres, ``y`` upwards.

    Args:
        scene: a single scene.
        ax: axes to draw into.
        objects: whether to colour the objects and mark their interaction poses by arrows.

    Raises:
        ValueError: for a batch of scenes, or what is no scene.
    """
    from matplotlib.colors import ListedColormap

    check_scene(scene)
    occupied, cell = np.asarray(scene.occupied), float(scene.cell)
    height, width = (cell * side for side in occupied.shape)
    ax.imshow(
        occupied, cmap=ListedColormap(list(COLORS.values())), vmin=0, vmax=1, origin="lower",
        extent=(0, width, 0, height), interpolation="nearest", zorder=0,
    )  # fmt: skip
    plotting.stage(ax, x=(0, width), y=(0, height))
    if not objects:
        return
    for kind, position, pose in zip(
        np.asarray(scene.kind), np.asarray(scene.position), np.asarray(scene.pose), strict=True
    ):
        color = OBJECTS[KINDS[kind]]
        corner = position - cell / 2
        ax.fill_between(
            [corner[0], corner[0] + cell], corner[1], corner[1] + cell, color=color, zorder=1
        )
        ahead = 0.15 * np.array([np.cos(pose[2]), np.sin(pose[2])])
        ax.annotate(
            "", pose[:2] + ahead, pose[:2] - ahead, zorder=2,
            arrowprops={"arrowstyle": "->", "color": color, "lw": 1.0},
        )  # fmt: skip
