"""Rendering of mazes: levels as coloured tiles, agents as arrows."""

from typing import Any

import numpy as np

from jaxswarm import checks, plotting
from jaxswarm.envs.maze.levels import DIRECTIONS, FLOOR, LAVA, MOSS, NUM_TILES, WALL, Level

COLORS = {
    FLOOR: "#F4F4F4",
    WALL: "#3C3C3C",
    MOSS: "#A9CFA0",
    LAVA: "#E4572E",
    NUM_TILES: plotting.PALETTE[0],
}
"""Colours of floor, wall, moss, lava and goal."""


def draw(world: Any, level: Level, ax: Any) -> None:
    """Draw a level and the agents in it; agents that share a cell cover each other."""
    draw_level(level, ax, start=False)
    _arrows(ax, np.asarray(world.position), np.asarray(world.direction))


def draw_level(level: Level, ax: Any, *, start: bool = True) -> None:
    """Draw a single level into matplotlib axes, the start as an arrow.

    Args:
        level: a single level.
        ax: axes to draw into.
        start: whether to draw the start.

    Raises:
        ValueError: if the level is a batch, or ``ax`` is not matplotlib axes.
    """
    checks.instance("level", level, Level, "maze.empty_level(15)")
    codes = np.asarray(level.tiles).astype(int)
    if codes.ndim != 2:
        raise ValueError(f"level: expected a single level, got tiles {codes.shape}")
    codes[tuple(np.asarray(level.goal))] = NUM_TILES
    plotting.tiles(ax, codes, COLORS)
    if start:
        _arrows(ax, np.asarray(level.start)[None], np.asarray(level.direction)[None])


def _arrows(ax: Any, cells: np.ndarray, directions: np.ndarray) -> None:
    """Draw a triangle in each cell that points in its direction."""
    from matplotlib.collections import PolyCollection

    ahead = DIRECTIONS[directions].astype(float)
    aside = DIRECTIONS[(directions + 1) % 4].astype(float)
    corners = [0.35 * ahead, -0.3 * ahead + 0.28 * aside, -0.3 * ahead - 0.28 * aside]
    shapes = np.stack([cells + corner for corner in corners], axis=1)[:, :, ::-1]
    ax.add_collection(
        PolyCollection(
            list(shapes), facecolors=plotting.PALETTE[1], edgecolors="white", linewidths=0.5
        )
    )
