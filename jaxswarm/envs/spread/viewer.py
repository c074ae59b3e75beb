"""Rendering of simple spread: agents as discs, landmarks as crosses."""

from typing import Any

from jaxswarm import plotting


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw the arena, half again as wide as the square that agents start in."""
    ax.scatter(*world.landmarks.T, marker="x", s=60, color=plotting.PALETTE[1], label="landmarks")
    plotting.discs(
        ax, world.position, params.agent_radius, plotting.PALETTE[0], alpha=0.8, label="agents"
    )
    plotting.stage(ax, x=(-1.5, 1.5), y=(-1.5, 1.5))
