"""Accelerated averaging: Chebyshev polynomials of ``W``, and averaging with momentum.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    W. Auzinger, J. Melenk, Iterative solution of large linear systems, 2011 (Chebyshev recurrence).
    K. Scaman et al., Optimal algorithms for smooth and strongly convex distributed optimization,
    2017. S. Muthukrishnan, B. Ghosh, M. Schultz, First- and second-order diffusive methods for
    rapid, coarse, distributed load balancing, 1998 (momentum).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip._mixing import mix
from jaxswarm.gossip._operator import Mixing, accumulator, float_dtype
from jaxswarm.gossip.sources import (
    current_operator,
    require_static_operator,
    require_symmetric_operator,
)
from jaxswarm.gossip.traffic import Traffic, traffic_of
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.topology.spectra import second_eigenvalue
from jaxswarm.types import Key, Params, PyTree


def chebyshev(
    W: Mixing,
    *,
    steps: int,
    eigenvalue: float | jax.Array | None = None,
) -> GossipTransformation:
    """Average by a Chebyshev polynomial of ``W``: the optimum for ``steps`` exchanges a round.

    The average is kept exactly, whatever ``eigenvalue`` is.

    Args:
        W: a single doubly stochastic, symmetric operator.
        steps: exchanges per round, at least 1.
        eigenvalue: the second-largest absolute eigenvalue of ``W``, in ``[0, 1)``; computed if
            omitted.

    Returns:
        A rule that supports ``messages``.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import agents, gossip, topology
        >>> W, x = gossip.mixing(topology.ring(16)), jnp.arange(16.0)
        >>> def error(rule):
        ...     y, _, _ = jax.jit(rule.mix)(jax.random.key(0), x, rule.init(x), gossip.Exchange(0))
        ...     return float(agents.disagreement(y))
        >>> error(chebyshev(W, steps=8)) < 0.6 * error(gossip.averaging(W, steps=8))
        True

    Raises:
        ValueError: if ``W`` is not one doubly stochastic, symmetric operator, ``steps < 1`` or
            ``eigenvalue`` is out of range.
    """
    require_static_operator(W, "chebyshev")
    require_symmetric_operator(W, "chebyshev")
    steps = checks.whole("steps", steps, 1)
    gamma = _second_eigenvalue(W, eigenvalue, "chebyshev")

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        now = current_operator(W, key, exchange)
        previous, current = params, mix(now, params, exchange.sent(params))
        omega = 2.0 * jnp.ones(())
        for _ in range(steps - 1):
            omega = 1.0 / (1.0 - jnp.square(gamma) * omega / 4.0)
            previous, current = current, _extrapolate(omega, mix(now, current), previous)
        return current, state, traffic_of(now.num_messages() * steps, params)

    supports = {"messages"} if steps == 1 else {"messages", "only_first"}
    return GossipTransformation(lambda params: (), mix_fn, frozenset(supports))


class MomentumState(NamedTuple):
    """The last two mixed iterates, leaves ``[N, ...]``, and the number of rounds done."""

    current: PyTree
    previous: PyTree
    rounds: jax.Array


def momentum_averaging(
    W: Mixing,
    *,
    omega: float | jax.Array | None = None,
    eigenvalue: float | None = None,
) -> GossipTransformation:
    """Average with momentum (second-order diffusion): ``x ← ω W x + (1 − ω) x_previous``.

    Local updates between rounds translate both iterates, so momentum accelerates agreement only:
    the average moves by the local steps alone.

    Args:
        W: a single doubly stochastic, symmetric operator.
        omega: momentum in ``[1, 2)``; 1 is plain averaging. Default: the optimum
            ``2 / (1 + √(1 − λ²))`` for the second eigenvalue ``λ``.
        eigenvalue: ``λ``, if known; computed if neither it nor ``omega`` is given.

    Returns:
        A rule that supports ``messages``.

    Raises:
        ValueError: if ``W`` is not one doubly stochastic, symmetric operator, or ``omega`` is out
            of range.
    """
    require_static_operator(W, "momentum_averaging")
    require_symmetric_operator(W, "momentum_averaging")
    if omega is None:
        gamma = _second_eigenvalue(W, eigenvalue, "momentum_averaging")
        weight = 2.0 / (1.0 + jnp.sqrt(1.0 - jnp.square(gamma)))
    else:
        checks.real("omega", omega, 1.0, below=2.0)
        weight = jnp.asarray(omega, float_dtype())

    def init(params: Params) -> MomentumState:
        agents.check_params(params, W.num_agents)
        return MomentumState(params, params, jnp.zeros((), jnp.int32))

    def mix_fn(
        key: Key, params: Params, state: MomentumState, exchange: Exchange
    ) -> tuple[Params, MomentumState, Traffic]:
        now = current_operator(W, key, exchange)
        previous = jax.tree.map(lambda b, p, c: b + (p - c), state.previous, params, state.current)
        first = state.rounds == 0
        mixed = mix(now, params, exchange.sent(params))
        mixed = _extrapolate(jnp.where(first, 1.0, weight), mixed, previous)
        new = MomentumState(mixed, params, state.rounds + 1)
        active = exchange.active(now.num_agents)
        if active is not None or exchange.delivered is not None:
            moves = now.self_weights != 1.0  # agents without a message keep their values
            mixed = agents.where(moves, mixed, params)
            new = MomentumState(
                agents.where(moves, mixed, state.current),
                agents.where(moves, params, state.previous),
                state.rounds + jnp.any(moves),
            )
        return mixed, new, traffic_of(now.num_messages(), params)

    return GossipTransformation(init, mix_fn, frozenset({"messages"}))


def _extrapolate(omega: jax.Array, mixed: PyTree, previous: PyTree) -> PyTree:
    """Compute ``ω m + (1 − ω) b``, exactly ``b`` where ``m`` is ``b``."""

    def leaf(m: jax.Array, b: jax.Array) -> jax.Array:
        exact = b.astype(accumulator(b))
        return (exact + omega * (m.astype(exact.dtype) - exact)).astype(m.dtype)

    return jax.tree.map(leaf, mixed, previous)


def _second_eigenvalue(W: Mixing, given: Any, rule: str) -> jax.Array:
    if given is None:
        given = second_eigenvalue(W)
    checks.real(f"{rule}: eigenvalue", given, 0.0, below=1.0)
    return jnp.asarray(given, float_dtype())
