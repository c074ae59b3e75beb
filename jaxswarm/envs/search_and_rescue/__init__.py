"""Search and rescue: searchers with a cone of vision find drifting targets."""

from jaxswarm.envs.search_and_rescue.environment import (
    SearchAndRescue,
    SearchObservation,
    SearchParams,
    SearchWorld,
)

__all__ = ["SearchAndRescue", "SearchObservation", "SearchParams", "SearchWorld"]
