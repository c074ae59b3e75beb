"""Rendering of the risky point mass: the disc shaded by risk, the goal in the corner."""

from typing import Any

import numpy as np

from jaxswarm import plotting


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw agents blue, those that arrived pale."""
    side = np.linspace(0.0, 1.0, 200)
    away = np.hypot(*(np.stack(np.meshgrid(side, side)) - params.disc_center))
    risk = np.where(
        away < params.disc_radius,
        params.risk * np.exp(-4.0 * np.square(away / params.disc_radius)),
        0.0,
    )
    ax.imshow(
        risk,
        origin="lower",
        extent=(0, 1, 0, 1),
        cmap="Reds",
        vmax=2.0 * max(float(params.risk), 1e-9),
    )
    plotting.discs(ax, np.zeros((1, 2)), params.goal_radius, plotting.PALETTE[2])
    colors = np.where(world.arrived, plotting.PALETTE[5], plotting.PALETTE[0])
    plotting.discs(ax, world.position, 0.015, list(colors), layer=3.0)
    plotting.stage(ax, x=(0, 1), y=(0, 1))
