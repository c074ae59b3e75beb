"""Predator and prey (simple tag): slow hunters, fast prey, obstacles."""

from jaxswarm.envs.tag.environment import (
    SimpleTag,
    TagObservation,
    TagParams,
    TagWorld,
)

__all__ = ["SimpleTag", "TagObservation", "TagParams", "TagWorld"]
