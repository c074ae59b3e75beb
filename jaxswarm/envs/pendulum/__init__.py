"""Pendulum: swing a rod up with a motor too weak to lift it."""

from jaxswarm.envs.pendulum.environment import (
    Pendulum,
    PendulumObservation,
    PendulumParams,
    PendulumWorld,
)

__all__ = ["Pendulum", "PendulumObservation", "PendulumParams", "PendulumWorld"]
