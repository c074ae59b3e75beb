"""Inner product manipulation (IPM): messages against the honest mean.

References:
    C. Xie, O. Koyejo, I. Gupta, Fall of empires: breaking Byzantine-tolerant SGD by inner product
    manipulation, 2019.
"""

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.gossip.attacks._honest import honest_agents, honest_moments
from jaxswarm.gossip.attacks._wrapper import Attack
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import Key, Params, PyTree


def inner_product_manipulation(epsilon: float | jax.Array = 1.0) -> Attack:
    """Send ``−epsilon`` times the honest mean, so that the average points backwards.

    Raises:
        ValueError: if a concrete ``epsilon`` is not a finite number.
    """
    checks.real("epsilon", epsilon)

    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        del key, params
        honest = honest_agents(messages, byzantine, exchange)

        def leaf(x: jax.Array) -> jax.Array:
            mean, _ = honest_moments(x, honest)
            return jnp.broadcast_to(-epsilon * mean, x.shape).astype(x.dtype)

        return jax.tree.map(leaf, messages)

    return Attack(forge)
