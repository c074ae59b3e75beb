"""Rendering of Crafter: the map from above, with players, cows and plants."""

from typing import Any

import numpy as np

from jaxswarm import plotting
from jaxswarm.envs.crafter import rules as r

COLORS = {
    r.OUTSIDE: "#FFFFFF",
    r.WATER: "#5B8FD0",
    r.GRASS: "#9CC678",
    r.STONE: "#8F8F8F",
    r.PATH: "#CBBFA8",
    r.SAND: "#EADFA8",
    r.TREE: "#3F7D3A",
    r.LAVA: "#E8622C",
    r.COAL: "#2E2E2E",
    r.IRON: "#D79A6B",
    r.DIAMOND: "#C9F3FF",
    r.TABLE: "#8A5A2B",
    r.FURNACE: "#5A4A4A",
    r.COW: "#F2EDE4",
    r.SAPLING: "#C8E89B",
    r.RIPE: "#F2B134",
}
"""Colors of the codes of a map; players are discs."""


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw the map, a disc for each living player with its id, darker at night."""
    del params
    cells = np.array(world.terrain, int)
    for herd, codes in (
        (world.plants, np.where(world.plants.age > 300, r.RIPE, r.SAPLING)),
        (world.cows, np.full(len(world.cows.health), r.COW)),
    ):
        there = np.asarray(herd.health) > 0
        position = np.asarray(herd.position)[there]
        cells[position[:, 0], position[:, 1]] = np.asarray(codes)[there]
    plotting.tiles(ax, cells, COLORS)
    alive = np.asarray(world.alive)
    for agent in np.flatnonzero(alive):
        row, column = np.asarray(world.position)[agent]
        color = plotting.PALETTE[agent % len(plotting.PALETTE)]
        ax.plot(column, row, "o", color=color, markeredgecolor="white", markersize=9)
        ax.annotate(str(agent), (column, row), color="white", fontsize=6, ha="center", va="center")
