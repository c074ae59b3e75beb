"""Rendering of SwarmBench: the map as tiles, agents with their ids."""

from typing import Any

import numpy as np

from jaxswarm import plotting
from jaxswarm.envs.swarmbench.codes import BOX, FOOD, NEST, PREY, WALL


def draw(codes: Any, world: Any, ax: Any) -> None:
    """Draw agents dark whose light is on or that carry food, the others light."""
    tiles = np.asarray(codes)
    tiles = np.where(np.isin(tiles, (WALL, BOX, PREY, FOOD, NEST)), tiles, 0)
    colors = {
        0: "#F1F1F1",
        WALL: plotting.PALETTE[6],
        BOX: plotting.PALETTE[1],
        PREY: plotting.PALETTE[3],
        FOOD: plotting.PALETTE[2],
        NEST: plotting.PALETTE[4],
    }
    plotting.tiles(ax, tiles, colors)
    place = world.position[:, ::-1].astype(float)
    for marked, color in ((True, plotting.PALETTE[0]), (False, "#9DB7D1")):
        plotting.discs(ax, place[world.present & (world.marked == marked)], 0.38, color)
    for agent in np.flatnonzero(world.present):
        column, row = place[agent]
        ax.text(column, row, str(agent), ha="center", va="center", fontsize=7, color="white")
