"""Rendering of the corridor maze: floor, walls, goal and agents."""

from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, floor: np.ndarray, goal: np.ndarray, ax: Any) -> None:
    """Draw the maze; agents that share a cell cover each other."""
    codes = floor.astype(int)
    codes[tuple(goal)] = 2
    colors = {0: plotting.PALETTE[6], 1: "#F1F1F1", 2: plotting.PALETTE[2]}
    plotting.tiles(ax, codes, colors)
    plotting.discs(ax, world.position[:, ::-1], 0.3, plotting.PALETTE[0])
