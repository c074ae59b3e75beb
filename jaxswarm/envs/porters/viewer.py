"""Rendering of porters: the ground, the walkers, and the package on their heads."""

from typing import Any

import numpy as np

from jaxswarm import plotting

HEAD = 0.4
WAVES = np.array([0.7, 1.3, 2.9])


def draw(world: Any, params: Any, ax: Any) -> None:
    """Draw a side view that moves with the row."""
    middle, reach = float(np.mean(world.position)), 0.5 * len(world.position) + 1.5

    def height(x: np.ndarray) -> np.ndarray:
        return params.roughness * np.mean(np.sin(WAVES * x[..., None] + world.phase), axis=-1)

    ground = np.linspace(middle - reach, middle + reach, 200)
    ax.fill_between(ground, -1.0, height(ground), color="#D8CFC0")
    feet = height(world.position)
    ax.vlines(world.position, feet, feet + HEAD, color=plotting.PALETTE[0], linewidth=4)
    slope, offset = np.polyfit(world.position, feet, 1)
    ends = np.array([world.position.min() - 0.2, world.position.max() + 0.2])
    ax.plot(ends, slope * ends + offset + HEAD + 0.08, color=plotting.PALETTE[1], linewidth=7)
    plotting.stage(ax, x=(middle - reach, middle + reach), y=(-1.0, 1.6))
