"""Membership views: each agent's knowledge of every other, and how views merge.

A view maps an agent to the last round in which it was active and to its latest membership event, a
counter with JOIN or LEAVE. Merging takes the later of each, agent by agent; a LEAVE counts as later
than a JOIN of the same counter. That is a join-semilattice (commutative, associative, idempotent),
so views agree in whatever order they are merged.

Shapes: ``N`` agents; a view of one owner is a row of each array.

References:
    M. de Vos, S. Farhadkhani, R. Guerraoui, A.-M. Kermarrec, R. Pires, R. Sharma, Decentralized
    learning made easy with decentralized client sampling (MoDeST), 2023. M. Shapiro et al.,
    Conflict-free replicated data types, 2011.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxswarm import checks

LARGEST = 4096
"""Agents beyond which all views together (six ``N × N`` arrays) are refused."""

ENTRY_BYTES = 13
"""One entry on the wire: id, last active round, counter (4 each) and the event (1)."""


class View(NamedTuple):
    """Rows of views, leaves ``[..., N]``.

    Attributes:
        last_active: ``int32``, ``-1`` for an unknown agent.
        counter: ``int32``, number of the agent's latest membership event, ``-1`` if none is known.
        joined: ``bool``, whether that event was a JOIN.
    """

    last_active: jax.Array
    counter: jax.Array
    joined: jax.Array


def initial_views(num_agents: int, present: ArrayLike | None = None) -> View:
    """Views ``[N, N]`` of all agents at the start: all present agents are known, and oneself.

    Agents that are not present yet know the others too (from a public list), so that they can send
    their announcement.

    Args:
        num_agents: ``N``.
        present: ``bool[N]``; all if omitted.

    Raises:
        ValueError: if there are fewer than two agents or more than ``LARGEST``, or ``present`` is
            not ``bool[N]``.
    """
    num_agents = checks.whole("num_agents", num_agents, 2)
    if num_agents > LARGEST:
        raise ValueError(
            f"num_agents: views of all agents take N² entries, expected at most {LARGEST}, got "
            f"{num_agents}; simulate a smaller network"
        )
    known = check_present(num_agents, present)[None, :] | jnp.eye(num_agents, dtype=bool)
    number = jnp.where(known, 0, -1).astype(jnp.int32)
    return View(number, number, known)


def check_present(num_agents: int, present: ArrayLike | None) -> jax.Array:
    """Validate ``present`` and return ``bool[N]``, all true if it is ``None``.

    Raises:
        ValueError: if ``present`` is not ``bool[N]``.
    """
    if present is None:
        return jnp.ones(num_agents, bool)
    return jnp.asarray(checks.mask("present", present, (num_agents,)))


def empty_view(*shape: int) -> View:
    """A view without any known agent, the neutral element of merging."""
    never = jnp.full(shape, -1, jnp.int32)
    return View(never, never, jnp.zeros(shape, bool))


def merge_views(one: View, other: View) -> View:
    """Merge two views: the later entry of each agent; a LEAVE wins over a JOIN of one counter."""
    later, same = other.counter > one.counter, other.counter == one.counter
    return View(
        jnp.maximum(one.last_active, other.last_active),
        jnp.maximum(one.counter, other.counter),
        jnp.where(later, other.joined, one.joined & (other.joined | ~same)),
    )


def merge_all(views: View, counted: jax.Array) -> View:
    """Merge those rows ``[C, N]`` that are ``counted: bool[C]`` into one row ``[N]``."""

    def only_counted(leaf: jax.Array) -> jax.Array:
        return jnp.where(counted[:, None], leaf, -1)

    last_active = jnp.max(only_counted(views.last_active), axis=0)
    event = jnp.where(views.counter < 0, -1, 2 * views.counter + ~views.joined)
    latest = jnp.max(only_counted(event), axis=0)
    return View(last_active, latest >> 1, (latest >= 0) & (latest % 2 == 0))


def candidates(
    view: View, own: ArrayLike, round: int | jax.Array, inactivity: int | jax.Array
) -> jax.Array:
    """Agents ``bool[N]`` that may be sampled in ``round`` by the view of agent ``own``.

    Those that joined and were active within the last ``inactivity`` rounds, and always itself.
    """
    recent = (view.last_active >= 0) & (view.last_active >= round - inactivity)
    return (view.joined & recent) | (jnp.arange(view.joined.shape[-1]) == own)


def check_view(view: View, before: View | None = None) -> None:
    """Refuse views in which an agent does not know itself, or whose counters went backwards.

    Raises:
        ValueError: naming the agent.
    """
    for name, value in (("view", view), ("before", before)):
        if value is not None or name == "view":
            checks.concrete(name, checks.instance(name, value, View, "initial_views(8)"))
    last, counter = np.asarray(view.last_active), np.asarray(view.counter)
    n = last.shape[-1]
    if last.shape != (n, n):
        raise ValueError(f"view: expected arrays [N, N], got {last.shape}")
    own = np.diagonal(last)
    if (own < 0).any():
        raise ValueError(f"view: agent {int(np.argmin(own))} is absent from its own view")
    if before is not None and (counter < np.asarray(before.counter)).any():
        owner = int(np.argwhere(counter < np.asarray(before.counter))[0, 0])
        raise ValueError(f"view: a counter in the view of agent {owner} went backwards")
