"""Grid-world operations: local views, placement, shortest paths, and pushing.

Grids are ``[H, W]`` arrays, positions ``int32[N, 2]`` as (row, column); rows grow downward.
"""

from jaxswarm.envs.grid import bitboards
from jaxswarm.envs.grid.bitboards import FirstStep, reached
from jaxswarm.envs.grid.cells import distances, draw_cells, place, windows
from jaxswarm.envs.grid.pushing import DIRECTIONS, push

__all__ = [
    "DIRECTIONS",
    "FirstStep",
    "bitboards",
    "distances",
    "draw_cells",
    "place",
    "push",
    "reached",
    "windows",
]
