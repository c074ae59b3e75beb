"""Attacks by random messages: Gaussian noise, one-sided uniform noise.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    J. Verbraeken, M. de Vos, J. Pouwelse, Bristle: decentralized federated learning in Byzantine,
    non-i.i.d. environments, 2021 (one-sided noise, as in the authors' code).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip.attacks._wrapper import Attack
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import Key, Params, PyTree


def scaled_noise(scale: float | jax.Array = 1.0) -> Attack:
    """Send the own message plus Gaussian noise of standard deviation ``scale``.

    Raises:
        ValueError: if a concrete ``scale`` is negative or not finite.
    """
    checks.real("scale", scale, 0.0)

    def draw(key: jax.Array, leaf: jax.Array) -> jax.Array:
        return leaf + scale * _per_agent(key, leaf, jax.random.normal)

    return _leaf_by_leaf(draw)


def one_sided_noise(scale: float | jax.Array = 0.5) -> Attack:
    """Send noise: uniform in ``[−scale, 0]``, from the middle of the last axis on ``[0, scale]``.

    The middle is that of the last axis of each leaf, so that Byzantine agents that draw
    independently still push in the same direction.

    Raises:
        ValueError: if a concrete ``scale`` is negative or not finite.
    """
    checks.real("scale", scale, 0.0)

    def draw(key: jax.Array, leaf: jax.Array) -> jax.Array:
        noise = _per_agent(key, leaf, jax.random.uniform)
        later = jnp.arange(leaf.shape[-1]) >= leaf.shape[-1] // 2 if leaf.ndim > 1 else True
        side = jnp.broadcast_to(jnp.where(later, scale, -scale), leaf.shape)
        return side * noise

    return _leaf_by_leaf(draw)


def _leaf_by_leaf(draw: Callable[[jax.Array, jax.Array], jax.Array]) -> Attack:
    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        del params, byzantine, exchange
        leaves, treedef = jax.tree.flatten(messages)
        drawn = [
            draw(jax.random.fold_in(key, i), leaf).astype(leaf.dtype)
            for i, leaf in enumerate(leaves)
        ]
        return jax.tree.unflatten(treedef, drawn)

    return Attack(forge)


def _per_agent(key: jax.Array, leaf: jax.Array, draw: Callable[..., jax.Array]) -> jax.Array:
    keys = agents.keys(key, leaf.shape[0])
    return jax.vmap(lambda k: draw(k, leaf.shape[1:]))(keys)
