"""Porters: walkers in a row carry one long package over rough ground (a multiwalker substitute)."""

from jaxswarm.envs.porters.environment import (
    Porters,
    PortersObservation,
    PortersParams,
    PortersWorld,
)

__all__ = ["Porters", "PortersObservation", "PortersParams", "PortersWorld"]
