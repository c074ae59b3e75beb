"""Simulated feeds: users with tastes, fatigue and patience receive videos and live streams.

:class:`FeedEnv` recommends short videos with vector rewards; :class:`LiveFeedEnv` decides when to
insert a live stream. Both stand on the user model :class:`UserParams`.
"""

from jaxswarm.envs.feed.environment import (
    RESPONSES,
    FeedEnv,
    FeedObservation,
    FeedParams,
    FeedWorld,
)
from jaxswarm.envs.feed.live import (
    LIVE_RESPONSES,
    LiveFeedEnv,
    LiveFeedObservation,
    LiveFeedParams,
    LiveFeedWorld,
)
from jaxswarm.envs.feed.users import UserParams, Users, catalog

__all__ = [
    "LIVE_RESPONSES",
    "RESPONSES",
    "FeedEnv",
    "FeedObservation",
    "FeedParams",
    "FeedWorld",
    "LiveFeedEnv",
    "LiveFeedObservation",
    "LiveFeedParams",
    "LiveFeedWorld",
    "UserParams",
    "Users",
    "catalog",
]
