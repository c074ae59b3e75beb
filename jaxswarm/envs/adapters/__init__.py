"""Environments of others as ours: jumanji's multi-agent ones and JaxMARL's (not a dependency)."""

from jaxswarm.envs.adapters.jaxmarl import from_jaxmarl
from jaxswarm.envs.adapters.jumanji import from_jumanji, register
from jaxswarm.envs.adapters.observation import AdaptedObservation

__all__ = ["AdaptedObservation", "from_jaxmarl", "from_jumanji", "register"]
