"""Mean and standard deviation of the honest messages, which omniscient attacks read."""

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import PyTree


def honest_agents(messages: PyTree, byzantine: jax.Array, exchange: Exchange) -> jax.Array:
    """Return ``bool[N]``: honest agents of this round whose messages are finite."""
    honest = ~byzantine
    active = exchange.active(byzantine.shape[0])
    if active is not None:
        honest &= active
    for leaf in jax.tree.leaves(messages):
        honest &= jnp.isfinite(leaf).reshape(leaf.shape[0], -1).all(axis=1)
    return honest


def honest_moments(leaf: jax.Array, flags: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute mean and standard deviation ``[1, ...]`` of a leaf over agents with a flag."""
    honest = agents.expand(flags, leaf)
    count = jnp.maximum(jnp.sum(flags), 1)
    mean = jnp.sum(jnp.where(honest, leaf, 0.0), axis=0, keepdims=True) / count
    squares = jnp.where(honest, jnp.square(leaf - mean), 0.0)
    variance = jnp.sum(squares, axis=0, keepdims=True) / count
    return mean, jnp.sqrt(variance)
