"""Grid-world operations: local views, placement, shortest distances, and pushing.

Grids are ``[H, W]`` arrays, positions ``int32[N, 2]`` as (row, column); rows grow downward.
"""

from jaxswarm.envs.grid.cells import distances, draw_cells, place, windows
from jaxswarm.envs.grid.pushing import DIRECTIONS, push

__all__ = ["DIRECTIONS", "distances", "draw_cells", "place", "push", "windows"]
