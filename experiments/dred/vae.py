"""Stub."""
from typing import NamedTuple
import jax
from jaxswarm.envs import maze
class Codes(NamedTuple):
    mean: jax.Array
    std: jax.Array
def decoder(config, params):
    def decode(key, z):
        return maze.random_level(key, config.size)
    return decode
