"""Symphony-Coord: decentralized contextual-bandit routing of tasks to workers."""

from jaxswarm.systems.symphony_coord._router import (
    FEATURES,
    POLICIES,
    SLOWEST,
    Router,
    RouterInfo,
    RouterState,
    Settings,
    World,
    roles,
    router,
    world,
)

__all__ = [
    "FEATURES",
    "POLICIES",
    "Router",
    "RouterInfo",
    "RouterState",
    "SLOWEST",
    "Settings",
    "World",
    "roles",
    "router",
    "world",
]
