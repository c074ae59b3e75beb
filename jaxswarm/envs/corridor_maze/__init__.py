"""Corridor maze: a long winding corridor with a sparse reward at its end."""

from jaxswarm.envs.corridor_maze.environment import (
    MOVES,
    CorridorMaze,
    CorridorObservation,
    CorridorParams,
    CorridorWorld,
)

__all__ = ["MOVES", "CorridorMaze", "CorridorObservation", "CorridorParams", "CorridorWorld"]
