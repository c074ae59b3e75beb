"""Deep-sea treasure: value against time, with a Pareto front that is known and concave."""

from jaxswarm.envs.deep_sea_treasure.environment import (
    DEPTHS,
    VALUES,
    DeepSeaTreasure,
    TreasureObservation,
    TreasureParams,
    TreasureWorld,
    true_front,
)

__all__ = [
    "DEPTHS",
    "VALUES",
    "DeepSeaTreasure",
    "TreasureObservation",
    "TreasureParams",
    "TreasureWorld",
    "true_front",
]
