"""Counters that replicas count on independently: growing only, and up and down.

References:
    M. Shapiro, N. Preguiça, C. Baquero, M. Zawirski, Conflict-free replicated data types, 2011.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike


class Counter(NamedTuple):
    """Functions of a replicated counter.

    Attributes:
        init: ``init() -> state`` of one replica.
        merge: ``merge(state, other) -> state``.
        read: ``read(state) -> int32[]``, the count.
        version: ``version(state)``, the part that tells what a replica has seen.
        add: ``add(state, replica, amount=1) -> state``, called at that replica alone.
    """

    init: Callable[[], Any]
    merge: Callable[[Any, Any], Any]
    read: Callable[[Any], jax.Array]
    version: Callable[[Any], Any]
    add: Callable[..., Any]


class Tallies(NamedTuple):
    """State of a counter that goes up and down.

    Attributes:
        up: ``uint32[R]``, sum of the positive amounts of each replica.
        down: ``uint32[R]``, of the negative ones.
    """

    up: jax.Array
    down: jax.Array


def g_counter(num_replicas: int) -> Counter:
    """Make a counter that only grows.

    Args:
        num_replicas: ``R``, replicas that may count; the state is ``uint32[R]``.

    Raises:
        ValueError: fewer than one replica; in ``add``, an unknown replica or a negative amount.

    Example:
        >>> from jaxswarm.network import crdt
        >>> counter = crdt.g_counter(2)
        >>> here, there = counter.add(counter.init(), 0, 3), counter.add(counter.init(), 1)
        >>> int(counter.read(counter.merge(here, there)))
        4
    """
    count = checks.whole("num_replicas", num_replicas, 1)

    def add(state: jax.Array, replica: ArrayLike, amount: ArrayLike = 1) -> jax.Array:
        at = replica_index(replica, count)
        amount = jnp.asarray(checks.wholes("amount", amount, shape=()))
        return state.at[at].add(amount.astype(jnp.uint32))

    return Counter(
        lambda: jnp.zeros(count, jnp.uint32),
        jnp.maximum,
        lambda state: jnp.sum(state).astype(jnp.int32),
        lambda state: state,
        add,
    )


def pn_counter(num_replicas: int) -> Counter:
    """Make a counter that goes up and down: two growing ones.

    Args:
        num_replicas: ``R``; the state is a :class:`Tallies`.

    Raises:
        ValueError: fewer than one replica; in ``add``, an unknown replica.

    Example:
        >>> from jaxswarm.network import crdt
        >>> counter = crdt.pn_counter(2)
        >>> int(counter.read(counter.add(counter.init(), 1, -5)))
        -5
    """
    count = checks.whole("num_replicas", num_replicas, 1)

    def add(state: Tallies, replica: ArrayLike, amount: ArrayLike = 1) -> Tallies:
        at = replica_index(replica, count)
        amount = jnp.asarray(checks.wholes("amount", amount, -checks.LARGEST, shape=()))
        up, down = jnp.maximum(amount, 0), jnp.maximum(-amount, 0)
        return Tallies(
            state.up.at[at].add(up.astype(jnp.uint32)),
            state.down.at[at].add(down.astype(jnp.uint32)),
        )

    def merge(state: Tallies, other: Tallies) -> Tallies:
        return Tallies(jnp.maximum(state.up, other.up), jnp.maximum(state.down, other.down))

    return Counter(
        lambda: Tallies(jnp.zeros(count, jnp.uint32), jnp.zeros(count, jnp.uint32)),
        merge,
        lambda state: (jnp.sum(state.up) - jnp.sum(state.down)).astype(jnp.int32),
        lambda state: state,
        add,
    )


def replica_index(replica: ArrayLike, count: int) -> jax.Array:
    """A replica's number in ``0 … count - 1``, possibly traced."""
    return jnp.asarray(checks.wholes("replica", replica, 0, count - 1, shape=()))
