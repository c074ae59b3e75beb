"""What many actors do at once, each with its own view.

Shapes: ``C`` actors, ``N`` nodes, ``M`` receivers of an actor.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.data import Shards
from jaxswarm.learning.local import Sample
from jaxswarm.systems.modest.sampling import Found, resolve_sample, sample_order
from jaxswarm.systems.modest.views import View, candidates


def resolve(
    rows: View, own: jax.Array, round: jax.Array, online: jax.Array, wanted: int, inactivity: Any
) -> Found:
    """Each actor by its own view; leaves with a leading actors' axis."""
    n = rows.joined.shape[-1]
    order = sample_order(jnp.arange(n, dtype=jnp.int32), round)

    def one(row: View, own: jax.Array) -> Found:
        return resolve_sample(order, candidates(row, own, round, inactivity), online, own, wanted)

    return jax.vmap(one)(rows, own)


def seen(rows: View, found: Found, own: jax.Array, round: jax.Array, acts: jax.Array) -> View:
    """Who answered was active in ``round``, and so was the asker."""
    here = found.answered | (jnp.arange(rows.joined.shape[-1])[None, :] == own[:, None])
    active = jnp.where(here & acts[:, None], jnp.maximum(rows.last_active, round), rows.last_active)
    return rows._replace(last_active=active)


def stored(views: View, rows: View, owners: jax.Array) -> View:
    """Put rows back; owners ``N`` are dropped."""
    return jax.tree.map(lambda all, row: all.at[owners].set(row, mode="drop"), views, rows)


def known(rows: View, sends: jax.Array) -> jax.Array:
    """Entries in all views that travel with models, ``rows [C, N]`` and ``sends [C, M]``."""
    entries = jnp.sum(rows.counter >= 0, axis=1)
    return jnp.sum(entries * jnp.sum(sends, axis=1)).astype(jnp.float32)


def by_node(sample: Sample) -> Sample:
    """A sampler of ``(shards, nodes)``: every node draws from its own stream, whatever its slot."""

    def drawn(key: jax.Array, inputs: tuple[Any, jax.Array]) -> Any:
        def one(node: jax.Array) -> Any:
            # Samplers take the global number of their first agent; pyright knows no such keyword.
            batch = sample(key, rows_of(inputs[0], node[None]), offset=node)  # type: ignore[call-arg]
            return jax.tree.map(lambda leaf: leaf[0], batch)

        return jax.vmap(one)(inputs[1])

    return drawn


def distinct(ids: jax.Array, capacity: int) -> tuple[jax.Array, jax.Array]:
    """Where each different id (``-1`` is none) stands first, the most frequent ids first.

    Returns:
        ``(place int32[capacity], dropped int32[])``; ``-1`` in slots that are not needed.
    """
    same = ids[:, None] == ids[None, :]
    earlier = jnp.any(jnp.tril(same, -1), axis=1)
    first = (ids >= 0) & ~earlier
    often = jnp.where(first, jnp.sum(same, axis=1) * len(ids) - jnp.arange(len(ids)), -1)
    room = min(capacity, len(ids))
    votes, place = jax.lax.top_k(often, room)
    place = jnp.where(votes >= 0, place, -1).astype(jnp.int32)
    place = jnp.concatenate([place, jnp.full(capacity - room, -1, jnp.int32)])
    return place, jnp.maximum(jnp.sum(first) - capacity, 0).astype(jnp.int32)


def rows_of(shards: Shards, nodes: jax.Array) -> Shards:
    """The shards of some nodes."""
    return replace(
        shards,
        indices=shards.indices[nodes],
        mask=shards.mask[nodes],
        counts=shards.counts[nodes],
    )
