"""Membership views: what each node believes of every other, and how beliefs merge.

A view maps a node to the last round it was seen active and to its latest membership event, a
counter with JOIN or LEAVE. Merging takes the larger of each, node by node: a join-semilattice
(commutative, associative, idempotent), so that views agree whatever way they travelled.

Shapes: ``N`` nodes; a view of one owner is a row of each array.

References:
    M. de Vos, S. Farhadkhani, R. Guerraoui, A.-M. Kermarrec, R. Pires, R. Sharma, Decentralized
    learning made easy with decentralized client sampling (MoDeST), 2023. M. Shapiro et al.,
    Conflict-free replicated data types, 2011.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LARGEST = 4096
"""Nodes beyond which all views together (three ``N × N`` arrays) are refused."""

ENTRY_BYTES = 13
"""One entry on the wire: id, last active round, counter (4 each) and the event (1)."""


class View(NamedTuple):
    """Rows of views, leaves ``[..., N]``.

    Attributes:
        last_active: ``int32``, ``-1`` for a node never heard of.
        counter: ``int32``, number of the node's latest membership event.
        joined: ``bool``, whether that event was a JOIN.
    """

    last_active: jax.Array
    counter: jax.Array
    joined: jax.Array


def everyone_known(num_nodes: int, present: jax.Array | None = None) -> View:
    """All views ``[N, N]`` at the start: those present know each other, the rest only themselves.

    Raises:
        ValueError: if there are fewer than two nodes or more than ``LARGEST``.
    """
    if num_nodes < 2:
        raise ValueError(f"num_nodes: expected at least 2, got {num_nodes}")
    if num_nodes > LARGEST:
        raise ValueError(
            f"num_nodes: views of all nodes take N² entries, expected at most {LARGEST}, got "
            f"{num_nodes}; simulate a smaller network"
        )
    there = jnp.ones(num_nodes, bool) if present is None else jnp.asarray(present)
    known = (there[:, None] & there[None, :]) | jnp.eye(num_nodes, dtype=bool)
    zero = jnp.zeros((num_nodes, num_nodes), jnp.int32)
    return View(jnp.where(known, zero, -1), zero, known)


def merge_views(one: View, other: View) -> View:
    """The least view that knows all that either knows; a LEAVE wins over a JOIN of one counter."""
    later = other.counter > one.counter
    same = other.counter == one.counter
    unheard, unheard_too = one.last_active < 0, other.last_active < 0
    both = jnp.where(unheard, other.joined, jnp.where(unheard_too, one.joined,
                     one.joined & other.joined))  # fmt: skip
    return View(
        jnp.maximum(one.last_active, other.last_active),
        jnp.maximum(one.counter, other.counter),
        jnp.where(later, other.joined, jnp.where(same, both, one.joined)),
    )


def merge_all(views: View, counted: jax.Array) -> View:
    """The merge of those rows ``[C, N]`` that are ``counted``, one row ``[N]``."""
    nothing = View(
        jnp.full(views.last_active.shape[1:], -1, jnp.int32),
        jnp.zeros(views.counter.shape[1:], jnp.int32),
        jnp.zeros(views.joined.shape[1:], bool),
    )

    def fold(carry: View, slot: tuple[View, jax.Array]) -> tuple[View, None]:
        row, counts = slot
        merged = merge_views(carry, row)
        return jax.tree.map(lambda a, b: jnp.where(counts, a, b), merged, carry), None

    return jax.lax.scan(fold, nothing, (views, counted))[0]


def candidates(view: View, own: jax.Array, round: jax.Array, inactivity: int) -> jax.Array:
    """``bool[N]``: who may be sampled in ``round`` in the eyes of node ``own``.

    Joined and active within the last ``inactivity`` rounds; oneself always.
    """
    recent = (view.last_active >= 0) & (view.last_active >= round - inactivity)
    return (view.joined & recent) | (jnp.arange(view.joined.shape[-1]) == own)


def check_view(view: View, before: View | None = None) -> None:
    """Refuse views in which a node does not know itself, or whose counters went backwards.

    Raises:
        ValueError: naming the node.
    """
    last, counter = np.asarray(view.last_active), np.asarray(view.counter)
    n = last.shape[-1]
    if last.shape != (n, n):
        raise ValueError(f"view: expected arrays [N, N], got {last.shape}")
    own = np.diagonal(last)
    if (own < 0).any():
        raise ValueError(f"view: node {int(np.argmin(own))} is absent from its own view")
    if before is not None and (counter < np.asarray(before.counter)).any():
        owner = int(np.argwhere(counter < np.asarray(before.counter))[0, 0])
        raise ValueError(f"view: a counter in the view of node {owner} went backwards")
