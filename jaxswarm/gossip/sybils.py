"""One attacker behind many identities: every Sybil tells the same model, made of all they hear.

Shapes: ``N`` agents.

References:
    T. Werthenbach, J. Pouwelse, Towards Sybil resilience in decentralized learning, 2023.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip.types import Exchange, GossipTransformation, PyTree, Traffic


def one_attacker(
    rule: GossipTransformation, sybil: jax.Array, touched: jax.Array
) -> GossipTransformation:
    """``rule`` among the honest; all Sybils are one attacker that takes the plain average.

    The first Sybil trains (on poisoned data, say); every Sybil tells an identical copy of its
    model. What the honest tell any Sybil is averaged uniformly with the attacker's own model and
    given to all Sybils. The rule is not told who they are. Where it passes on what others told,
    Sybils pass on nothing (the extra ``withholds``), as in the authors' code.

    Args:
        rule: any gossip rule that takes ``messages``.
        sybil: ``bool[N]``; may be traced, and may be all false.
        touched: ``bool[N]``: honest agents with an attack edge.

    Raises:
        ValueError: if the flags are not two vectors of one length.
    """
    one, other = jnp.asarray(sybil), jnp.asarray(touched)
    if one.ndim != 1 or one.dtype != bool or other.shape != one.shape or other.dtype != bool:
        raise ValueError(
            f"sybil, touched: expected bool[N] both, got {one.dtype}{list(one.shape)} and "
            f"{other.dtype}{list(other.shape)}"
        )

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: PyTree,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, PyTree, Traffic]:
        agents.check_leading_axis(params, one.shape[0], "params")
        told = params if messages is None else messages
        leader = jnp.argmax(one)
        copies = jax.tree.map(lambda x: jnp.broadcast_to(x[leader], x.shape), told)
        told = agents.where(one, copies, told)
        extra["withholds"] = one
        mixed, state, traffic = rule.mix(key, params, state, round, messages=told, **extra)
        voices = other | (jnp.arange(one.shape[0]) == leader)
        everyone = agents.broadcast(agents.mean(told, voices), one.shape[0])
        everyone = jax.tree.map(lambda x, like: x.astype(like.dtype), everyone, mixed)
        return agents.where(one, everyone, mixed), state, traffic

    return GossipTransformation(rule.init, mix_fn)
