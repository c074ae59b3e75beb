"""Clocks of replicated data: hybrid logical clocks and version vectors.

References:
    S. Kulkarni et al., Logical physical clocks and consistent snapshots in globally distributed
    databases, 2014 (hybrid logical clocks).
    D. S. Parker et al., Detection of mutual inconsistency in distributed systems, 1983 (version
    vectors).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import ArrayLike

EQUAL, BEFORE, AFTER, CONCURRENT = range(4)
"""Outcomes of :func:`compare_versions`."""


class Clock(NamedTuple):
    """Hybrid logical clock of one replica, ordered by ``(wall, logical)``.

    Attributes:
        wall: ``int32[]``, largest wall time known, in whatever unit wall times have.
        logical: ``int32[]``, number of events at that wall time.
    """

    wall: jax.Array
    logical: jax.Array


def clock() -> Clock:
    """A clock at time 0."""
    return Clock(jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def tick(own: Clock, wall: ArrayLike) -> Clock:
    """Advance a clock for an event of its own replica.

    The result is after ``own`` even when the wall clock stands still or goes backwards.

    Args:
        own: before the event.
        wall: ``int32[]``, the replica's wall time, at least 0; may be traced.

    Raises:
        ValueError: if this is no clock, or a wall time below 0.

    Example:
        >>> from jaxswarm.network import crdt
        >>> first = crdt.tick(crdt.clock(), 7)
        >>> crdt.tick(first, 5)  # a wall clock that was set back
        Clock(wall=Array(7, dtype=int32), logical=Array(1, dtype=int32))
    """
    checks.instance("own", own, Clock, "crdt.clock()")
    time = _wall(wall)
    ahead = time > own.wall
    return Clock(jnp.maximum(own.wall, time), jnp.where(ahead, 0, own.logical + 1))


def receive(
    own: Clock, sent: Clock, wall: ArrayLike, *, bound: ArrayLike | None = None
) -> tuple[Clock, jax.Array]:
    """Advance a clock on receipt of a message with a clock of its own.

    Args:
        own: the receiver's clock.
        sent: the message's.
        wall: ``int32[]``, the receiver's wall time, at least 0; may be traced.
        bound: largest accepted distance of the message's wall time into the receiver's future; all
            are accepted if omitted.

    Returns:
        The new clock, and ``bool[]``, whether the message was accepted. A message dated further
        into the future leaves the clock as it was.

    Raises:
        ValueError: if an argument is no clock, or a time is below 0.
    """
    checks.instance("own", own, Clock, "crdt.clock()")
    checks.instance("sent", sent, Clock, "crdt.clock()")
    time = _wall(wall)
    accepted = jnp.ones((), bool)
    if bound is not None:
        accepted = sent.wall - time <= jnp.asarray(checks.wholes("bound", bound, shape=()))
    latest = jnp.maximum(jnp.maximum(own.wall, sent.wall), time)
    of_own = jnp.where(own.wall == latest, own.logical, -1)
    of_sent = jnp.where(sent.wall == latest, sent.logical, -1)
    new = Clock(latest, jnp.maximum(of_own, of_sent) + 1)
    return jax.tree.map(lambda x, y: jnp.where(accepted, x, y), new, own), accepted


def compare_versions(first: ArrayLike, second: ArrayLike) -> jax.Array:
    """Compare two version vectors.

    Args:
        first: ``uint32[..., R]``, number of events seen of each of ``R`` replicas.
        second: like ``first``.

    Returns:
        ``int32[...]``: :data:`EQUAL`, :data:`BEFORE` (``first`` has seen less), :data:`AFTER` or
        :data:`CONCURRENT`.

    Raises:
        ValueError: if the shapes differ or have no axis.

    Example:
        >>> import numpy as np
        >>> from jaxswarm.network import crdt
        >>> int(crdt.compare_versions(np.array([2, 0]), np.array([1, 3]))) == crdt.CONCURRENT
        True
    """
    one, other = checks.wholes("first", first), checks.wholes("second", second)
    if one.shape != other.shape or not one.ndim:
        raise ValueError(
            f"second: expected the shape {one.shape} of first with an axis of replicas, got "
            f"{other.shape}"
        )
    less = jnp.any(jnp.asarray(one) < other, axis=-1)
    more = jnp.any(jnp.asarray(one) > other, axis=-1)
    return less.astype(jnp.int32) + 2 * more.astype(jnp.int32)


def _wall(value: ArrayLike) -> jax.Array:
    return jnp.asarray(checks.wholes("wall", value, shape=()), jnp.int32)
