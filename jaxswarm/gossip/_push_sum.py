"""Push-sum: exact averaging on directed graphs, where no agent knows who hears it back.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    D. Kempe, A. Dobra, J. Gehrke, Gossip-based computation of aggregate information, 2003.
    M. Assran et al., Stochastic gradient push for distributed deep learning, 2019.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip._mixing import mix
from jaxswarm.gossip._operator import Mixing
from jaxswarm.gossip.rounds import Source, operator, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation, PyTree, Traffic


class PushSumState(NamedTuple):
    """The biased numerators and their weights.

    Attributes:
        biased: leaves ``[N, ...]``; their sum over agents never changes by mixing.
        weight: ``float[N]``, sums to ``N``.
    """

    biased: PyTree
    weight: jax.Array


def push_sum(W: Source) -> GossipTransformation:
    """Push-sum averaging with column-stochastic weights (``mixing(topology, weights="push")``).

    ``params`` are always the de-biased estimates ``x / w``, where gradients are to be taken; what a
    local step adds to them is added to the biased iterate ``x``, as stochastic gradient push does.
    Under message loss the sender keeps the weight, so no mass disappears.

    Args:
        W: column-stochastic operator, sequence of them, or ``(key, round index) -> operator``.

    Raises:
        ValueError: if ``W`` is an operator whose columns do not sum to one.
    """
    if isinstance(W, Mixing) and W.stochasticity not in ("column", "doubly"):
        raise ValueError(
            "push_sum: expected column-stochastic weights, mixing(topology, weights='push'), "
            f"got {W.stochasticity}-stochastic"
        )

    def init(params: PyTree) -> PushSumState:
        return PushSumState(params, jnp.ones(agents.num_agents(params)))

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: PushSumState,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, PushSumState, Traffic]:
        del extra
        now = operator(W, key, round)
        biased = jax.tree.map(
            lambda x, z: x + (z - _scaled(x, 1.0 / state.weight)), state.biased, params
        )
        told = None
        if messages is not None:
            told = jax.tree.map(lambda m: _scaled(m, state.weight), messages)
        biased = mix(now, biased, told)
        weight = mix(now, state.weight)
        estimates = jax.tree.map(lambda x: _scaled(x, 1.0 / weight), biased)
        count = now.num_messages()
        sent = traffic_of(count, params)
        sent = Traffic(sent.messages, sent.bytes + 4.0 * count)  # the weight travels along
        return estimates, PushSumState(biased, weight), sent

    return GossipTransformation(init, mix_fn)


def _scaled(leaf: jax.Array, factor: jax.Array) -> jax.Array:
    return (leaf * factor.reshape(factor.shape + (1,) * (leaf.ndim - 1))).astype(leaf.dtype)
