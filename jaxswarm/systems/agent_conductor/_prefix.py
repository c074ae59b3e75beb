"""What can be read off the slots before one: features for a decoder, and rules of valid graphs.

Shapes: ``B`` graphs, ``N`` slots, ``P`` features of a prefix, ``Q`` features of a pair of slots.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.systems.agent_conductor.graphs import (
    CODING,
    NUM_TOKENS,
    ROLES,
    STOP,
    TESTING,
    UNKNOWN,
    RoleGraph,
)

NUM_PAIR = len(ROLES) + 5
NEVER = -1e9
SCALE = 4.0
"""Factor on features that tell valid from invalid choices, so that their rules are learned soon."""


class Prefix(NamedTuple):
    """The part of a graph before slot ``i``.

    Attributes:
        exists: ``bool[B, N]``, slots before ``i``.
        current: ``bool[B, N]``, those of the layer that is open.
        unread: ``bool[B, N]``, those that no slot before ``i`` refers to.
        role: ``int32[B, N]``.
        last: ``int32[B]``, role of slot ``i - 1``; ``STOP`` before the first.
        left: ``int32[B]``, slots up to the largest number of agents, this one included.
        first: ``bool[]``, whether this is slot 0.
    """

    exists: jax.Array
    current: jax.Array
    unread: jax.Array
    role: jax.Array
    last: jax.Array
    left: jax.Array
    first: jax.Array


def prefix(graph: RoleGraph, i: jax.Array, max_nodes: jax.Array) -> Prefix:
    """The part before slot ``i``; what later slots hold has no influence."""
    role = jnp.asarray(graph.role)
    slots = role.shape[-1]
    index = jnp.arange(slots)
    exists = jnp.broadcast_to(index < i, role.shape)
    layer = jnp.cumsum(jnp.asarray(graph.opens) & exists, axis=-1)
    current = exists & (layer == jnp.max(jnp.where(exists, layer, 0), axis=-1, keepdims=True))
    read = jnp.any(jnp.asarray(graph.refs) & exists[..., :, None], axis=-2)
    last = jnp.where(i > 0, jnp.take(role, jnp.maximum(i - 1, 0), axis=-1), STOP)
    return Prefix(exists, current, exists & ~read, role, last, max_nodes - i, i == 0)


def prefix_features(p: Prefix, slots: int) -> jax.Array:
    """Features ``float32[B, P]``: last role, roles so far, open ends and slots left."""
    counts = jnp.sum(
        jax.nn.one_hot(p.role, len(ROLES)) * p.exists[..., None].astype(jnp.float32), axis=-2
    )
    unread = jnp.sum(p.unread, axis=-1) - ~p.first
    numbers = [
        p.left / slots,
        p.left <= 1,
        p.left <= 0,
        unread / slots,
        unread > 0,
        jnp.any(p.unread & p.current, axis=-1),
        coded(p),
        coded(p) & (p.left <= 1),
        may_stop(p),
    ]
    numbers = [jnp.broadcast_to(x, p.last.shape).astype(jnp.float32) for x in numbers]
    return jnp.concatenate(
        [jax.nn.one_hot(p.last, NUM_TOKENS), counts / 2.0, SCALE * jnp.stack(numbers, axis=-1)],
        axis=-1,
    )


def may_read(p: Prefix, opens: jax.Array) -> jax.Array:
    """Slots of earlier layers, to which slot ``i`` may refer once ``opens`` is known."""
    return p.exists & (opens[..., None] | ~p.current)


def pair_features(p: Prefix, opens: jax.Array) -> jax.Array:
    """Features ``float32[B, N, Q]`` of each slot as a target of a reference from slot ``i``."""
    allowed = may_read(p, opens)
    last = jnp.broadcast_to((p.left <= 1)[..., None], allowed.shape)
    flags = [jnp.ones_like(allowed), allowed, allowed & p.unread, allowed & p.unread & last,
             allowed & p.current]  # fmt: skip
    kinds = jax.nn.one_hot(p.role, len(ROLES)) * allowed[..., None]
    rules = SCALE * jnp.stack(flags, axis=-1).astype(jnp.float32)
    return jnp.concatenate([rules, kinds], axis=-1)


def coded(p: Prefix) -> jax.Array:
    """Whether there is a coding agent, ``bool[B]``."""
    return jnp.any(p.exists & (p.role == CODING), axis=-1)


def may_stop(p: Prefix) -> jax.Array:
    """Whether the agents so far are a valid graph, ``bool[B]``."""
    unread = jnp.sum(p.unread, axis=-1) - ~p.first
    ends = (p.last == CODING) | (p.last == TESTING)
    return ends & coded(p) & (unread <= 0) & ~p.first


def valid_tokens(p: Prefix) -> jax.Array:
    """Tokens after which a valid graph is still possible, ``bool[B, NUM_TOKENS]``."""
    token = jnp.broadcast_to(jnp.arange(NUM_TOKENS), (*p.last.shape, NUM_TOKENS))
    last = (p.left <= 1)[..., None]
    role = (token < STOP) & jnp.where(
        last, (token == CODING) | ((token == TESTING) & coded(p)[..., None]), True
    )
    role = role & (p.left > 0)[..., None]
    stop = (token == STOP) & (may_stop(p) | (p.left <= 0))[..., None]
    return (role | stop) & (token != UNKNOWN)


def forced_opening(p: Prefix) -> jax.Array:
    """Whether an agent in slot ``i`` must open a layer, ``bool[B]``."""
    waits = jnp.any(p.unread & p.current, axis=-1)
    return p.first | ((p.left <= 1) & waits)


def forced_references(p: Prefix, opens: jax.Array) -> jax.Array:
    """References that the last possible agent must have, ``bool[B, N]``."""
    return may_read(p, opens) & p.unread & (p.left <= 1)[..., None]
