"""The mixing operator of each round: a fixed ``W``, a sequence ``W[t]``, or one drawn per round.

Shapes: ``N`` agents, ``T`` members of a sequence.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxswarm.gossip._operator import Mixing, require_operator
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import Key

Source = Mixing | Callable[[jax.Array, jax.Array], Mixing]
"""An operator, a sequence of them (used cyclically), or ``(key, round index) -> operator``."""


def current_operator(source: Source, key: Key, exchange: Exchange) -> Mixing:
    """Return the operator of a round, restricted to active agents and delivered messages.

    Args:
        source: an operator, a sequence or a function.
        key: given to a function.
        exchange: the round; its ``index`` selects the member of a sequence.

    Raises:
        ValueError: if a mask of the exchange is not one flag per agent.
    """
    if isinstance(source, Mixing):
        W = source
        if W.is_sequence:
            W = W[jnp.asarray(exchange.index) % W.self_weights.shape[0]]
    else:
        W = source(key, jnp.asarray(exchange.index))
        require_operator(W, what="W(key, index)")
    active = exchange.active(W.num_agents)
    if active is None and exchange.delivered is None:
        return W
    return W.restrict(active, exchange.delivered)


def require_source(source: Any, rule: str) -> None:
    """Check that ``source`` is an operator, a sequence of operators or a function.

    Raises:
        ValueError: naming the rule and what came instead.
    """
    if isinstance(source, type) or not callable(source):
        require_operator(source, what=f"{rule}: W")


def require_static_operator(source: Any, rule: str) -> Mixing:
    """Return ``source`` if it is one operator; rules tuned to its spectrum need just one.

    Raises:
        ValueError: if ``source`` is a sequence or a function.
    """
    if not callable(source):
        require_operator(source, what=f"{rule}: W")
    if not isinstance(source, Mixing) or source.is_sequence:
        raise ValueError(f"{rule}: expected a single mixing operator, got a sequence or a function")
    return source


def require_doubly_stochastic(source: Any, rule: str) -> None:
    """Check that an operator keeps the average over agents.

    Raises:
        ValueError: naming the rule and what the operator is.
    """
    kind = getattr(source, "stochasticity", "doubly")
    if kind != "doubly":
        raise ValueError(
            f"{rule}: expected doubly stochastic weights (metropolis, max_degree, …), "
            f"got {kind}-stochastic"
        )
