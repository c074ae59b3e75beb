"""Push-sum: exact averaging on directed graphs by column-stochastic weights.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    D. Kempe, A. Dobra, J. Gehrke, Gossip-based computation of aggregate information, 2003.
    M. Assran et al., Stochastic gradient push for distributed deep learning, 2019.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip._mixing import mix
from jaxswarm.gossip._operator import Mixing
from jaxswarm.gossip.sources import Source, by_columns, current_operator, require_source
from jaxswarm.gossip.traffic import Traffic, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.types import Key, Params, PyTree


class PushSumState(NamedTuple):
    """The biased numerators and their weights.

    Attributes:
        biased: leaves ``[N, ...]``; their sum over agents never changes by mixing.
        weight: ``float[N]``, sums to ``N``.
    """

    biased: PyTree
    weight: jax.Array


def push_sum(W: Source) -> GossipTransformation:
    """Average exactly on a directed graph with column-stochastic weights (push-sum, SGP).

    ``params`` are always the de-biased estimates ``x / w``, where gradients are to be taken; what a
    local step adds to them is added to the biased iterate ``x``, as stochastic gradient push does.
    Under message loss, and for absent receivers, the sender keeps the weight: no mass disappears.

    Args:
        W: column-stochastic operator, ``gossip.mixing(topology, weights="push")``, a doubly
            stochastic one, a sequence of them, or ``(key, round index) -> operator``.

    Returns:
        A rule that supports ``messages`` of the same round (``only_fresh``): a message belongs to
        the weight sent with it, so it can be forged but neither delayed nor compressed.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> rule = push_sum(gossip.mixing(topology.exponential(5), weights="push"))
        >>> x = jnp.arange(5.0)
        >>> state, mix = rule.init(x), jax.jit(rule.mix)
        >>> for index in range(30):
        ...     x, state, _ = mix(jax.random.key(0), x, state, gossip.Exchange(index))
        >>> x.round(3).tolist()
        [2.0, 2.0, 2.0, 2.0, 2.0]

    Raises:
        ValueError: if ``W`` is no operator, or one whose columns do not sum to one.
    """
    require_source(W, "push_sum")
    if isinstance(W, Mixing):
        by_columns(W)

    def init(params: Params) -> PushSumState:
        n = agents.num_agents(params)
        agents.check_params(params, n)
        return PushSumState(params, jnp.ones(n))

    def mix_fn(
        key: Key, params: Params, state: PushSumState, exchange: Exchange
    ) -> tuple[Params, PushSumState, Traffic]:
        now = current_operator(W, key, exchange, columns=True)
        biased = jax.tree.map(
            lambda x, z: x + (z - _scaled(x, 1.0 / state.weight)), state.biased, params
        )
        sent = None
        if exchange.messages is not None:
            sent = jax.tree.map(lambda m: _scaled(m, state.weight), exchange.sent(params))
        biased = mix(now, biased, sent)
        weight = mix(now, state.weight)
        estimates = jax.tree.map(lambda x: _scaled(x, 1.0 / weight), biased)
        active = exchange.active(now.num_agents)
        if active is not None:  # x / w w is x up to rounding only
            estimates = agents.where(active, estimates, params)
            biased = agents.where(active, biased, state.biased)
        count = now.num_messages()
        traffic = traffic_of(count, params)
        traffic = Traffic(traffic.messages, traffic.bytes + 4.0 * count)  # the weight is sent too
        return estimates, PushSumState(biased, weight), traffic

    return GossipTransformation(init, mix_fn, frozenset({"messages", "only_fresh"}))


def _scaled(leaf: jax.Array, factor: jax.Array) -> jax.Array:
    return (leaf * agents.expand(factor, leaf)).astype(leaf.dtype)
