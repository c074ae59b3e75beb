"""JOIN and LEAVE announcements, and the delay of a JOIN until its receiver has sent a model.

A JOIN goes to ``s`` random agents that the joining agent knows. They hold it back until their next
model was sent, so that a joiner is not in a sample which others have already derived. A LEAVE takes
effect at once.

Shapes: ``N`` agents, ``J`` announcements of a round, ``s`` receivers of each.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.systems.modest.sampling import pair_priorities
from jaxswarm.systems.modest.views import View, empty_view, merge_views
from jaxswarm.types import Key

MOST = 64
"""Announcements of one round, ``J``; more are lost, and counted."""


class Announced(NamedTuple):
    """Views after the announcements of a round.

    Attributes:
        views: ``[N, N]``, with every LEAVE that arrived and the announcers' own new counters.
        pending: ``[N, N]``, with every JOIN that arrived.
        messages: ``float32[]``, number sent, whether they arrive or not.
        lost: ``int32[]``, announcements beyond ``MOST``.
    """

    views: View
    pending: View
    messages: jax.Array
    lost: jax.Array


def announce(
    key: Key,
    views: View,
    pending: View,
    joins: jax.Array,
    leaves: jax.Array,
    online: jax.Array,
    fanout: int,
) -> Announced:
    """Send announcements to ``fanout`` random agents of the announcer's own view.

    Receivers that are offline do not get them.

    Args:
        key: consumed; an agent's receivers depend on it and on ids alone.
        views: ``[N, N]``.
        pending: ``[N, N]``.
        joins: ``bool[N]``, agents that announce a JOIN.
        leaves: ``bool[N]``, agents that announce a LEAVE.
        online: ``bool[N]``.
        fanout: ``s``, static.
    """
    n = online.shape[0]
    room = min(n, MOST)
    announces = joins | leaves
    (slots,) = jnp.nonzero(announces, size=room, fill_value=n)
    exists = slots < n
    agent = jnp.minimum(slots, n - 1)
    own = jax.tree.map(lambda leaf: leaf[agent], views)  # [J, N]
    known = own.joined & (jnp.arange(n)[None, :] != agent[:, None]) & exists[:, None]
    priority = jnp.where(known, pair_priorities(key, agent, jnp.arange(n)), -1)
    drawn, receiver = jax.lax.top_k(priority, min(fanout, n))  # [J, s]
    sent = drawn >= 0
    arrived = sent & online[receiver]
    number = own.counter[jnp.arange(room), agent] + 1
    is_join = joins[agent] & ~leaves[agent]
    # The round of a JOIN: the latest that its sender or its receiver knows of.
    latest = jnp.maximum(
        jnp.max(views.last_active[receiver], axis=2), jnp.max(own.last_active, axis=1)[:, None]
    )
    numbers = jnp.broadcast_to(number[:, None], receiver.shape)
    numbers = jnp.concatenate([numbers, number[:, None]], axis=1)
    rounds = jnp.concatenate([latest, jnp.full((room, 1), -1, jnp.int32)], axis=1)
    places = jnp.concatenate([receiver, agent[:, None]], axis=1)
    itself = exists[:, None]
    delayed_at = jnp.concatenate([arrived & is_join[:, None], itself & False], axis=1)
    now_at = jnp.concatenate([arrived & ~is_join[:, None], itself], axis=1)

    def updated(target: View, at: jax.Array, rounds: jax.Array) -> View:
        """``target`` after the events; no two announcements concern the same entry."""
        row, column = jnp.where(at, places, n), jnp.broadcast_to(agent[:, None], places.shape)
        old = jax.tree.map(lambda leaf: leaf[jnp.minimum(row, n - 1), column], target)
        event = View(rounds, numbers, jnp.broadcast_to(is_join[:, None], places.shape))
        return jax.tree.map(
            lambda leaf, new: leaf.at[row, column].set(new, mode="drop"),
            target,
            merge_views(old, event),
        )

    return Announced(
        views=updated(views, now_at, jnp.full_like(rounds, -1)),
        pending=updated(pending, delayed_at, rounds),
        messages=jnp.sum(sent).astype(jnp.float32),
        lost=jnp.maximum(jnp.sum(announces) - room, 0).astype(jnp.int32),
    )


def flush(views: View, pending: View, senders: jax.Array) -> tuple[View, View]:
    """Merge the pending JOINs of agents that sent a model into their views.

    Args:
        views: ``[N, N]``.
        pending: ``[N, N]``.
        senders: ``int32[A]``; ``N`` is ignored.

    Returns:
        ``(views, pending)``; the senders have no pending JOINs left.
    """
    n = views.joined.shape[0]
    at = jnp.minimum(senders, n - 1)
    rows = merge_views(*(jax.tree.map(lambda leaf: leaf[at], v) for v in (views, pending)))

    def put(target: View, rows: View) -> View:
        return jax.tree.map(lambda leaf, row: leaf.at[senders].set(row, mode="drop"), target, rows)

    return put(views, rows), put(pending, empty_view(len(senders), n))
