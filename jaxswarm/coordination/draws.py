"""Random numbers that belong to an entity and an event, whoever asks and in whatever order.

Two schedulers that treat the same task at another time, in another batch or on another device draw
the same numbers, so they differ by their decisions alone.

Shapes: ``B`` entities and events, broadcast against each other.
"""

from typing import Any

import jax
import jax.numpy as jnp


def event_keys(key: jax.Array, entities: Any, events: Any) -> jax.Array:
    """``fold_in(fold_in(key, entity), event)`` for every pair, shape ``[...]`` of the broadcast.

    Args:
        key: one typed key, not consumed: every pair has a stream of its own.
        entities: ``int[...]``, who (a task, a worker).
        events: ``int[...]``, the how-manieth event of that entity.

    Raises:
        ValueError: if one of them is not an integer.
    """
    who, what = jnp.asarray(entities), jnp.asarray(events)
    for name, value in (("entities", who), ("events", what)):
        if not jnp.issubdtype(value.dtype, jnp.integer):
            raise ValueError(f"{name}: expected integers, got {value.dtype}")
    shape = jnp.broadcast_shapes(who.shape, what.shape)
    who, what = (jnp.broadcast_to(x, shape).ravel() for x in (who, what))
    keys = jax.vmap(lambda a, b: jax.random.fold_in(jax.random.fold_in(key, a), b))(who, what)
    return keys.reshape(shape)


def event_uniforms(key: jax.Array, entities: Any, events: Any) -> jax.Array:
    """One uniform number in ``[0, 1)`` per pair; arguments as :func:`event_keys`."""
    keys = event_keys(key, entities, events)
    return jax.vmap(jax.random.uniform)(keys.ravel()).reshape(keys.shape)


def event_normals(key: jax.Array, entities: Any, events: Any) -> jax.Array:
    """One standard normal number per pair; arguments as :func:`event_keys`."""
    keys = event_keys(key, entities, events)
    return jax.vmap(jax.random.normal)(keys.ravel()).reshape(keys.shape)
