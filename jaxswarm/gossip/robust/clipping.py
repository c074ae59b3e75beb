"""Robust rules that bound the influence of one message: centered clipping, norm clipping.

Shapes: ``K`` in-neighbour slots, ``P`` parameters of one agent.

References:
    S. P. Karimireddy, L. He, M. Jaggi, Learning from history for Byzantine robust optimization,
    2021 (centered clipping). L. He, S. P. Karimireddy, M. Jaggi, Byzantine-robust decentralized
    learning via self-centered clipping, 2022. Z. Sun et al., Can you really backdoor federated
    learning?, 2019 (norm bounds).
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.gossip.robust._neighborhoods import Neighborhood, over_neighborhoods
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.topology import Topology


def centered_clipping(
    topology: Topology,
    radius: float | jax.Array,
    *,
    weights: str | Any = "metropolis",
    iterations: int = 1,
    chunk: int | None = None,
) -> GossipTransformation:
    """Average differences to the own model, each clipped to ``radius`` (self-centered clipping).

    ``v ← v + Σ_j w_ij clip(x_j − v)`` from ``v = x_i``, the own model weighing the rest. No message
    moves an agent by more than ``w_ij · radius`` per iteration. With an infinite radius and one
    iteration it is ``x ← W x``; with one iteration and symmetric weights it keeps the average, for
    any radius, because both ends of an edge clip the same difference.

    Args:
        topology: the graph; a sequence is used cyclically.
        radius: ``τ > 0``; may be traced.
        weights: a scheme of ``topology.weights.SCHEMES``, or ``[..., E]``.
        iterations: at least 1; with more of them the center moves away from the own model.
        chunk: agents at a time, see :func:`over_neighborhoods`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> rule = centered_clipping(topology.ring(4), radius=3.0)
        >>> x = jnp.array([0.0, 0.0, 0.0, 90.0])[:, None]
        >>> y, _, _ = jax.jit(rule.mix)(jax.random.key(0), x, rule.init(x), gossip.Exchange(0))
        >>> y.ravel().round().tolist()  # weights are 1/3: no message moves an agent by more than 1
        [1.0, 0.0, 1.0, 88.0]

    Raises:
        ValueError: if ``radius`` is not positive or ``iterations < 1``.
    """
    checks.real("radius", radius, above=0.0, infinite=True)
    iterations = checks.whole("iterations", iterations, 1)

    def aggregate(near: Neighborhood, state: Any) -> tuple[jax.Array, Any]:
        values = jnp.concatenate([near.own[None], near.received])
        share = jnp.concatenate([1.0 - jnp.sum(near.weights, keepdims=True), near.weights])
        point = near.own
        for _ in range(iterations):
            difference = values - point[None]
            length = jnp.linalg.norm(difference, axis=1)
            scale = share * jnp.minimum(1.0, radius / jnp.where(length > 0, length, 1.0))
            scale = jnp.where(jnp.isfinite(length), scale, 0.0)
            point = point + jnp.sum(scale[:, None] * difference, axis=0)
        return point, state

    return over_neighborhoods(topology, aggregate, weights=weights, chunk=chunk)


def norm_clipping(
    topology: Topology,
    factor: float | jax.Array = 1.0,
    *,
    weights: str | Any = "metropolis",
    chunk: int | None = None,
) -> GossipTransformation:
    """Average models after clipping the norm of each to ``factor`` times the own model's norm.

    Stops attacks by magnitude only. Where no model exceeds that it is ``x ← W x``.

    Args:
        topology: the graph; a sequence is used cyclically.
        factor: positive; may be traced.
        weights: a scheme of ``topology.weights.SCHEMES``, or ``[..., E]``.
        chunk: agents at a time, see :func:`over_neighborhoods`.

    Raises:
        ValueError: if ``factor`` is not positive.
    """
    checks.real("factor", factor, above=0.0, infinite=True)

    def aggregate(near: Neighborhood, state: Any) -> tuple[jax.Array, Any]:
        bound = factor * jnp.linalg.norm(near.own)
        length = jnp.linalg.norm(near.received, axis=1)
        scale = near.weights * jnp.minimum(1.0, bound / jnp.where(length > 0, length, 1.0))
        kept = jnp.isfinite(length)
        own = 1.0 - jnp.sum(jnp.where(kept, near.weights, 0.0))
        others = jnp.sum(jnp.where(kept, scale, 0.0)[:, None] * near.received, axis=0)
        return own * near.own + others, state

    return over_neighborhoods(topology, aggregate, weights=weights, chunk=chunk)
