"""Rendering of the two-objective grid: agents, and treasures with both values."""

from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, size: int, cells: np.ndarray, worths: np.ndarray, ax: Any) -> None:
    """Draw treasures with both values; a taken one leaves an empty cell."""
    plotting.tiles(ax, np.zeros((size, size), int), {0: "#F1F1F1"})
    for cell, worth, there in zip(cells, worths, world.left, strict=True):
        if there:
            words = " / ".join(f"{part:g}" for part in worth)
            ax.text(cell[1], cell[0], words, ha="center", va="center", fontsize=9)
    plotting.discs(ax, world.position[:, ::-1], 0.3, plotting.PALETTE[0], alpha=0.7)
