"""Rendering of simple tag: hunters, prey and obstacles as discs."""

from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw the arena, half again as wide as the square that agents start in."""
    colors = np.where(world.is_prey, plotting.PALETTE[2], plotting.PALETTE[1])
    radius = np.where(world.is_prey, params.radius[1], params.radius[0])
    plotting.discs(ax, world.obstacles, params.obstacle_radius, "#B8B8B8", layer=1.0)
    plotting.discs(ax, world.position, radius, list(colors))
    ax.quiver(*world.position.T, *world.velocity.T, color=list(colors), width=0.004, scale=8.0)
    plotting.stage(ax, x=(-1.5, 1.5), y=(-1.5, 1.5), title="hunters red, prey green")
