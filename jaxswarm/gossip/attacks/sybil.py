"""Sybil attack: one attacker behind many identities, which all send the same model.

Shapes: ``N`` agents.

References:
    T. Werthenbach, J. Pouwelse, Towards Sybil resilience in decentralized learning, 2023.
"""

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip.attacks._wrapper import Attack
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation, require_support
from jaxswarm.types import Key, Params, PyTree


def sybil_copies() -> Attack:
    """Send the message of the first Byzantine agent from all of them.

    The messages of :func:`sybil_attack` alone, for rules in which Sybils mix like other agents.
    """

    def forge(
        key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree:
        del key, params, exchange
        return _copies_of_first(messages, byzantine)

    return Attack(forge)


def sybil_attack(
    rule: GossipTransformation, sybil: jax.Array, touched: jax.Array
) -> GossipTransformation:
    """Let all Sybils be one attacker that takes the plain average of what they receive.

    The first Sybil trains (on poisoned data, say); every Sybil sends an identical copy of its
    model. What honest agents send to any Sybil is averaged uniformly with the attacker's own model
    and given to all Sybils. The rule does not know which agents are Sybils. Where it forwards
    records of others, Sybils forward none (the extra ``withholds``), as in the authors' code.

    Args:
        rule: any gossip rule that supports ``messages``.
        sybil: ``bool[N]``; may be traced, and may be all false.
        touched: ``bool[N]``: honest agents with an attack edge.

    Returns:
        A rule that supports what ``rule`` supports, without ``per_receiver``.

    Raises:
        ValueError: if the flags are not two vectors of one length, or the rule does not support
            ``messages``.
    """
    sybils = jnp.asarray(checks.mask("sybil", sybil, (None,)))
    victims = jnp.asarray(checks.mask("touched", touched, sybils.shape))
    require_support(rule, "messages", purpose="sybil_attack")

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        n = sybils.shape[0]
        agents.check_leading_axis(params, n, "params")
        honest_messages = exchange.sent(params)
        copies = _copies_of_first(honest_messages, sybils)
        messages = agents.where(sybils, copies, honest_messages)
        exchange = exchange._replace(messages=messages)
        if "withholds" in rule.supports:
            exchange = exchange.with_extras(withholds=sybils)
        mixed, state, traffic = rule.mix(key, params, state, exchange)
        averaged = victims | (jnp.arange(n) == jnp.argmax(sybils))
        active = exchange.active(n)
        if active is not None:
            averaged &= active
        average = agents.broadcast(agents.mean(messages, averaged), n)
        average = jax.tree.map(lambda x, like: x.astype(like.dtype), average, mixed)
        receives = sybils & averaged.any() if active is None else sybils & active & averaged.any()
        return agents.where(receives, average, mixed), state, traffic

    return GossipTransformation(rule.init, mix_fn, frozenset(rule.supports) - {"per_receiver"})


def _copies_of_first(messages: PyTree, flags: jax.Array) -> PyTree:
    first = jnp.argmax(flags)
    return jax.tree.map(lambda x: jnp.broadcast_to(x[first], x.shape), messages)
