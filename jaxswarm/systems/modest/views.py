"""Membership views: what each node believes of every other, and how beliefs merge.

A view maps a node to the last round it was seen active and to its latest membership event, a
counter with JOIN or LEAVE. Merging takes the later of each, node by node; a LEAVE counts as later
than a JOIN of the same counter. That is a join-semilattice (commutative, associative, idempotent),
so views agree whatever way they travelled.

Shapes: ``N`` nodes; a view of one owner is a row of each array.

References:
    M. de Vos, S. Farhadkhani, R. Guerraoui, A.-M. Kermarrec, R. Pires, R. Sharma, Decentralized
    learning made easy with decentralized client sampling (MoDeST), 2023. M. Shapiro et al.,
    Conflict-free replicated data types, 2011.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

LARGEST = 4096
"""Nodes beyond which all views together (six ``N × N`` arrays) are refused."""

ENTRY_BYTES = 13
"""One entry on the wire: id, last active round, counter (4 each) and the event (1)."""


class View(NamedTuple):
    """Rows of views, leaves ``[..., N]``.

    Attributes:
        last_active: ``int32``, ``-1`` for a node never heard of.
        counter: ``int32``, number of the node's latest membership event, ``-1`` if none is known.
        joined: ``bool``, whether that event was a JOIN.
    """

    last_active: jax.Array
    counter: jax.Array
    joined: jax.Array


def everyone_known(num_nodes: int, present: Any = None) -> View:
    """All views ``[N, N]`` at the start: everybody knows those present, the rest also themselves.

    Those not yet present know the others from a public list, to whom they can announce themselves.

    Args:
        num_nodes: ``N``.
        present: ``bool[N]``; everyone if omitted.

    Raises:
        ValueError: if there are fewer than two nodes or more than ``LARGEST``, or ``present`` is
            not ``bool[N]``.
    """
    if num_nodes < 2:
        raise ValueError(f"num_nodes: expected at least 2, got {num_nodes}")
    if num_nodes > LARGEST:
        raise ValueError(
            f"num_nodes: views of all nodes take N² entries, expected at most {LARGEST}, got "
            f"{num_nodes}; simulate a smaller network"
        )
    there = check_present(num_nodes, present)
    known = there[None, :] | jnp.eye(num_nodes, dtype=bool)
    number = jnp.where(known, 0, -1).astype(jnp.int32)
    return View(number, number, known)


def check_present(num_nodes: int, present: Any) -> jax.Array:
    """``bool[N]``: who is there at the start.

    Raises:
        ValueError: if ``present`` is not ``bool[N]``.
    """
    there = jnp.ones(num_nodes, bool) if present is None else jnp.asarray(present)
    if there.shape != (num_nodes,) or there.dtype != bool:
        raise ValueError(
            f"present: expected bool[{num_nodes}], got {there.dtype}{list(there.shape)}"
        )
    return there


def nothing_known(*shape: int) -> View:
    """The view of somebody who has heard of nobody, the neutral element of merging."""
    never = jnp.full(shape, -1, jnp.int32)
    return View(never, never, jnp.zeros(shape, bool))


def merge_views(one: View, other: View) -> View:
    """The least view that knows all that either knows; a LEAVE wins over a JOIN of one counter."""
    later, same = other.counter > one.counter, other.counter == one.counter
    return View(
        jnp.maximum(one.last_active, other.last_active),
        jnp.maximum(one.counter, other.counter),
        jnp.where(later, other.joined, one.joined & (other.joined | ~same)),
    )


def merge_all(views: View, counted: jax.Array) -> View:
    """The merge of those rows ``[C, N]`` that are ``counted: bool[C]``, one row ``[N]``."""
    heard = lambda leaf: jnp.where(counted[:, None], leaf, -1)  # noqa: E731
    last_active = jnp.max(heard(views.last_active), axis=0)
    event = jnp.where(views.counter < 0, -1, 2 * views.counter + ~views.joined)
    latest = jnp.max(heard(event), axis=0)
    return View(last_active, latest >> 1, (latest >= 0) & (latest % 2 == 0))


def candidates(view: View, own: jax.Array, round: Any, inactivity: Any) -> jax.Array:
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
