"""Adapters that turn environments of other libraries into :class:`jaxswarm.envs.SwarmEnvironment`.

jumanji's and JaxMARL's multi-agent environments, and one copy per agent of gymnax's, brax's
and xminigrid's single-agent environments. Of these libraries only jumanji is a dependency.
"""

from jaxswarm.envs.adapters.brax import from_brax
from jaxswarm.envs.adapters.gymnax import from_gymnax
from jaxswarm.envs.adapters.jaxmarl import from_jaxmarl
from jaxswarm.envs.adapters.jumanji import from_jumanji
from jaxswarm.envs.adapters.observation import AdaptedObservation
from jaxswarm.envs.adapters.xminigrid import XMiniGridParams, from_xminigrid

__all__ = [
    "AdaptedObservation",
    "XMiniGridParams",
    "from_brax",
    "from_gymnax",
    "from_jaxmarl",
    "from_jumanji",
    "from_xminigrid",
]
