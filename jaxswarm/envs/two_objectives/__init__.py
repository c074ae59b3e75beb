"""Two-objective grid: treasures with two values each, and a Pareto front that can be enumerated."""

from jaxswarm.envs.two_objectives._attainable import attainable_returns
from jaxswarm.envs.two_objectives.environment import (
    MOVES,
    TREASURES,
    TwoObjectiveGrid,
    TwoObjectiveObservation,
    TwoObjectiveParams,
    TwoObjectiveWorld,
)

__all__ = [
    "MOVES",
    "TREASURES",
    "TwoObjectiveGrid",
    "TwoObjectiveObservation",
    "TwoObjectiveParams",
    "TwoObjectiveWorld",
    "attainable_returns",
]
