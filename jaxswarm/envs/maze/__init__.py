"""CaveEscape, a grid maze with walls, lava and moss, and its levels: generation, edits, files.

Levels are pytrees (:class:`Level`) and part of the environment's physics, so that curricula over
levels run in one program. In short::

    env = maze.CaveEscape(size=15)                            # num_agents=1, view=5, time_limit=250
    level = maze.random_level(key, 15)                        # or mutate(key, level, num_edits)
    state, timestep = env.reset(key, maze.MazeParams(level))  # the level travels in state.params
    state, timestep = env.step(state, action)                 # int32[N]: left, right, forward

    levels = maze.families.backtracker(seed, count, size)     # a batch, tiles uint8[count, H, W]
    maze.distance(level), maze.solvable(level)                # −1 and False if unsolvable; jax.vmap
    maze.levels.check(levels, at_least=2)                     # refuses invalid levels by name
    maze.save_levels("levels.npz", levels), maze.load_levels("levels.npz")
    vae = maze.level_vae(15)                                  # fit, encode, decode, sample, …

Grids include a ring of walls: size 15 has 13 × 13 inner cells.
"""

from jaxswarm.envs.maze import families, levels
from jaxswarm.envs.maze.environment import (
    ACTIONS,
    SEEN,
    CaveEscape,
    MazeObservation,
    MazeParams,
    MazeWorld,
)
from jaxswarm.envs.maze.generators import add_hints, mutate, place_ends, random_level
from jaxswarm.envs.maze.latent import LevelVAE, level_vae
from jaxswarm.envs.maze.levels import (
    DIRECTIONS,
    FLOOR,
    LAVA,
    MOSS,
    WALL,
    Level,
    empty_level,
    load_levels,
    save_levels,
)
from jaxswarm.envs.maze.paths import distance, distances, shortest_path_cells, solvable
from jaxswarm.envs.maze.viewer import draw_level

__all__ = [
    "ACTIONS",
    "CaveEscape",
    "DIRECTIONS",
    "FLOOR",
    "LAVA",
    "Level",
    "LevelVAE",
    "MOSS",
    "MazeObservation",
    "MazeParams",
    "MazeWorld",
    "SEEN",
    "WALL",
    "add_hints",
    "distance",
    "distances",
    "draw_level",
    "empty_level",
    "families",
    "level_vae",
    "levels",
    "load_levels",
    "mutate",
    "place_ends",
    "random_level",
    "save_levels",
    "shortest_path_cells",
    "solvable",
]
