"""Cooperative navigation (simple spread): ``N`` agents cover ``N`` landmarks."""

from jaxswarm.envs.spread.environment import (
    SimpleSpread,
    SpreadObservation,
    SpreadParams,
    SpreadWorld,
)
from jaxswarm.envs.spread.tradeoff import CoverageEnergy, CoverageEnergyParams

__all__ = [
    "CoverageEnergy",
    "CoverageEnergyParams",
    "SimpleSpread",
    "SpreadObservation",
    "SpreadParams",
    "SpreadWorld",
]
