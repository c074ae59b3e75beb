"""The coordination game: binary actions whose team reward has a poor and a good consensus."""

from jaxswarm.envs.coordination_game.environment import (
    CoordinationGame,
    CoordinationObservation,
    CoordinationParams,
)

__all__ = ["CoordinationGame", "CoordinationObservation", "CoordinationParams"]
