"""Distances and soft contact forces of point masses, shared by the particle environments.

Shapes: ``N`` bodies, ``M`` others.

References:
    I. Mordatch, P. Abbeel, Emergence of grounded compositional language in multi-agent
    populations, 2018.
"""

import jax
import jax.numpy as jnp


def distances(one: jax.Array, two: jax.Array) -> jax.Array:
    """Distances ``[N, M]`` between ``[N, 2]`` and ``[M, 2]``; the gradient is finite everywhere.

    A body whose position is NaN is nowhere: its distances are NaN, so it is near nothing.
    """
    return root(squared_distances(one, two))


def squared_distances(one: jax.Array, two: jax.Array) -> jax.Array:
    """Squares of :func:`distances`, ``[N, M]``; comparing or minimising them saves the roots."""
    return jnp.sum(jnp.square(one[:, None, :] - two[None, :, :]), axis=-1)


def root(squared: jax.Array) -> jax.Array:
    """Square root with gradient zero at zero."""
    same = squared == 0.0
    return jnp.where(same, 0.0, jnp.sqrt(jnp.where(same, 1.0, squared)))


def is_nowhere(position: jax.Array) -> jax.Array:
    """Whether a coordinate of each body ``[N, D]`` is NaN, ``bool[N]``."""
    return jnp.any(jnp.isnan(position), axis=-1)


def repulsion(
    one: jax.Array,
    two: jax.Array,
    reach: jax.Array,
    stiffness: jax.Array | float,
    margin: jax.Array | float,
) -> jax.Array:
    """Soft contact forces of bodies ``two`` on bodies ``one``, ``[N, 2]``.

    Args:
        one: positions ``[N, 2]``.
        two: positions ``[M, 2]``; bodies at distance 0 exert no force (a body on itself), and none
            act on or are acted on by a body whose position is NaN.
        reach: sum of radii below which two bodies touch, ``[]`` or ``[N, M]``.
        stiffness: force per penetration.
        margin: softness of the contact, a distance.
    """
    placed = ~is_nowhere(one)[:, None, None] & ~is_nowhere(two)[None, :, None]
    offset = jnp.where(placed, one[:, None, :] - two[None, :, :], 0.0)
    distance = jnp.where(placed[:, :, 0], distances(one, two), 0.0)
    depth = (reach - distance) / margin
    # log(1 + exp(depth)) without logaddexp's case of NaN, which the masks above exclude.
    penetration = (jnp.maximum(depth, 0.0) + jnp.log1p(jnp.exp(-jnp.abs(depth)))) * margin
    apart = distance > 0.0
    strength = stiffness * jnp.where(apart, penetration / jnp.where(apart, distance, 1.0), 0.0)
    return jnp.sum(strength[:, :, None] * offset, axis=1)
