"""Rendering of search and rescue: searchers as arrows with their cones, targets as dots."""

from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw missing targets red, found ones green, and cones up to the visibility of targets."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Wedge

    spread = float(params.view_angle) * 180.0
    heading = np.degrees(world.heading)
    cones = [
        Wedge(tuple(at), float(params.target_vision), angle - spread, angle + spread)
        for at, angle in zip(world.position, heading, strict=True)
    ]
    ax.add_collection(
        PatchCollection(cones, facecolor=plotting.PALETTE[5], edgecolor="none", alpha=0.35)
    )
    colors = np.where(world.found, plotting.PALETTE[2], plotting.PALETTE[1])
    plotting.discs(ax, world.targets, 0.008, list(colors))
    course = np.stack([np.cos(world.heading), np.sin(world.heading)])
    ax.quiver(*world.position.T, *course, color=plotting.PALETTE[0], scale=25.0, pivot="mid")
    count = f"{int(np.sum(world.found))} of {len(world.found)} found"
    plotting.stage(ax, x=(0.0, 1.0), y=(0.0, 1.0), title=count)
