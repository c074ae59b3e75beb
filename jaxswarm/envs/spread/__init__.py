"""Cooperative navigation (simple spread): ``N`` agents cover ``N`` landmarks."""

from jaxswarm.envs.spread.environment import (
    SimpleSpread,
    SpreadObservation,
    SpreadParams,
    SpreadWorld,
)

__all__ = ["SimpleSpread", "SpreadObservation", "SpreadParams", "SpreadWorld"]
