"""Symphony-Coord: decentralised contextual-bandit routing of tasks to workers."""

from jaxswarm.systems.symphony_coord._router import (
    POLICIES,
    SCREENINGS,
    Router,
    RouterInfo,
    RouterState,
    router,
)
from jaxswarm.systems.symphony_coord._world import World, world
from jaxswarm.systems.symphony_coord.scoring import FEATURES, LATENCY_SCALE, RouterSettings

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
