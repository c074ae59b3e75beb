"""Synchronous averaging: plain, multi-step, Chebyshev-accelerated, with memory; server; none.

Shapes: ``N`` agents on axis 0 of every leaf.

References:
    L. Xiao, S. Boyd, Fast linear iterations for distributed averaging, 2004. W. Auzinger, J.
    Melenk, Iterative solution of large linear systems, 2011 (Chebyshev recurrence). S.
    Muthukrishnan, B. Ghosh, M. Schultz, First- and second-order diffusive methods for rapid,
    coarse, distributed load balancing, 1998 (memory). K. Scaman et al., Optimal algorithms for
    smooth and strongly convex distributed optimization, 2017.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer

from jaxswarm import agents
from jaxswarm.gossip._mixing import mix
from jaxswarm.gossip._operator import Mixing, rows
from jaxswarm.gossip.rounds import (
    Source,
    both,
    expect_doubly_stochastic,
    expect_static_operator,
    operator,
    traffic_of,
)
from jaxswarm.gossip.types import (
    Exchange,
    Forged,
    GossipTransformation,
    PyTree,
    Traffic,
    no_traffic,
)
from jaxswarm.topology.spectra import second_modulus


def averaging(W: Source, *, steps: int = 1) -> GossipTransformation:
    """Each agent becomes the weighted average of what it hears: ``x ← W x``, ``steps`` times.

    Args:
        W: an operator, a sequence used cyclically, or ``(key, round index) -> operator``.
        steps: exchanges per round, at least 1. A sequence or function keeps one operator for all of
            them.

    Raises:
        ValueError: if ``steps < 1``.
    """
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: PyTree,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        forged: Forged | None = None,
        **extra: Any,
    ) -> tuple[PyTree, PyTree, Traffic]:
        del extra
        now = operator(W, key, round)
        if forged is None:
            params = mix(now, params, messages)
        else:
            params = _mix_forged(now, params, messages, forged)
        for _ in range(steps - 1):
            params = mix(now, params)
        return params, state, traffic_of(now.num_messages() * steps, params)

    return GossipTransformation(lambda params: (), mix_fn)


def chebyshev(
    W: Mixing,
    *,
    steps: int,
    eigenvalue: float | jax.Array | None = None,
) -> GossipTransformation:
    """``steps`` exchanges a round combined by Chebyshev polynomials; the optimum for that many.

    The average is kept exactly, whatever ``eigenvalue`` is.

    Args:
        W: a single doubly stochastic, symmetric operator.
        steps: exchanges per round, at least 1.
        eigenvalue: the second-largest absolute eigenvalue of ``W``, in ``[0, 1)``; computed if
            omitted.

    Raises:
        ValueError: if ``W`` is not one doubly stochastic operator, ``steps < 1`` or ``eigenvalue``
            is out of range.
    """
    expect_static_operator(W, "chebyshev")
    expect_doubly_stochastic(W, "chebyshev")
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    gamma = _second_eigenvalue(W, eigenvalue, "chebyshev")

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: PyTree,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, PyTree, Traffic]:
        del extra
        now = operator(W, key, round)
        before, current = params, mix(now, params, messages)
        omega = 2.0 * jnp.ones(())
        for _ in range(steps - 1):
            omega = 1.0 / (1.0 - jnp.square(gamma) * omega / 4.0)
            before, current = current, _extrapolate(omega, mix(now, current), before)
        return current, state, traffic_of(now.num_messages() * steps, params)

    return GossipTransformation(lambda params: (), mix_fn)


class MemoryState(NamedTuple):
    """The last two mixed iterates, leaves ``[N, ...]``."""

    current: PyTree
    before: PyTree
    rounds: jax.Array


def memory(
    W: Mixing,
    *,
    omega: float | jax.Array | None = None,
    eigenvalue: float | None = None,
) -> GossipTransformation:
    """Averaging with memory (second-order diffusion): ``x ← ω W x + (1 − ω) x_before``.

    Local updates between rounds translate both iterates, so momentum accelerates agreement only:
    the average moves by the local steps alone.

    Args:
        W: a single doubly stochastic, symmetric operator.
        omega: momentum in ``[1, 2)``; 1 is plain averaging. Default: the optimum
            ``2 / (1 + √(1 − λ²))`` for the second eigenvalue ``λ``.
        eigenvalue: ``λ``, if known; computed if neither it nor ``omega`` is given.

    Raises:
        ValueError: if ``W`` is not one doubly stochastic operator, or ``omega`` is out of range.
    """
    expect_static_operator(W, "memory")
    expect_doubly_stochastic(W, "memory")
    if omega is None:
        gamma = _second_eigenvalue(W, eigenvalue, "memory")
        weight = 2.0 / (1.0 + jnp.sqrt(1.0 - jnp.square(gamma)))
    else:
        if not isinstance(omega, jax.Array) and not 1.0 <= omega < 2.0:
            raise ValueError(f"omega: expected a momentum in [1, 2), got {omega}")
        weight = jnp.asarray(omega, jnp.float32)

    def init(params: PyTree) -> MemoryState:
        return MemoryState(params, params, jnp.zeros((), jnp.int32))

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: MemoryState,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, MemoryState, Traffic]:
        del extra
        now = operator(W, key, round)
        before = jax.tree.map(lambda b, p, c: b + (p - c), state.before, params, state.current)
        first = state.rounds == 0
        mixed = _extrapolate(jnp.where(first, 1.0, weight), mix(now, params, messages), before)
        new = MemoryState(mixed, params, state.rounds + 1)
        return mixed, new, traffic_of(now.num_messages(), params)

    return GossipTransformation(init, mix_fn)


def server(weights: jax.Array | None = None) -> GossipTransformation:
    """A server averages all (FedAvg's aggregation) and broadcasts: ``2 N`` messages, up and down.

    Agents that do not participate, or are dead, are left out of the average; the living get the
    result.

    Args:
        weights: ``float[N]``, non-negative, for example data counts; uniform if omitted.

    Raises:
        ValueError: if concrete ``weights`` are negative, not finite or all zero.
    """
    if weights is not None and not isinstance(weights, Tracer):
        bad = ~jnp.isfinite(weights) | (weights < 0)
        if bool(bad.any()) or not bool((jnp.asarray(weights) > 0).any()):
            raise ValueError("weights: expected non-negative finite weights, not all zero")

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: PyTree,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, PyTree, Traffic]:
        del key, extra
        told = params if messages is None else messages
        n = agents.num_agents(params)
        present = both(round.alive, round.participates)
        share = jnp.ones(n) if weights is None else jnp.asarray(weights, jnp.float32)
        if present is not None:
            share = jnp.where(present, share, 0.0)
        total = jnp.sum(share)
        share = share / jnp.where(total > 0, total, 1.0)

        def leaf(own: jax.Array, message: jax.Array) -> jax.Array:
            flat = message.reshape(n, -1)
            average = jnp.matmul(share.astype(flat.dtype), flat, precision="highest")
            return jnp.broadcast_to(average.reshape(1, *own.shape[1:]), own.shape)

        averaged = jax.tree.map(leaf, params, told)
        listening = (jnp.ones(n, bool) if round.alive is None else round.alive) & (total > 0)
        up = jnp.float32(n) if present is None else jnp.sum(present).astype(jnp.float32)
        down = jnp.sum(listening).astype(jnp.float32)
        return agents.where(listening, averaged, params), state, traffic_of(up + down, params)

    return GossipTransformation(lambda params: (), mix_fn)


def none() -> GossipTransformation:
    """No communication: every agent on its own (the isolated baseline)."""

    def mix_fn(
        key: jax.Array, params: PyTree, state: PyTree, round: Exchange, **extra: Any
    ) -> tuple[PyTree, PyTree, Traffic]:
        del key, round, extra
        return params, state, no_traffic()

    return GossipTransformation(lambda params: (), mix_fn)


def _mix_forged(W: Mixing, params: PyTree, messages: PyTree | None, forged: Forged) -> PyTree:
    told = params if messages is None else messages
    sincere = mix(W, params, agents.where(forged.senders, jax.tree.map(jnp.zeros_like, told), told))
    share = W.receive(forged.senders.astype(jnp.float32))
    return jax.tree.map(
        lambda x, lie: (x + rows(share, lie) * lie).astype(x.dtype), sincere, forged.messages
    )


def _extrapolate(omega: jax.Array, mixed: PyTree, before: PyTree) -> PyTree:
    def leaf(m: jax.Array, b: jax.Array) -> jax.Array:
        return (omega * m + (1.0 - omega) * b).astype(m.dtype)

    return jax.tree.map(leaf, mixed, before)


def _second_eigenvalue(W: Mixing, given: Any, rule: str) -> jax.Array:
    if given is None:
        given = second_eigenvalue(W)
    if not isinstance(given, Tracer) and not 0.0 <= float(given) < 1.0:
        raise ValueError(f"{rule}: eigenvalue: expected a number in [0, 1), got {float(given):.6g}")
    return jnp.asarray(given, jnp.float32)


def second_eigenvalue(W: Mixing, *, iterations: int = 2000) -> jax.Array:
    """Second-largest absolute eigenvalue of a symmetric ``W``.

    Exact up to N = 1024; beyond, power iteration, which never builds ``[N, N]`` and approaches
    from below.
    """
    n = W.num_agents
    if n <= 1024:
        return jnp.asarray(second_modulus(W, symmetric=True), jnp.float32)

    def body(_: int, vector: jax.Array) -> jax.Array:
        vector = mix(W, mix(W, vector))
        vector = vector - jnp.mean(vector)
        return vector / jnp.linalg.norm(vector)

    start = jax.random.normal(jax.random.key(0), (n,))
    start = start - jnp.mean(start)
    vector = jax.lax.fori_loop(0, iterations, body, start / jnp.linalg.norm(start))
    return jnp.linalg.norm(mix(W, vector) - jnp.mean(vector)) / jnp.linalg.norm(vector)
