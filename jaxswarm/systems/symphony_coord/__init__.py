"""Symphony-Coord: decentralised contextual-bandit routing of tasks to workers."""

from jaxswarm.systems.symphony_coord._router import router
from jaxswarm.systems.symphony_coord._world import World, world
from jaxswarm.systems.symphony_coord.scoring import FEATURES, LATENCY_SCALE, RouterSettings
from jaxswarm.systems.symphony_coord.state import (
    POLICIES,
    SCREENINGS,
    Router,
    RouterInfo,
    RouterState,
)

__all__ = [
    "FEATURES",
    "LATENCY_SCALE",
    "POLICIES",
    "SCREENINGS",
    "Router",
    "RouterInfo",
    "RouterSettings",
    "RouterState",
    "World",
    "router",
    "world",
]
