"""Mean and standard deviation of the honest messages, which omniscient attacks read."""

import jax
import jax.numpy as jnp

from jaxswarm import agents


def honest_moments(leaf: jax.Array, byzantine: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute mean and standard deviation ``[1, ...]`` of a leaf over the honest agents."""
    honest = agents.expand(~byzantine, leaf)
    count = jnp.maximum(jnp.sum(~byzantine), 1)
    mean = jnp.sum(jnp.where(honest, leaf, 0.0), axis=0, keepdims=True) / count
    squares = jnp.where(honest, jnp.square(leaf - mean), 0.0)
    variance = jnp.sum(squares, axis=0, keepdims=True) / count
    return mean, jnp.sqrt(variance)
