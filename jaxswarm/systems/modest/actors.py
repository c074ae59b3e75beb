"""Operations of many acting agents at once, each with its own view.

Shapes: ``C`` actors, ``N`` agents, ``M`` receivers of an actor.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.data import Shards
from jaxswarm.learning.local import Sample
from jaxswarm.systems.modest.sampling import ResolvedSample, resolve_sample, sample_order
from jaxswarm.systems.modest.views import View, candidates
from jaxswarm.types import Key


def resolve_each(
    rows: View,
    own: jax.Array,
    round: jax.Array,
    online: jax.Array,
    wanted: int,
    inactivity: int | jax.Array,
) -> ResolvedSample:
    """Resolve each actor's sample by its own view; leaves with a leading actors' axis.

    Args:
        rows: ``[C, N]``, the actors' views.
        own: ``int32[C]``, the actors.
        round: ``int32[]``, for which to sample.
        online: ``bool[C, N]``, agents that would answer each actor.
        wanted: agents in a sample, static.
        inactivity: ``Δk``.
    """
    n = rows.joined.shape[-1]
    order = sample_order(jnp.arange(n, dtype=jnp.int32), round)

    def resolve(row: View, own: jax.Array, online: jax.Array) -> ResolvedSample:
        return resolve_sample(order, candidates(row, own, round, inactivity), online, own, wanted)

    return jax.vmap(resolve)(rows, own, online)


def answering(online: jax.Array, own: jax.Array, reachable: jax.Array | None) -> jax.Array:
    """Agents that would answer each of the actors ``own``, ``bool[C, N]``.

    Args:
        online: ``bool[N]``.
        own: ``int32[C]``, the actors.
        reachable: ``bool[N, N]``, pairs with a connection; all if ``None``.
    """
    if reachable is None:
        return jnp.broadcast_to(online, (*own.shape, *online.shape))
    itself = jnp.arange(online.shape[0])[None, :] == own[:, None]
    return online[None, :] & (jnp.asarray(reachable)[own] | itself)


def mark_active(
    rows: View, found: ResolvedSample, own: jax.Array, round: jax.Array, acts: jax.Array
) -> View:
    """Record activity in ``round`` of agents that answered and of the actors ``own`` that act."""
    here = found.answered | (jnp.arange(rows.joined.shape[-1])[None, :] == own[:, None])
    active = jnp.where(here & acts[:, None], jnp.maximum(rows.last_active, round), rows.last_active)
    return rows._replace(last_active=active)


def rows_of(views: View, owners: jax.Array) -> View:
    """Rows ``[C, N]`` of some owners."""
    return jax.tree.map(lambda leaf: leaf[owners], views)


def write_rows(views: View, rows: View, owners: jax.Array) -> View:
    """Write rows back; owners ``N`` are dropped."""
    return jax.tree.map(lambda leaf, row: leaf.at[owners].set(row, mode="drop"), views, rows)


def count_entries(rows: View, sends: jax.Array) -> jax.Array:
    """Entries ``float32[]`` of all views that are sent, ``rows [C, N]`` and ``sends [C, M]``."""
    entries = jnp.sum(rows.counter >= 0, axis=1)
    return jnp.sum(entries * jnp.sum(sends, axis=1)).astype(jnp.float32)


def reached(members: jax.Array, sends: jax.Array, receivers: jax.Array) -> jax.Array:
    """Which of ``S`` senders to ``members [S, M]`` reach each of the receivers, ``bool[R, S]``."""
    hits = (members[None] == receivers[:, None, None]) & sends[None]
    return jnp.any(hits, axis=2) & (receivers >= 0)[:, None]


def per_agent(sample: Sample) -> Sample:
    """A sampler of ``(shards, agents)``: every agent draws from its own stream in any slot."""

    def drawn(key: Key, inputs: tuple[Any, jax.Array]) -> Any:
        def draw_one(agent: jax.Array) -> Any:
            # Samplers take the global id of their first agent; pyright knows no such keyword.
            batch = sample(key, shards_of(inputs[0], agent[None]), offset=agent)  # type: ignore[call-arg]
            return jax.tree.map(lambda leaf: leaf[0], batch)

        return jax.vmap(draw_one)(inputs[1])

    return drawn


def distinct(ids: jax.Array, capacity: int) -> tuple[jax.Array, jax.Array]:
    """First positions of the different ids (``-1`` is none), the most frequent ids first.

    Returns:
        ``(place int32[capacity], dropped int32[])``; ``-1`` in slots that are not needed.
    """
    same = ids[:, None] == ids[None, :]
    earlier = jnp.any(jnp.tril(same, -1), axis=1)
    first = (ids >= 0) & ~earlier
    rank = jnp.where(first, jnp.sum(same, axis=1) * len(ids) - jnp.arange(len(ids)), -1)
    room = min(capacity, len(ids))
    best, place = jax.lax.top_k(rank, room)
    place = jnp.where(best >= 0, place, -1).astype(jnp.int32)
    place = jnp.concatenate([place, jnp.full(capacity - room, -1, jnp.int32)])
    return place, jnp.maximum(jnp.sum(first) - capacity, 0).astype(jnp.int32)


def shards_of(shards: Shards, agents: jax.Array) -> Shards:
    """The shards of some agents."""
    return replace(
        shards,
        indices=shards.indices[agents],
        mask=shards.mask[agents],
        counts=shards.counts[agents],
    )
