"""Synchronous averaging over neighbours, over a server, and no communication at all.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    L. Xiao, S. Boyd, Fast linear iterations for distributed averaging, 2004. H. B. McMahan et al.,
    Communication-efficient learning of deep networks from decentralized data, 2017 (server).
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.gossip._mixing import mix
from jaxswarm.gossip._operator import Mixing, accumulator, float_dtype, weighted
from jaxswarm.gossip.sources import Source, current_operator, require_source, restrictions
from jaxswarm.gossip.traffic import Traffic, no_traffic, traffic_of
from jaxswarm.gossip.types import (
    FEATURES,
    RESTRICTIONS,
    Exchange,
    GossipTransformation,
    PerReceiverMessages,
)
from jaxswarm.types import Key, Params, PyTree


def averaging(W: Source, *, steps: int = 1) -> GossipTransformation:
    """Average with the in-neighbours: ``x ← W x``, ``steps`` times a round.

    Args:
        W: an operator, a sequence used cyclically, or ``(key, round index) -> operator``.
        steps: exchanges per round, at least 1. A sequence or function keeps one operator for all of
            them.

    Returns:
        A rule that supports ``messages`` and ``per_receiver``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> rule = averaging(gossip.mixing(topology.ring(4)))
        >>> x = jnp.array([0.0, 3.0, 6.0, 9.0])
        >>> x, state, traffic = rule.mix(jax.random.key(0), x, rule.init(x), gossip.Exchange(0))
        >>> x.tolist()
        [4.0, 3.0, 6.0, 5.0]
        >>> float(traffic.messages), float(traffic.bytes)
        (8.0, 32.0)

    Raises:
        ValueError: if ``W`` is neither an operator nor a function, or ``steps < 1``.
    """
    require_source(W, "averaging")
    steps = checks.whole("steps", steps, 1)
    supports = {"messages", "per_receiver"} | restrictions(W)
    if steps > 1:
        supports.add("only_first")

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        now = current_operator(W, key, exchange)
        sent = exchange.sent(params)
        if exchange.per_receiver is None:
            params = mix(now, params, sent)
        else:
            params = _mix_per_receiver(now, params, sent, exchange.per_receiver)
        for _ in range(steps - 1):
            params = mix(now, params)
        return params, state, traffic_of(now.num_messages() * steps, params)

    return GossipTransformation(lambda params: (), mix_fn, frozenset(supports))


def server(weights: jax.Array | None = None) -> GossipTransformation:
    """Average all agents on a server and broadcast the result (the aggregation of FedAvg).

    Sends ``2 N`` messages a round, up and down. Agents that do not participate, or are not alive,
    are left out of the average; all agents that are alive get the result, also those that do not
    participate (a sampled client begins with the server's model).

    Args:
        weights: ``float[N]``, non-negative, for example data counts; uniform if omitted. The model
            of an agent of weight 0 has no influence.

    Returns:
        A rule that supports ``messages``.

    Raises:
        ValueError: if concrete ``weights`` are not a vector, negative, not finite or all zero;
            while mixing, if there is not one for each agent.
    """
    if weights is not None:
        checks.real("weights", weights, 0.0, shape=(None,))
        if not checks.is_traced(weights) and not np.any(np.asarray(weights) > 0):
            raise ValueError("weights: expected non-negative finite weights, not all zero")

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        del key
        n = agents.num_agents(params)
        agents.check_params(params, n)
        present = exchange.active(n)
        share = jnp.ones(n) if weights is None else jnp.asarray(weights, float_dtype())
        if share.shape != (n,):
            raise ValueError(f"weights: expected one per agent ({n}), got {share.shape[0]}")
        if present is not None:
            share = jnp.where(present, share, 0.0)
        total = jnp.sum(share)
        share = share / jnp.where(total > 0, total, 1.0)

        def leaf(own: jax.Array, message: jax.Array) -> jax.Array:
            flat = message.reshape(n, -1).astype(accumulator(message))
            counted = share.astype(flat.dtype)
            # Differences from one of the agents: agreement is kept exactly, however many they are.
            first = flat[jnp.argmax(counted > 0)]
            away = flat - first[None]
            if present is not None or weights is not None:
                away = jnp.where((counted != 0)[:, None], away, 0.0)
            average = first + jnp.matmul(counted, away, precision="highest")
            return jnp.broadcast_to(average.reshape(1, *own.shape[1:]), own.shape).astype(own.dtype)

        averaged = jax.tree.map(leaf, params, exchange.sent(params))
        receives = (jnp.ones(n, bool) if exchange.alive is None else exchange.alive) & (total > 0)
        up = jnp.float32(n) if present is None else jnp.sum(present).astype(jnp.float32)
        down = jnp.sum(receives).astype(jnp.float32)
        return agents.where(receives, averaged, params), state, traffic_of(up + down, params)

    return GossipTransformation(lambda params: (), mix_fn, frozenset({"messages"}))


def identity() -> GossipTransformation:
    """Keep every agent's parameters: no communication (the isolated baseline).

    It takes any wrapper and any attack, none of which has an effect.
    """

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        del key, exchange
        return params, state, no_traffic()

    return GossipTransformation(lambda params: (), mix_fn, frozenset(FEATURES) - RESTRICTIONS)


def _mix_per_receiver(
    W: Mixing, params: Params, sent: PyTree, replaced: PerReceiverMessages
) -> Params:
    zeros = jax.tree.map(jnp.zeros_like, sent)
    honest = mix(W, params, agents.where(replaced.senders, zeros, sent))
    share = W.receive(replaced.senders.astype(float_dtype()))
    return jax.tree.map(
        lambda x, message: (x + weighted(share, message)).astype(x.dtype),
        honest,
        replaced.messages,
    )
