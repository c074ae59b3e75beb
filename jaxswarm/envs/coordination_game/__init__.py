"""The coordination game: binary choices whose team reward has a bad and a good consensus."""

from jaxswarm.envs.coordination_game.environment import (
    CoordinationGame,
    CoordinationObservation,
    CoordinationParams,
)

__all__ = ["CoordinationGame", "CoordinationObservation", "CoordinationParams"]
