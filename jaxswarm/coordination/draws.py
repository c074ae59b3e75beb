"""Random numbers determined by an entity and an event, independent of order and batching.

Two schedulers that handle the same task at another time, in another batch or on another device draw
the same numbers, so they differ by their decisions alone.

Shapes: ``B`` entities and events, broadcast against each other.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxswarm import checks
from jaxswarm.types import Key


def event_keys(key: Key, entities: ArrayLike, events: ArrayLike) -> jax.Array:
    """Derive a key for every pair of entity and event, ``fold_in(fold_in(key, entity), event)``.

    Args:
        key: one typed key, not consumed: every pair has a stream of its own.
        entities: ``int[...]``, ids such as those of tasks or workers.
        events: ``int[...]``, the number of the event among those of its entity.

    Returns:
        Typed keys ``[...]``, the shape of the arguments' broadcast.

    Raises:
        ValueError: if one of them is no integer of 32 bits, or they do not broadcast.
    """
    checks.key(key)
    entity = jnp.asarray(checks.wholes("entities", entities, -checks.LARGEST))
    event = jnp.asarray(checks.wholes("events", events, -checks.LARGEST))
    try:
        shape = jnp.broadcast_shapes(entity.shape, event.shape)
    except ValueError:
        raise ValueError(
            f"events: expected a shape that broadcasts against {entity.shape}, got {event.shape}"
        ) from None
    entity, event = (jnp.broadcast_to(x, shape).ravel() for x in (entity, event))
    keys = jax.vmap(lambda a, b: jax.random.fold_in(jax.random.fold_in(key, a), b))(entity, event)
    return keys.reshape(shape)


def event_uniforms(key: Key, entities: ArrayLike, events: ArrayLike) -> jax.Array:
    """One uniform number in ``[0, 1)`` per pair; arguments as :func:`event_keys`.

    Example:
        >>> import jax
        >>> from jaxswarm import coordination
        >>> key = jax.random.key(0)
        >>> numbers = coordination.event_uniforms(key, [3, 7], 0)
        >>> bool((coordination.event_uniforms(key, [7, 3], 0) == numbers[::-1]).all())
        True
    """
    keys = event_keys(key, entities, events)
    return jax.vmap(jax.random.uniform)(keys.ravel()).reshape(keys.shape)


def event_normals(key: Key, entities: ArrayLike, events: ArrayLike) -> jax.Array:
    """One standard normal number per pair; arguments as :func:`event_keys`."""
    keys = event_keys(key, entities, events)
    return jax.vmap(jax.random.normal)(keys.ravel()).reshape(keys.shape)
