"""Point masses that push each other: the physics that particle environments share.

Shapes: ``N`` bodies, ``M`` others.

References:
    I. Mordatch, P. Abbeel, Emergence of grounded compositional language in multi-agent
    populations, 2018.
"""

import jax
import jax.numpy as jnp


def distances(one: jax.Array, two: jax.Array) -> jax.Array:
    """``[N, M]`` between ``[N, 2]`` and ``[M, 2]``; its gradient is finite everywhere."""
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
    """Soft contact forces on ``one``, ``[N, 2]``.

    Args:
        one: positions ``[N, 2]``.
        two: positions ``[M, 2]`` of what pushes; a body does not push itself (distance 0).
        reach: sum of radii below which two bodies touch, ``[]`` or ``[N, M]``.
        stiffness: force per penetration.
        margin: softness, a distance.
    """
    offset = one[:, None, :] - two[None, :, :]
    distance = distances(one, two)
    penetration = jnp.logaddexp(0.0, -(distance - reach) / margin) * margin
    apart = distance > 0.0
    strength = stiffness * jnp.where(apart, penetration / jnp.where(apart, distance, 1.0), 0.0)
    return jnp.sum(strength[:, :, None] * offset, axis=1)
