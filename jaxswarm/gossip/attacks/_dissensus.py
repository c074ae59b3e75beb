"""Dissensus: messages that cancel the honest neighbours' pull, different for every receiver.

References:
    L. He, S. P. Karimireddy, M. Jaggi, Byzantine-robust decentralized learning via self-centered
    clipping, 2022.
"""

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip._operator import float_dtype, rows
from jaxswarm.gossip.attacks._wrapper import Attack
from jaxswarm.gossip.sources import Source, current_operator, require_source
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import Key, Params, PyTree


def dissensus(W: Source, epsilon: float | jax.Array = 1.0) -> Attack:
    """Push every agent away from its honest neighbours, each in its own direction.

    Byzantine agents send to agent ``i``: ``x_i − ε Σ_{j honest} w_ij (x_j − x_i) / Σ_{b Byzantine}
    w_ib``. At ``ε = 1`` averaging with ``W`` makes no progress. Agents without a Byzantine
    neighbour are not affected.

    Args:
        W: the weights that the attackers assume (those of averaging, typically).
        epsilon: strength, at least 0; may be traced.

    Raises:
        ValueError: if ``W`` is no operator, or a concrete ``epsilon`` is negative or not finite.
    """
    checks.real("epsilon", epsilon, 0.0)
    require_source(W, "dissensus")

    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        now = current_operator(W, key, exchange)
        honest_weight = now.receive((~byzantine).astype(float_dtype()))
        byzantine_weight = now.receive(byzantine.astype(float_dtype()))
        strength = epsilon / jnp.where(byzantine_weight > 0, byzantine_weight, 1.0)

        def leaf(own: jax.Array, message: jax.Array) -> jax.Array:
            honest = jnp.where(agents.expand(byzantine, message), 0.0, message)
            pull = now.receive(honest) - rows(honest_weight, own) * own
            return (own - rows(strength, own) * pull).astype(own.dtype)

        return jax.tree.map(leaf, params, messages)

    return Attack(forge, per_receiver=True)
