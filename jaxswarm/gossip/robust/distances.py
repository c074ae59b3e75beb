"""Robust rules by distances between models: Krum, multi-Krum, the geometric median.

Shapes: ``K`` in-neighbour slots, ``M = K + 1`` candidates, ``P`` parameters of one agent.

References:
    P. Blanchard et al., Machine learning with adversaries: Byzantine tolerant gradient descent,
    2017 (Krum, multi-Krum). K. Pillutla, S. Kakade, Z. Harchaoui, Robust aggregation for federated
    learning, 2022 (smoothed Weiszfeld).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.checks import is_traced
from jaxswarm.gossip.robust._neighborhoods import (
    Neighborhood,
    candidates,
    over_neighborhoods,
    require_majority,
)
from jaxswarm.gossip.robust.order import mean_of_ranks
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.topology import Topology, degrees

UNROLLED = 33
"""Number of candidates up to which the distances are a sum for each shift of the rows."""


def krum(
    topology: Topology, num_byzantine: int | jax.Array, *, chunk: int | None = None
) -> GossipTransformation:
    """Adopt the one model, own included, closest to its ``n − b − 2`` closest others (Krum).

    Without attackers it is still one model, not the mean; non-IID agents lose most by it.

    Args:
        topology: the graph; a sequence is used cyclically.
        num_byzantine: ``b``, Byzantine in-neighbours of one agent; may be traced. An agent with
            ``n < b + 3`` candidates in a round (its own included) keeps its own.
        chunk: agents at a time, see :func:`over_neighborhoods`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> rule = krum(topology.complete(5), num_byzantine=1)
        >>> x = jnp.array([1.0, 2.0, 3.0, 5.0, -50.0])[:, None]
        >>> y, _, _ = jax.jit(rule.mix)(jax.random.key(0), x, rule.init(x), gossip.Exchange(0))
        >>> y[:4].ravel().tolist()
        [2.0, 2.0, 2.0, 2.0]

    Raises:
        ValueError: if ``n − b − 2 >= 1`` does not hold in every neighbourhood; the agent is named.
    """
    return multi_krum(topology, num_byzantine, 1, chunk=chunk)


def multi_krum(
    topology: Topology,
    num_byzantine: int | jax.Array,
    num_chosen: int | jax.Array | None = None,
    *,
    chunk: int | None = None,
) -> GossipTransformation:
    """Average the ``m`` models with the best Krum scores (multi-Krum).

    With ``b = 0`` and the default ``m`` it is the plain uniform mean.

    Args:
        topology: the graph; a sequence is used cyclically.
        num_byzantine: as for :func:`krum`.
        num_chosen: ``m``, from 1 to the size of the largest neighbourhood; may be traced; ``n − b``
            if omitted, and never more.
        chunk: agents at a time, see :func:`over_neighborhoods`.

    Raises:
        ValueError: as :func:`krum`; if a concrete ``num_chosen`` is out of range.
    """
    b = require_majority(topology, num_byzantine, "krum", lambda b: b + 3, "n - b - 2 >= 1")
    if num_chosen is not None and not is_traced(num_chosen):
        most = int(degrees(topology)[0].max(initial=0)) + 1
        num_chosen = checks.whole("num_chosen", num_chosen, 1, most)

    def aggregate(near: Neighborhood, state: Any) -> tuple[jax.Array, Any]:
        values, valid = candidates(near)
        distances, valid = squared_distances(values, valid)
        count = jnp.sum(valid)
        closest = jnp.sort(distances, axis=1)
        counted = jnp.arange(len(valid))[None, :] < count - b - 2
        score = jnp.sum(jnp.where(counted, closest, 0.0), axis=1)
        score = jnp.where(valid, score, jnp.inf)
        rank = jnp.zeros(len(valid), jnp.int32)
        rank = rank.at[jnp.argsort(score)].set(jnp.arange(len(valid), dtype=jnp.int32))
        chosen = count - b if num_chosen is None else jnp.minimum(num_chosen, count - b)
        share = jnp.where((rank < chosen) & valid, 1.0 / jnp.maximum(chosen, 1), 0.0)
        mean = jnp.sum(share[:, None] * values, axis=0)
        return jnp.where(count >= b + 3, mean, near.own), state

    return over_neighborhoods(topology, aggregate, chunk=chunk)


def geometric_median(
    topology: Topology,
    *,
    iterations: int = 8,
    smoothing: float = 1e-6,
    chunk: int | None = None,
) -> GossipTransformation:
    """Take the point with the least sum of distances to the candidates (geometric median, RFA).

    Smoothed Weiszfeld iterations ``z ← Σ x_j / max(ν, ‖z − x_j‖) / Σ 1 / max(ν, ‖z − x_j‖)`` from
    the coordinate median, which no minority can move far. Without attackers it is a median, not a
    mean: robust up to half of the candidates.

    Args:
        topology: the graph; a sequence is used cyclically.
        iterations: Weiszfeld steps, at least 1.
        smoothing: ``ν > 0``, distance below which the weight of a candidate grows no more.
        chunk: agents at a time, see :func:`over_neighborhoods`.

    Raises:
        ValueError: if ``iterations < 1`` or ``smoothing <= 0``.
    """
    iterations = checks.whole("iterations", iterations, 1)
    checks.real("smoothing", smoothing, above=0.0)

    def aggregate(near: Neighborhood, state: Any) -> tuple[jax.Array, Any]:
        values, valid = candidates(near)
        count = jnp.sum(valid)
        start = mean_of_ranks(values, valid, (count - 1) // 2, count // 2 + 1)

        def closer(_: int, point: jax.Array) -> jax.Array:
            distance = jnp.linalg.norm(values - point[None], axis=1)
            weight = jnp.where(valid, 1.0 / jnp.maximum(distance, smoothing), 0.0)
            weight = jnp.where(jnp.isfinite(distance), weight, 0.0)
            total = jnp.sum(weight)
            moved = jnp.sum((weight / jnp.where(total > 0, total, 1.0))[:, None] * values, axis=0)
            return jnp.where(total > 0, moved, point)

        return jax.lax.fori_loop(0, iterations, closer, start), state

    return over_neighborhoods(topology, aggregate, chunk=chunk)


def squared_distances(values: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Compute all squared distances ``‖x_i − x_j‖²``, infinite for ``i = j`` and invalid rows.

    Returns:
        ``(distances [M, M], valid [M])``; a row so far off that its square overflows is invalid.
    """
    far = jnp.sum(jnp.square(values - values[:1]), axis=1)
    valid = valid & jnp.isfinite(far)
    # From the differences themselves: by products, close models far from the first one would all
    # be at distance 0. Every pair once, row i to row i + shift; a few shifts side by side are
    # faster than a loop.
    m = len(valid)
    sane = jnp.where(valid[:, None], values, 0.0)
    twice = jnp.concatenate([sane, sane])

    def apart(others: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(others - sane), axis=1)

    shifts = m // 2 + 1
    if m <= UNROLLED:
        rows = jnp.stack([apart(twice[shift : shift + m]) for shift in range(shifts)])
    else:
        rows = jax.lax.map(
            lambda shift: apart(jax.lax.dynamic_slice_in_dim(twice, shift, m)), jnp.arange(shifts)
        )
    ahead = (np.arange(m)[None, :] - np.arange(m)[:, None]) % m
    first = np.where(ahead <= m // 2, np.arange(m)[:, None], np.arange(m)[None, :])
    distances = rows[np.minimum(ahead, m - ahead), first]
    counted = valid[:, None] & valid[None, :] & ~jnp.eye(len(valid), dtype=bool)
    return jnp.where(counted, distances, jnp.inf), valid
