"""Environments of this package as those of other libraries, for training loops written for them.

PettingZoo's ``ParallelEnv`` and gymnasium's ``VectorEnv`` take and give numpy arrays; gymnax's and
JaxMARL's conventions stay in JAX, inside ``jit`` and ``vmap``. All of them give each agent one
vector, the leaves of its observation in order; masks of legal actions are handed over as each
library expects them. Legacy keys of ``jax.random.PRNGKey`` are taken here.
"""

from jaxswarm.envs.outward.functional import GymnaxStyle, JaxMARLStyle, to_gymnax, to_jaxmarl
from jaxswarm.envs.outward.numpy_loops import to_gymnasium, to_pettingzoo
from jaxswarm.envs.outward.views import Box, Discrete

__all__ = [
    "Box",
    "Discrete",
    "GymnaxStyle",
    "JaxMARLStyle",
    "to_gymnasium",
    "to_gymnax",
    "to_jaxmarl",
    "to_pettingzoo",
]
