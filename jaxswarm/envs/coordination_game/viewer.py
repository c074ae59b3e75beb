"""Rendering of the coordination game: the agents' bits as tiles."""

import math
from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw zeros blue and ones orange; blanks fill the last row."""
    del params
    width = math.ceil(math.sqrt(len(world)))
    codes = np.full(width * math.ceil(len(world) / width), 2)
    codes[: len(world)] = world
    colors = {0: plotting.PALETTE[0], 1: plotting.PALETTE[1], 2: "#FFFFFF"}
    plotting.tiles(ax, codes.reshape(-1, width), colors, symbols={0: "0", 1: "1"})
    ones = int(np.sum(world))
    ax.set_title(f"{len(world) - ones} zeros, {ones} ones", loc="left", fontsize=13)
