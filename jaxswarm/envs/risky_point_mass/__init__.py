"""RiskyPointMass: the straight way to the goal crosses a disc where large losses are rare."""

from jaxswarm.envs.risky_point_mass.environment import (
    RiskyObservation,
    RiskyParams,
    RiskyPointMass,
    RiskyWorld,
)

__all__ = ["RiskyObservation", "RiskyParams", "RiskyPointMass", "RiskyWorld"]
