"""The mixing operator of each round: a fixed ``W``, a sequence ``W[t]``, or one drawn per round.

Shapes: ``N`` agents, ``T`` members of a sequence.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.gossip._operator import Mixing, apply, require_operator
from jaxswarm.gossip.types import Exchange
from jaxswarm.types import Key

_PROBES = 4
_ASYMMETRY = 1e-2

Source = Mixing | Callable[[jax.Array, jax.Array], Mixing]
"""An operator, a sequence of them (used cyclically), or ``(key, round index) -> operator``."""


def current_operator(
    source: Source, key: Key, exchange: Exchange, *, columns: bool = False
) -> Mixing:
    """Return the operator of a round, restricted to active agents and delivered messages.

    Args:
        source: an operator, a sequence or a function.
        key: given to a function.
        exchange: the round; its ``index`` selects the member of a sequence.
        columns: require column sums of one, and keep them: the weight of a lost message returns to
            its sender.

    Raises:
        ValueError: if a mask of the exchange is not one flag per agent or per edge of the graph; if
            ``columns`` are asked of a row-stochastic operator.
    """
    if isinstance(source, Mixing):
        W = source
        if W.is_sequence:
            W = W[jnp.asarray(exchange.index) % W.self_weights.shape[0]]
    else:
        W = source(key, jnp.asarray(exchange.index))
        require_operator(W, what="W(key, index)")
    if columns:
        W = by_columns(W)
    active = exchange.active(W.num_agents)
    if active is None and exchange.delivered is None:
        return W
    return W.restrict(active, exchange.delivered)


def by_columns(W: Mixing) -> Mixing:
    """Return the operator as a column-stochastic one, which a doubly stochastic one is too.

    Raises:
        ValueError: for a row-stochastic operator.
    """
    if W.stochasticity == "row":
        raise ValueError(
            "W: expected column-stochastic weights, mixing(topology, weights='push'), got "
            "row-stochastic ones"
        )
    if W.stochasticity == "column":
        return W
    whole = getattr(W, "whole", None)
    if whole is not None:  # on a mesh: the operator is inside
        return replace(W, whole=by_columns(whole))  # pyright: ignore[reportCallIssue, reportArgumentType]
    return replace(W, stochasticity="column")  # pyright: ignore[reportCallIssue, reportArgumentType]


def restrictions(source: Source) -> frozenset[str]:
    """Return what averaging over a source is restricted to, see ``gossip.FEATURES``."""
    if not isinstance(source, Mixing):
        return frozenset({"only_drawn"})
    return frozenset({"only_row"}) if source.stochasticity == "row" else frozenset()


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


def require_symmetric_operator(source: Any, rule: str) -> None:
    """Check that a concrete operator is doubly stochastic and symmetric: its eigenvalues are real.

    Raises:
        ValueError: naming the rule and what the operator is.
    """
    require_doubly_stochastic(source, rule)
    if any(checks.is_traced(leaf) for leaf in jax.tree.leaves(source)):
        return
    n = getattr(source, "whole", source).num_agents
    if n < 2:
        return
    rng = np.random.default_rng(0)
    a, b = (jnp.asarray(rng.normal(size=(n, _PROBES)), jnp.float32) for _ in range(2))
    whole = getattr(source, "whole", source)
    with jax.ensure_compile_time_eval():  # factories may be called while something is traced
        forward = np.einsum("np,np->p", a, np.asarray(mixed(whole, b)))
        backward = np.einsum("np,np->p", b, np.asarray(mixed(whole, a)))
    if np.abs(forward - backward).max() > _ASYMMETRY:
        raise ValueError(
            f"{rule}: expected symmetric weights (of an undirected graph), whose eigenvalues are "
            "real, got weights that are not: values would grow"
        )


def mixed(W: Mixing, values: jax.Array) -> jax.Array:
    """Compute ``W x`` for one array."""
    return apply(W, values, values)


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
