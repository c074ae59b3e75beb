"""Distances and soft contact forces of point masses, shared by the particle environments.

Shapes: ``N`` bodies, ``M`` others.

References:
    I. Mordatch, P. Abbeel, Emergence of grounded compositional language in multi-agent
    populations, 2018.
"""

import jax
import jax.numpy as jnp


def distances(one: jax.Array, two: jax.Array) -> jax.Array:
    """Distances ``[N, M]`` between ``[N, 2]`` and ``[M, 2]``; the gradient is finite everywhere."""
    squared = jnp.sum(jnp.square(one[:, None, :] - two[None, :, :]), axis=-1)
    apart = squared > 0.0
    return jnp.where(apart, jnp.sqrt(jnp.where(apart, squared, 1.0)), 0.0)


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
        two: positions ``[M, 2]``; bodies at distance 0 exert no force (a body on itself).
        reach: sum of radii below which two bodies touch, ``[]`` or ``[N, M]``.
        stiffness: force per penetration.
        margin: softness of the contact, a distance.
    """
    offset = one[:, None, :] - two[None, :, :]
    distance = distances(one, two)
    penetration = jnp.logaddexp(0.0, -(distance - reach) / margin) * margin
    apart = distance > 0.0
    strength = stiffness * jnp.where(apart, penetration / jnp.where(apart, distance, 1.0), 0.0)
    return jnp.sum(strength[:, :, None] * offset, axis=1)
