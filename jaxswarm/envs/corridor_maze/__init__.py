"""A long winding corridor with a goal at its end: a reward that must be carried far back."""

from jaxswarm.envs.corridor_maze.environment import (
    MOVES,
    CorridorMaze,
    CorridorObservation,
    CorridorParams,
    CorridorWorld,
)

__all__ = ["MOVES", "CorridorMaze", "CorridorObservation", "CorridorParams", "CorridorWorld"]
