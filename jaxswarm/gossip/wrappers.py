"""Wrappers that change when a rule runs, how old its messages are and what it is told beside.

Shapes: ``N`` agents on axis 0 of every leaf, ``D`` rounds of history.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents
from jaxswarm.gossip._averaging import none
from jaxswarm.gossip.types import Exchange, GossipTransformation, PyTree, Traffic


class ScheduledState(NamedTuple):
    """States of the scheduled rule and of its stand-in."""

    rule: PyTree
    otherwise: PyTree


def scheduled(
    rule: GossipTransformation,
    when: Callable[[jax.Array], jax.Array],
    otherwise: GossipTransformation | None = None,
) -> GossipTransformation:
    """Run ``rule`` in the rounds that ``when`` picks, ``otherwise`` (silence) in the rest.

    Only the chosen branch is executed, so silent rounds are free and sparse rounds never pay for
    dense ones.

    Args:
        rule: the rule of the picked rounds.
        when: ``round index -> bool``, traceable: ``every(5)``, ``at(99)``, ``window(50, 60)``.
        otherwise: the rule of all other rounds.
    """
    rest = none() if otherwise is None else otherwise

    def init(params: PyTree) -> ScheduledState:
        return ScheduledState(rule.init(params), rest.init(params))

    def mix_fn(
        key: jax.Array, params: PyTree, state: ScheduledState, round: Exchange, **extra: Any
    ) -> tuple[PyTree, ScheduledState, Traffic]:
        def picked(params: PyTree) -> tuple[PyTree, ScheduledState, Traffic]:
            params, new, traffic = rule.mix(key, params, state.rule, round, **extra)
            return params, ScheduledState(new, state.otherwise), traffic

        def other(params: PyTree) -> tuple[PyTree, ScheduledState, Traffic]:
            params, new, traffic = rest.mix(key, params, state.otherwise, round, **extra)
            return params, ScheduledState(state.rule, new), traffic

        return jax.lax.cond(jnp.asarray(when(round.index)), picked, other, params)

    return GossipTransformation(init, mix_fn)


def every(period: int) -> Callable[[jax.Array], jax.Array]:
    """True in rounds ``period − 1, 2·period − 1, …``: after every ``period`` local rounds.

    Raises:
        ValueError: if ``period < 1``.
    """
    if period < 1:
        raise ValueError(f"period: expected at least 1 round, got {period}")
    return lambda index: (index + 1) % period == 0


def at(*rounds: int) -> Callable[[jax.Array], jax.Array]:
    """True in exactly these rounds, counted from 0."""
    wanted = np.asarray(rounds, np.int32)
    return lambda index: jnp.any(jnp.asarray(wanted) == index)


def window(start: int, stop: int) -> Callable[[jax.Array], jax.Array]:
    """True in rounds ``start <= index < stop``."""
    return lambda index: (index >= start) & (index < stop)


class DelayedState(NamedTuple):
    """The last ``D`` rounds' messages, leaves ``[D, N, ...]``, and the wrapped rule's state."""

    history: PyTree
    inner: PyTree


def delayed(rule: GossipTransformation, delay: int | np.ndarray) -> GossipTransformation:
    """Messages arrive ``delay`` rounds late; every agent always knows its own present parameters.

    Before round ``delay``, receivers still see the initial parameters. Row-stochastic mixing stays
    stable under any delay, but the average is kept only in the limit.

    Args:
        rule: the rule that receives old messages.
        delay: rounds, at least 0; ``int[N]`` gives every *sender* its own.

    Raises:
        ValueError: if a delay is negative or not an integer; while initialising, if there is not
            one per agent.
    """
    delays = np.asarray(delay)
    if not np.issubdtype(delays.dtype, np.integer) or (delays < 0).any() or delays.ndim > 1:
        raise ValueError(f"delay: expected non-negative integers, a scalar or [N], got {delay!r}")
    depth = int(delays.max(initial=0)) + 1

    def init(params: PyTree) -> DelayedState:
        n = agents.num_agents(params)
        if delays.ndim and len(delays) != n:
            raise ValueError(f"delay: expected one per agent ({n}), got {len(delays)}")
        history = jax.tree.map(lambda x: jnp.broadcast_to(x, (depth, *x.shape)), params)
        return DelayedState(history, rule.init(params))

    def mix_fn(
        key: jax.Array,
        params: PyTree,
        state: DelayedState,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, DelayedState, Traffic]:
        told = params if messages is None else messages
        now = jnp.asarray(round.index) % depth
        history = jax.tree.map(lambda h, m: h.at[now].set(m), state.history, told)
        slot = (jnp.asarray(round.index) - jnp.asarray(delays, jnp.int32)) % depth

        def old(leaf: jax.Array) -> jax.Array:
            return leaf[slot] if delays.ndim == 0 else leaf[slot, jnp.arange(leaf.shape[1])]

        params, inner, traffic = rule.mix(
            key, params, state.inner, round, messages=jax.tree.map(old, history), **extra
        )
        return params, DelayedState(history, inner), traffic

    return GossipTransformation(init, mix_fn)


def informed(rule: GossipTransformation, **extra: Any) -> GossipTransformation:
    """``rule`` that is told ``extra`` in every round, such as the ``context`` of some robust rules.

    ``informed(mozi(graph, loss), context=private)`` runs in any learner. Put it outside
    ``attacked``. What the caller of ``mix`` gives itself comes first.
    """

    def mix_fn(
        key: jax.Array, params: PyTree, state: PyTree, round: Exchange, **given: Any
    ) -> tuple[PyTree, PyTree, Traffic]:
        return rule.mix(key, params, state, round, **(extra | given))

    return GossipTransformation(rule.init, mix_fn)
