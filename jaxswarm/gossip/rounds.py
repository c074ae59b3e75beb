"""Which mixing operator a round uses: a fixed ``W``, a sequence ``W[t]``, or one drawn per round.

Shapes: ``N`` agents, ``T`` members of a sequence.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.gossip._operator import Mixing
from jaxswarm.gossip.types import Exchange, PyTree, Traffic

Source = Mixing | Callable[[jax.Array, jax.Array], Mixing]
"""An operator, a sequence of them (used cyclically), or ``(key, round index) -> operator``."""


def operator(source: Source, key: jax.Array, round: Exchange) -> Mixing:
    """The operator of this round, restricted to who is there and what arrives."""
    if isinstance(source, Mixing):
        W = source
        if W.is_sequence:
            W = W[jnp.asarray(round.index) % W.self_weights.shape[0]]
    else:
        W = source(key, round.index)
    active = both(round.alive, round.participates)
    if active is None and round.delivered is None:
        return W
    return W.restrict(active, round.delivered)


def both(a: jax.Array | None, b: jax.Array | None) -> jax.Array | None:
    """``a & b`` where ``None`` means all true."""
    if a is None or b is None:
        return b if a is None else a
    return a & b


def traffic_of(messages: jax.Array, params: PyTree) -> Traffic:
    """``messages`` full models of one agent of ``params``."""
    _, size = agents.size_of_one(params)
    return Traffic(messages, messages * size)


def expect_static_operator(source: Any, rule: str) -> Mixing:
    """``source`` if it is one operator; rules with a tuned rate need its spectrum, hence just one.

    Raises:
        ValueError: if ``source`` is a sequence or a function.
    """
    if not isinstance(source, Mixing) or source.is_sequence:
        raise ValueError(f"{rule}: expected a single mixing operator, got a sequence or a function")
    return source


def expect_doubly_stochastic(source: Any, rule: str) -> None:
    """Refuse an operator that does not keep the average.

    Raises:
        ValueError: naming the rule and what the operator is.
    """
    kind = getattr(source, "stochasticity", "doubly")
    if kind != "doubly":
        raise ValueError(
            f"{rule}: expected doubly stochastic weights (metropolis, max_degree, …), "
            f"got {kind}-stochastic"
        )
