"""MOZI (UBAR): average the nearest models whose loss is no larger than the agent's own.

Shapes: ``K`` in-neighbour slots, ``P`` parameters of one agent.

References:
    S. Guo et al., Towards Byzantine-resilient learning in decentralized systems, 2020.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.gossip.robust._neighborhoods import Neighborhood, over_neighborhoods
from jaxswarm.gossip.types import GossipTransformation
from jaxswarm.topology import Topology

_HUGE = 3e38  # ranks a loss that is not finite before models that are not evaluated


def mozi(
    topology: Topology,
    loss: Callable[[Any, Any], jax.Array],
    *,
    share: float | jax.Array = 0.5,
    own_weight: float | jax.Array = 0.5,
    chunk: int | None = None,
) -> GossipTransformation:
    """Mix the own model with the mean of near models whose loss is no larger than the own.

    Of the models that arrived, the ``⌈share · n⌉`` nearest to the own are evaluated on the agent's
    own samples, the extra ``context`` of the exchange (:func:`jaxswarm.gossip.with_extras`). Those
    with a loss up to the own one are averaged, or the best one if none is that good. Without
    attackers it prefers models like the own: non-IID agents learn little from each other.

    Args:
        topology: the graph; a sequence is used cyclically.
        loss: ``loss(params, context) -> scalar`` of one agent; not finite counts as infinite.
        share: of the models that arrived, in ``(0, 1]``; the expected share of honest ones. May be
            traced.
        own_weight: of the own model in the mix, in ``[0, 1]``; may be traced.
        chunk: agents at a time, see :func:`over_neighborhoods`.

    Raises:
        ValueError: if ``share`` or ``own_weight`` is out of range, ``loss`` is not callable; while
            mixing, without ``context``.
    """
    checks.function("loss", loss)
    checks.real("share", share, above=0.0, high=1.0)
    checks.probability("own_weight", own_weight)

    def aggregate(near: Neighborhood, state: Any) -> tuple[jax.Array, Any]:
        if near.context is None:
            raise ValueError("context: mozi expects every agent's own samples, got None")
        values = jnp.concatenate([near.own[None], near.received])
        losses = jax.vmap(loss, (0, None))(near.stack(values), near.context)
        losses = jnp.where(jnp.isfinite(losses), losses, jnp.inf)
        distance = jnp.sum(jnp.square(near.received - near.own[None]), axis=1)
        order = jnp.lexsort((distance, ~near.arrived))
        rank = jnp.zeros(len(order), jnp.int32).at[order].set(jnp.arange(len(order)))
        kept = jnp.ceil(share * jnp.sum(near.arrived) - 1e-4)  # 0.1 · 30 is 3, not 3.0000001
        tried = near.arrived & (rank < jnp.maximum(kept, 1))
        good = tried & (losses[1:] <= losses[0]) & jnp.isfinite(losses[1:])
        best = jnp.argmin(jnp.where(tried, jnp.minimum(losses[1:], _HUGE), jnp.inf))
        good = jnp.where(good.any(), good, tried & (jnp.arange(len(good)) == best))
        mean = jnp.sum(jnp.where(good[:, None], near.received, 0.0), axis=0) / jnp.sum(good)
        return own_weight * near.own + (1.0 - own_weight) * mean, state

    return over_neighborhoods(topology, aggregate, chunk=chunk)
