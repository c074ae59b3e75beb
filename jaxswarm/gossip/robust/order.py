"""Robust rules by coordinate-wise order statistics: median and trimmed mean (BRIDGE).

Shapes: ``K`` in-neighbour slots, ``P`` parameters of one agent.

References:
    D. Yin et al., Byzantine-robust distributed learning: towards optimal statistical rates, 2018.
    C. Fang, Z. Yang, W. Bajwa, BRIDGE: Byzantine-resilient decentralized gradient descent, 2022. K.
    Batcher, Sorting networks and their applications, 1968 (merge exchange).
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.gossip.robust._neighborhoods import (
    Neighborhood,
    candidates,
    over_neighborhoods,
    require_majority,
)
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.topology import Topology

NETWORK_LIMIT = 32
"""Number of candidates up to which a sorting network is faster than a general sort."""


def median(topology: Topology, *, chunk: int | None = None) -> GossipTransformation:
    """Take the coordinate-wise median of the own and the received models.

    Stays within the range of the honest candidates of a neighbourhood as long as they are the
    majority. Bias without attackers: median instead of mean.

    Args:
        topology: the graph; a sequence is used cyclically.
        chunk: agents at a time, see :func:`over_neighborhoods`.
    """

    def aggregate(near: Neighborhood, state: Any) -> tuple[jax.Array, Any]:
        values, valid = candidates(near)
        count = jnp.sum(valid)
        return mean_of_ranks(values, valid, (count - 1) // 2, count // 2 + 1), state

    return over_neighborhoods(topology, aggregate, chunk=chunk)


def trimmed_mean(
    topology: Topology, num_byzantine: int | jax.Array, *, chunk: int | None = None
) -> GossipTransformation:
    """Average every coordinate without its ``b`` smallest and ``b`` largest values (trimmed mean).

    Stays within the range of the honest candidates if at most ``b`` of a neighbourhood's are
    Byzantine. ``b = 0`` is the plain uniform mean. With gradient steps between rounds it is BRIDGE.

    Args:
        topology: the graph; a sequence is used cyclically.
        num_byzantine: ``b``, Byzantine in-neighbours of one agent; may be traced. An agent with
            ``n <= 2 b`` candidates in a round (its own included) keeps its own.
        chunk: agents at a time, see :func:`over_neighborhoods`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> rule = trimmed_mean(topology.complete(5), num_byzantine=1)
        >>> x = jnp.array([1.0, 2.0, 3.0, 4.0, -50.0])[:, None]
        >>> y, _, _ = jax.jit(rule.mix)(jax.random.key(0), x, rule.init(x), gossip.Exchange(0))
        >>> y.ravel().tolist()
        [2.0, 2.0, 2.0, 2.0, 2.0]

    Raises:
        ValueError: if ``n > 2 b`` does not hold in every neighbourhood; the agent is named.
    """
    b = require_majority(topology, num_byzantine, "trimmed_mean", lambda b: 2 * b + 1, "n > 2 b")

    def aggregate(near: Neighborhood, state: Any) -> tuple[jax.Array, Any]:
        values, valid = candidates(near)
        count = jnp.sum(valid)
        trimmed = mean_of_ranks(values, valid, b, count - b)
        return jnp.where(count > 2 * b, trimmed, near.own), state

    return over_neighborhoods(topology, aggregate, chunk=chunk)


def mean_of_ranks(
    values: jax.Array, valid: jax.Array, first: jax.Array, stop: jax.Array
) -> jax.Array:
    """Average the ranks ``first <= r < stop`` of every column of ``values [M, P]``, to ``[P]``.

    Rows that are not ``valid`` rank last. No rank at all gives 0.
    """
    ordered = _sorted(jnp.where(valid[:, None], values, jnp.inf))
    share = 1.0 / jnp.maximum(stop - first, 1).astype(values.dtype)
    total = jnp.zeros(values.shape[1:], values.dtype)
    for rank, row in enumerate(ordered):
        counts = (rank >= first) & (rank < stop)
        total = total + jnp.where(counts, row, 0.0) * share
    return total


def _sorted(values: jax.Array) -> list[jax.Array]:
    """The rows of ``values [M, P]``, every column in ascending order."""
    if values.shape[0] > NETWORK_LIMIT:
        return list(jnp.sort(values, axis=0))
    row = list(values)
    for i, j in _comparators(len(row)):
        row[i], row[j] = jnp.minimum(row[i], row[j]), jnp.maximum(row[i], row[j])
    return row


def _comparators(size: int) -> list[tuple[int, int]]:
    """Batcher's merge exchange for any number of items."""
    pairs = []
    top = 1 << max((size - 1).bit_length() - 1, 0)
    p = top if size > 1 else 0
    while p > 0:
        q, r, d = top, 0, p
        while True:
            pairs += [(i, i + d) for i in range(size - d) if i & p == r]
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    return pairs
