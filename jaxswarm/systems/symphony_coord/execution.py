"""Types, execution and rewards of the tasks that Symphony-Coord routes.

Shapes: ``R`` requesters.
"""

import jax
import jax.numpy as jnp

from jaxswarm.coordination.backends import OK, AgentBackend, Request
from jaxswarm.coordination.bandits import NO_CANDIDATE
from jaxswarm.systems.symphony_coord._world import World
from jaxswarm.systems.symphony_coord.scoring import LATENCY_SCALE, RouterSettings
from jaxswarm.types import Key


def draw_types(world: World, uniform: jax.Array) -> jax.Array:
    """Types of the tasks ``int32[R]`` from uniform numbers ``[R]``."""
    edges = jnp.cumsum(jnp.asarray(world.types))[:-1]
    return jnp.sum(uniform[:, None] >= edges[None, :], axis=1)


def ask_backend(
    backend: AgentBackend,
    truths: jax.Array | None,
    key: Key,
    world: World,
    worker: jax.Array,
    kind: jax.Array,
    found: jax.Array,
    index: int | jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Success and latency ``[R]`` of the backend's replies."""
    ids = jnp.arange(worker.shape[0], dtype=jnp.int32)
    truth = jnp.zeros_like(ids)
    if truths is not None:
        truth = truths[index].astype(jnp.int32)
    request = Request(
        worker=jnp.where(found, worker, NO_CANDIDATE).astype(jnp.int32),
        entity=ids,
        event=jnp.broadcast_to(jnp.asarray(index, jnp.int32), ids.shape),
        demand=jax.nn.one_hot(kind, jnp.shape(world.pool.skill)[1]),
        context=jnp.zeros(ids.shape),
        truth=truth,
        active=found,
    )
    _, reply = backend.answer(key, backend.init(), request)
    return found & (reply.status == OK) & (reply.answer == truth), reply.latency


def reward_of(
    settings: RouterSettings,
    world: World,
    worker: jax.Array,
    success: jax.Array,
    latency: jax.Array,
) -> jax.Array:
    """Success less penalties for latency and price, ``[R]`` in ``[0, 1]``."""
    price = jnp.asarray(world.pool.price)[worker]
    slow = settings.latency_penalty * jnp.sqrt(jnp.clip(latency / LATENCY_SCALE, 0.0, 1.0))
    return jnp.clip(success - slow - settings.price_penalty * price, 0.0, 1.0)
