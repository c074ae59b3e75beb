"""RiskyPointMass: the straight path to the goal crosses a disc with rare, large losses."""

from jaxswarm.envs.risky_point_mass.environment import (
    RiskyObservation,
    RiskyParams,
    RiskyPointMass,
    RiskyWorld,
)

__all__ = ["RiskyObservation", "RiskyParams", "RiskyPointMass", "RiskyWorld"]
