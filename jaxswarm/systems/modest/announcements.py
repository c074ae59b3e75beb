"""JOIN and LEAVE on the wire, and how a JOIN is held back.

A JOIN goes to ``s`` random nodes that the joiner knows. They hold it until their next model went
out, so that a joiner is not in a sample which others have already derived. A LEAVE counts at once.

Shapes: ``N`` nodes, ``J`` announcements of a round, ``s`` receivers of each.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.systems.modest.sampling import pair_lots
from jaxswarm.systems.modest.views import View, merge_views, nothing_known

MOST = 64
"""Announcements of one round, ``J``; more are lost, and counted."""


class Announced(NamedTuple):
    """What the announcements of a round change.

    Attributes:
        views: ``[N, N]``, with every LEAVE that arrived and the announcers' own new counters.
        pending: ``[N, N]``, with every JOIN that arrived.
        messages: ``float32[]``, sent, whether they arrive or not.
        lost: ``int32[]``, announcements beyond ``MOST``.
    """

    views: View
    pending: View
    messages: jax.Array
    lost: jax.Array


def announce(
    key: jax.Array,
    views: View,
    pending: View,
    joins: jax.Array,
    leaves: jax.Array,
    online: jax.Array,
    fanout: int,
) -> Announced:
    """Tell ``fanout`` random nodes of the announcer's own view; those offline do not hear it.

    Args:
        key: consumed; a node's receivers depend on it and on ids alone.
        views: ``[N, N]``.
        pending: ``[N, N]``.
        joins: ``bool[N]``.
        leaves: ``bool[N]``.
        online: ``bool[N]``.
        fanout: ``s``, static.
    """
    n = online.shape[0]
    room = min(n, MOST)
    speaks = joins | leaves
    (who,) = jnp.nonzero(speaks, size=room, fill_value=n)
    me = jnp.minimum(who, n - 1)
    own = jax.tree.map(lambda leaf: leaf[me], views)  # [J, N]
    known = own.joined & (jnp.arange(n)[None, :] != me[:, None]) & (who < n)[:, None]
    lots = pair_lots(key, me, jnp.arange(n))
    drawn, told = jax.lax.top_k(jnp.where(known, lots, -1), min(fanout, n))  # [J, s]
    sent = drawn >= 0
    heard = sent & online[told]
    number = own.counter[jnp.arange(room), me] + 1
    stays = joins[me] & ~leaves[me]
    # The round of a JOIN: the latest that the one or the other has heard of.
    latest = jnp.maximum(
        jnp.max(views.last_active[told], axis=2), jnp.max(own.last_active, axis=1)[:, None]
    )
    numbers = jnp.broadcast_to(number[:, None], told.shape)
    numbers = jnp.concatenate([numbers, number[:, None]], axis=1)
    rounds = jnp.concatenate([latest, jnp.full((room, 1), -1, jnp.int32)], axis=1)
    places = jnp.concatenate([told, me[:, None]], axis=1)
    itself = (who < n)[:, None]
    joined_at = jnp.concatenate([heard & stays[:, None], itself & False], axis=1)
    now_at = jnp.concatenate([heard & ~stays[:, None], itself], axis=1)

    def hear(beliefs: View, at: jax.Array, rounds: jax.Array) -> View:
        """``beliefs`` after the news; no two announcements concern the same entry."""
        row, column = jnp.where(at, places, n), jnp.broadcast_to(me[:, None], places.shape)
        old = jax.tree.map(lambda leaf: leaf[jnp.minimum(row, n - 1), column], beliefs)
        event = View(rounds, numbers, jnp.broadcast_to(stays[:, None], places.shape))
        put = lambda leaf, new: leaf.at[row, column].set(new, mode="drop")  # noqa: E731
        return jax.tree.map(put, beliefs, merge_views(old, event))

    return Announced(
        hear(views, now_at, jnp.full_like(rounds, -1)),
        hear(pending, joined_at, rounds),
        jnp.sum(sent).astype(jnp.float32),
        jnp.maximum(jnp.sum(speaks) - room, 0).astype(jnp.int32),
    )


def flush(views: View, pending: View, spoke: jax.Array) -> tuple[View, View]:
    """Those who sent a model, ``spoke: int32[A]`` (``N`` is nobody), take up what they held."""
    n = views.joined.shape[0]
    at = jnp.minimum(spoke, n - 1)
    rows = merge_views(*(jax.tree.map(lambda leaf: leaf[at], v) for v in (views, pending)))

    def put(all: View, rows: View) -> View:
        return jax.tree.map(lambda leaf, row: leaf.at[spoke].set(row, mode="drop"), all, rows)

    return put(views, rows), put(pending, nothing_known(len(spoke), n))
