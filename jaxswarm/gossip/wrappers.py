"""Wrappers: run a rule in some rounds only, delay its messages, or give it extra inputs.

Shapes: ``N`` agents on axis 0 of every leaf, ``D`` rounds of history.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.gossip._averaging import identity
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import (
    Exchange,
    GossipTransformation,
    common_support,
    require_support,
)
from jaxswarm.types import Key, Params, PyTree

Predicate = Callable[[jax.Array], jax.Array]
"""``round index -> bool``, traceable."""


class ScheduledState(NamedTuple):
    """States of the scheduled rule and of the rule of all other rounds.

    Attributes:
        rule: state of the scheduled rule.
        otherwise: state of the other one.
        counts: ``int32[2]``, the exchanges that each has made: their own round numbers.
    """

    rule: PyTree
    otherwise: PyTree
    counts: jax.Array


def scheduled(
    rule: GossipTransformation,
    when: Predicate,
    otherwise: GossipTransformation | None = None,
) -> GossipTransformation:
    """Run a rule in the rounds that ``when`` picks, and another (or none) in the rest.

    Only the chosen branch is executed, so rounds without communication are free and sparse rounds
    never cost as much as dense ones. Each rule counts its own exchanges: its ``exchange.index`` is
    0, 1, 2, … in the rounds that are its own, so that a sequence of graphs is gone through in order
    and a delay is a number of exchanges.

    Args:
        rule: the rule of the picked rounds.
        when: ``round index -> bool``, traceable: ``every_k_rounds(5)``, ``at_rounds(99)``,
            ``round_window(50, 60)``.
        otherwise: the rule of all other rounds, :func:`jaxswarm.gossip.identity` by default.

    Returns:
        A rule that supports what both rules support.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip
        >>> rule = scheduled(gossip.server(), every_k_rounds(2))
        >>> x = jnp.array([0.0, 2.0])
        >>> state = rule.init(x)
        >>> for index in range(2):
        ...     x, state, _ = rule.mix(jax.random.key(0), x, state, gossip.Exchange(index))
        ...     print(index, x.tolist())
        0 [0.0, 2.0]
        1 [1.0, 1.0]

    Raises:
        ValueError: if ``rule`` or ``otherwise`` is no gossip rule, ``when`` no function; while
            mixing, if it does not return one flag.
    """
    checks.function("when", when)
    require_support(rule, purpose="scheduled")
    rest = identity() if otherwise is None else otherwise
    require_support(rest, purpose="scheduled")
    supports = frozenset(rule.supports) if otherwise is None else common_support(rule, rest)

    def init(params: Params) -> ScheduledState:
        return ScheduledState(rule.init(params), rest.init(params), jnp.zeros(2, jnp.int32))

    def mix_fn(
        key: Key, params: Params, state: ScheduledState, exchange: Exchange
    ) -> tuple[Params, ScheduledState, Traffic]:
        def picked(params: Params) -> tuple[Params, ScheduledState, Traffic]:
            own = exchange._replace(index=state.counts[0])
            params, new, traffic = rule.mix(key, params, state.rule, own)
            return params, ScheduledState(new, state.otherwise, state.counts.at[0].add(1)), traffic

        def other(params: Params) -> tuple[Params, ScheduledState, Traffic]:
            own = exchange._replace(index=state.counts[1])
            params, new, traffic = rest.mix(key, params, state.otherwise, own)
            return params, ScheduledState(state.rule, new, state.counts.at[1].add(1)), traffic

        now = jnp.asarray(when(jnp.asarray(exchange.index)))
        checks.mask("when(index)", now, ())
        return jax.lax.cond(now, picked, other, params)

    return GossipTransformation(init, mix_fn, supports)


def every_k_rounds(k: int) -> Predicate:
    """Pick every ``k``-th round: ``k − 1, 2 k − 1, …``, after each ``k`` local rounds.

    Raises:
        ValueError: if ``k < 1``.
    """
    k = checks.whole("k", k, 1)
    return lambda index: (index + 1) % k == 0


def at_rounds(*rounds: int) -> Predicate:
    """Pick exactly these rounds, counted from 0.

    Raises:
        ValueError: if one is negative or no whole number.
    """
    picked = checks.wholes("rounds", list(rounds), shape=(None,))
    return lambda index: jnp.any(jnp.asarray(picked) == index)


def round_window(start: int, stop: int) -> Predicate:
    """Pick the rounds ``start <= index < stop``.

    Raises:
        ValueError: unless ``0 <= start <= stop``.
    """
    start = checks.whole("start", start)
    stop = checks.whole("stop", stop, start)
    return lambda index: (index >= start) & (index < stop)


class DelayedState(NamedTuple):
    """The messages of the last ``D`` exchanges and the wrapped rule's state.

    Attributes:
        history: leaves ``[D, N, ...]``; of an agent that was absent, what it sent last.
        inner: the rule's own state.
        count: ``int32[]``, exchanges so far.
    """

    history: PyTree
    inner: PyTree
    count: jax.Array


def delayed(rule: GossipTransformation, delay: int | np.ndarray) -> GossipTransformation:
    """Delay messages by ``delay`` exchanges; every agent always uses its own present parameters.

    Before exchange ``delay``, receivers still get the initial parameters. Row-stochastic mixing
    stays stable under any delay, but the average is kept only in the limit.

    Args:
        rule: the rule that receives old messages.
        delay: exchanges, at least 0; ``int[N]`` gives every *sender* its own.

    Returns:
        A rule that supports what ``rule`` supports, without ``per_receiver``.

    Raises:
        ValueError: if the rule does not support ``messages`` or only fresh ones, or a delay is
            negative or not an integer; while initialising, if there is not one per agent.
    """
    require_support(rule, "messages", purpose="delayed", refused=("only_fresh",))
    if checks.is_traced(delay):
        raise ValueError(
            "delay: expected concrete numbers, which size the history, got traced ones"
        )
    delays = checks.wholes("delay", delay)
    if delays.ndim > 1:
        raise ValueError(f"delay: expected a scalar or [N], got {checks.shown(delay)}")
    depth = int(delays.max(initial=0)) + 1

    def init(params: Params) -> DelayedState:
        n = agents.num_agents(params)
        if delays.ndim and len(delays) != n:
            raise ValueError(f"delay: expected one per agent ({n}), got {len(delays)}")
        history = jax.tree.map(lambda x: jnp.broadcast_to(x, (depth, *x.shape)), params)
        return DelayedState(history, rule.init(params), jnp.zeros((), jnp.int32))

    def mix_fn(
        key: Key, params: Params, state: DelayedState, exchange: Exchange
    ) -> tuple[Params, DelayedState, Traffic]:
        history = record(state.history, state.count, params, exchange)
        slot = (state.count - jnp.asarray(delays, jnp.int32)) % depth

        def old(leaf: jax.Array) -> jax.Array:
            return leaf[slot] if delays.ndim == 0 else leaf[slot, jnp.arange(leaf.shape[1])]

        arriving = exchange._replace(messages=jax.tree.map(old, history))
        params, inner, traffic = rule.mix(key, params, state.inner, arriving)
        return params, DelayedState(history, inner, state.count + 1), traffic

    return GossipTransformation(init, mix_fn, frozenset(rule.supports) - {"per_receiver"})


def record(history: PyTree, count: jax.Array, params: Params, exchange: Exchange) -> PyTree:
    """Put the messages of exchange ``count`` into slot ``count % D`` of a history ``[D, N, ...]``.

    An agent that is absent sends nothing: its slot repeats what it sent last.
    """
    depth = jax.tree.leaves(history)[0].shape[0]
    sent = exchange.sent(params)
    active = exchange.active(agents.num_agents(params))
    if active is not None:
        sent = agents.where(active, sent, jax.tree.map(lambda h: h[(count - 1) % depth], history))
    return jax.tree.map(lambda h, m: h.at[count % depth].set(m), history, sent)


def with_extras(rule: GossipTransformation, **extras: PyTree) -> GossipTransformation:
    """Give a rule extra inputs in every round, such as the ``context`` of some robust rules.

    ``with_extras(mozi(graph, loss), context=private)`` runs in any learner. Put it outside
    ``attacked``. Extras that the caller of ``mix`` gives itself take precedence.

    Raises:
        ValueError: if the rule does not support one of the extras.
    """
    require_support(rule, *extras, purpose="with_extras")

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        given = exchange._replace(extras={**extras, **exchange.extras})
        return rule.mix(key, params, state, given)

    return GossipTransformation(rule.init, mix_fn, rule.supports)
