"""Rendering of deep-sea treasure: water, bed, the treasures' values, and submarines."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, values: Sequence[float], depths: Sequence[int], ax: Any) -> None:
    """Draw the sea with its bed and treasures; submarines that found one are not shown."""
    rows = np.arange(max(depths) + 1)[:, None]
    is_bed = rows > np.array(depths)[None, :]
    plotting.tiles(ax, is_bed.astype(int), {0: "#E4F0F6", 1: "#8C8C8C"})
    for column, (value, depth) in enumerate(zip(values, depths, strict=True)):
        ax.text(column, depth, f"{value:g}", ha="center", va="center", fontsize=9)
    at_sea = world.position[world.searching]
    plotting.discs(ax, at_sea[:, ::-1], 0.3, plotting.PALETTE[0], alpha=0.7)
