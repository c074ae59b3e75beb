"""Environments of others as ours.

jumanji's multi-agent ones, JaxMARL's, and a copy per agent of gymnax's and brax's single-agent ones
(jumanji alone is a dependency).
"""

from jaxswarm.envs.adapters.brax import from_brax
from jaxswarm.envs.adapters.gymnax import from_gymnax
from jaxswarm.envs.adapters.jaxmarl import from_jaxmarl
from jaxswarm.envs.adapters.jumanji import from_jumanji, register
from jaxswarm.envs.adapters.observation import AdaptedObservation

__all__ = [
    "AdaptedObservation",
    "from_brax",
    "from_gymnax",
    "from_jaxmarl",
    "from_jumanji",
    "register",
]
