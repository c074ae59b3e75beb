"""Porters: walkers in a row carry one long package over rough ground (in place of multiwalker)."""

from jaxswarm.envs.porters.environment import (
    Porters,
    PortersObservation,
    PortersParams,
    PortersWorld,
)

__all__ = ["Porters", "PortersObservation", "PortersParams", "PortersWorld"]
