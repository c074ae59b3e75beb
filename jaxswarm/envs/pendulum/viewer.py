"""Rendering of pendula: rods side by side, eight to a row; upright ones green."""

from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw every rod at its own length, thicker if it is heavier."""
    n = len(world.angle)
    length, mass = (np.broadcast_to(x, (n,)) for x in (params.length, params.mass))
    cell, columns = 2.4 * length.max(), min(n, 8)
    pivot = np.stack([np.arange(n) % columns, -(np.arange(n) // columns)], axis=1) * cell
    tip = pivot + length[:, None] * np.stack([-np.sin(world.angle), np.cos(world.angle)], axis=1)
    for start, end, weight, reach in zip(pivot, tip, mass, length, strict=True):
        color = plotting.PALETTE[2 if end[1] - start[1] > 0.95 * reach else 0]
        ax.plot(*np.stack([start, end]).T, color=color, lw=5.0 * np.sqrt(weight), zorder=2)
    plotting.discs(ax, pivot, 0.06 * length.max(), plotting.PALETTE[1], layer=3.0)
    low, high = pivot.min(axis=0) - cell / 2, pivot.max(axis=0) + cell / 2
    plotting.stage(ax, x=(low[0], high[0]), y=(low[1], high[1]))
