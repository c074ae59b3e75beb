"""Sets to which replicas add and from which they remove: an addition wins over a removal.

References:
    A. Bieniusa et al., An optimized conflict-free replicated set, 2012 (dots instead of
    tombstones).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.network.crdt._counters import replica_index
from jaxswarm.types import ArrayLike


class Dots(NamedTuple):
    """State of a set of ``K`` possible elements on one of ``R`` replicas.

    Attributes:
        seen: ``uint32[R]``, version vector: additions seen of each replica.
        dots: ``uint32[K, R]``, number of the addition of each element by each replica that is still
            in force; 0 for none.
    """

    seen: jax.Array
    dots: jax.Array


class ORSet(NamedTuple):
    """Functions of a replicated set.

    Attributes:
        init: ``init() -> state`` of one replica.
        merge: ``merge(state, other) -> state``.
        read: ``read(state) -> bool[K]``, which elements are in the set.
        version: ``version(state)``, the part that tells what a replica has seen.
        add: ``add(state, element, replica) -> state``, called at that replica alone.
        remove: ``remove(state, element) -> state``: removes the additions seen so far, not those
            that happen elsewhere at the same time.
    """

    init: Callable[[], Dots]
    merge: Callable[[Dots, Dots], Dots]
    read: Callable[[Dots], jax.Array]
    version: Callable[[Dots], jax.Array]
    add: Callable[..., Dots]
    remove: Callable[..., Dots]


def or_set(num_elements: int, num_replicas: int) -> ORSet:
    """Make an observed-remove set without tombstones.

    Args:
        num_elements: ``K``, elements are numbers ``0 … K - 1``.
        num_replicas: ``R``, replicas that may add.

    Raises:
        ValueError: fewer than one element or replica; in ``add`` and ``remove``, numbers out of
            range.

    Example:
        >>> from jaxswarm.network import crdt
        >>> kind = crdt.or_set(3, num_replicas=2)
        >>> here = kind.add(kind.init(), 2, replica=0)
        >>> there = kind.add(kind.remove(here, 2), 2, replica=1)  # removed, and added again
        >>> kind.read(kind.merge(kind.remove(here, 2), there)).tolist()
        [False, False, True]
    """
    elements = checks.whole("num_elements", num_elements, 1)
    replicas = checks.whole("num_replicas", num_replicas, 1)

    def element_index(element: ArrayLike) -> jax.Array:
        return jnp.asarray(checks.wholes("element", element, 0, elements - 1, shape=()))

    def add(state: Dots, element: ArrayLike, replica: ArrayLike) -> Dots:
        at, by = element_index(element), replica_index(replica, replicas)
        seen = state.seen.at[by].add(jnp.uint32(1))
        own = jnp.where(jnp.arange(replicas) == by, seen[by], jnp.uint32(0))
        return Dots(seen, state.dots.at[at].set(own))

    def remove(state: Dots, element: ArrayLike) -> Dots:
        return state._replace(dots=state.dots.at[element_index(element)].set(jnp.uint32(0)))

    def merge(state: Dots, other: Dots) -> Dots:
        # An addition is in force if both hold it, or one does and the other has not seen it yet.
        new_here = state.dots > other.seen[None, :]
        new_there = other.dots > state.seen[None, :]
        both = jnp.where(state.dots == other.dots, state.dots, jnp.uint32(0))
        kept = jnp.maximum(
            jnp.where(new_here, state.dots, jnp.uint32(0)),
            jnp.where(new_there, other.dots, jnp.uint32(0)),
        )
        return Dots(jnp.maximum(state.seen, other.seen), jnp.maximum(both, kept))

    return ORSet(
        lambda: Dots(jnp.zeros(replicas, jnp.uint32), jnp.zeros((elements, replicas), jnp.uint32)),
        merge,
        lambda state: jnp.any(state.dots > 0, axis=1),
        lambda state: state.seen,
        add,
        remove,
    )
