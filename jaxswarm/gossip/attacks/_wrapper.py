"""Byzantine agents: wrappers that replace the messages which some agents send.

A Byzantine agent holds parameters like every agent and follows the protocol, but for its messages.
Attacks are omniscient: they may read every honest message of the round. What they read and replace
is what gossip carries, models or their differences; the papers wrote gradients.

Shapes: ``N`` agents on axis 0 of every leaf.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.checks import is_traced
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.gossip.types import (
    Exchange,
    GossipTransformation,
    PerReceiverMessages,
    require_support,
)
from jaxswarm.topology import Topology, require_topology
from jaxswarm.types import Key, Params, PyTree


class ForgeFn(Protocol):
    """``forge(key, params, messages, byzantine, exchange) -> Byzantine messages [N, ...]``.

    ``params`` is what the agents hold, ``messages`` what all of them would send without attack,
    ``byzantine: bool[N]``. ``exchange.extras["previous"]`` holds the ``messages`` of the round
    before if the attack ``needs_previous``.
    """

    def __call__(
        self, key: Key, params: Params, messages: PyTree, byzantine: jax.Array, exchange: Exchange
    ) -> PyTree: ...


class Attack(NamedTuple):
    """What Byzantine agents send.

    Attributes:
        forge: makes their messages, leaves ``[N, ...]``; rows of honest agents are not used.
        per_receiver: false: row ``i`` is what Byzantine agent ``i`` sends to all. True: row ``i``
            is what every Byzantine agent sends to agent ``i``.
        needs_previous: whether ``forge`` reads ``exchange.extras["previous"]``, the messages that
            all agents would have sent in the round before; the initial parameters in the first.
    """

    forge: ForgeFn
    per_receiver: bool = False
    needs_previous: bool = False


class AttackedState(NamedTuple):
    """State of a rule under an attack that needs the previous messages, and the rule's own."""

    previous: PyTree
    rule: PyTree


def attacked(
    rule: GossipTransformation, attack: Attack, byzantine: jax.Array | np.ndarray
) -> GossipTransformation:
    """Replace the messages of Byzantine agents; several wrappers compose.

    Only messages of Byzantine agents change. The rule does not know which agents these are.

    Args:
        rule: any gossip rule that supports ``messages``; for an attack per receiver one that
            supports ``per_receiver``: plain averaging and the rules of
            :mod:`jaxswarm.gossip.robust`.
        attack: see :data:`jaxswarm.gossip.ATTACKS`.
        byzantine: ``bool[N]``; may be traced, so that a sweep over attackers compiles once.

    Returns:
        A rule that supports what ``rule`` supports; without ``per_receiver`` if this attack is one.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import gossip, topology
        >>> graph = topology.complete(5)
        >>> byzantine = jnp.arange(5) == 4
        >>> x = jnp.array([1.0, 2.0, 3.0, 4.0, 5.0])[:, None]
        >>> def after(rule):
        ...     rule = attacked(rule, gossip.attacks.sign_flip(100.0), byzantine)
        ...     state, mix = rule.init(x), jax.jit(rule.mix)
        ...     x_new, _, _ = mix(jax.random.key(0), x, state, gossip.Exchange(0))
        ...     return x_new[:4].ravel().round().tolist()
        >>> after(gossip.averaging(gossip.mixing(graph)))
        [-98.0, -98.0, -98.0, -98.0]
        >>> after(gossip.robust.trimmed_mean(graph, 1))
        [2.0, 2.0, 2.0, 2.0]

    Raises:
        ValueError: if ``byzantine`` is not a vector of flags or leaves no honest agent, or the rule
            does not support what the attack needs; while mixing, if ``byzantine`` has another
            length than the parameters.
    """
    flags = check_byzantine(byzantine)
    _require_attackable(rule, [attack])

    def init(params: Params) -> PyTree:
        own = rule.init(params)
        return AttackedState(params, own) if attack.needs_previous else own

    def mix_fn(
        key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        agents.check_leading_axis(params, flags.shape[0], "params")
        attack_key, rule_key = jax.random.split(key)
        honest_messages = exchange.sent(params)
        view = exchange
        if attack.needs_previous:
            view = exchange.with_extras(previous=state.previous)
        messages = attack.forge(attack_key, params, honest_messages, flags, view)
        if attack.per_receiver:
            _expect_no_other(exchange)
            replaced = PerReceiverMessages(flags, messages)
            exchange = exchange._replace(messages=honest_messages, per_receiver=replaced)
        else:
            messages = agents.where(flags, messages, honest_messages)
            exchange = exchange._replace(messages=messages)
        if not attack.needs_previous:
            return rule.mix(rule_key, params, state, exchange)
        params, own, traffic = rule.mix(rule_key, params, state.rule, exchange)
        previous = _sent_last(honest_messages, state.previous, exchange)
        return params, AttackedState(previous, own), traffic

    supports = frozenset(rule.supports)
    if attack.per_receiver:
        supports -= {"per_receiver"}
    return GossipTransformation(init, mix_fn, supports)


def attacked_by_one_of(
    rule: GossipTransformation,
    attacks: Sequence[Attack],
    which: int | jax.Array,
    byzantine: jax.Array | np.ndarray,
) -> GossipTransformation:
    """Apply attack number ``which``, possibly traced: a ``vmap`` over attacks is one program.

    All attacks are computed and one is used. Its state is an :class:`AttackedState`.

    Args:
        rule: plain averaging or a rule of :mod:`jaxswarm.gossip.robust`.
        attacks: the choices; at least one.
        which: an index into them; may be traced.
        byzantine: as for :func:`attacked`.

    Raises:
        ValueError: as :func:`attacked`; without attacks, or if a concrete ``which`` is no index.
    """
    flags = check_byzantine(byzantine)
    if not attacks:
        raise ValueError("attacks: expected at least one to choose from, got none")
    which = checks.index("which", which, len(attacks))
    _require_attackable(rule, attacks)
    any_per_receiver = any(attack.per_receiver for attack in attacks)

    def init(params: Params) -> AttackedState:
        return AttackedState(params, rule.init(params))

    def mix_fn(
        key: Key, params: Params, state: AttackedState, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]:
        agents.check_leading_axis(params, flags.shape[0], "params")
        attack_key, rule_key = jax.random.split(key)
        honest_messages = exchange.sent(params)
        view = exchange.with_extras(previous=state.previous)
        messages = by_receiver = honest_messages
        per_receiver = jnp.zeros((), bool)
        for number, attack in enumerate(attacks):
            forged = attack.forge(attack_key, params, honest_messages, flags, view)
            chosen = which == number
            if attack.per_receiver:
                by_receiver = _choose(chosen, forged, by_receiver)
                per_receiver |= chosen
            else:
                forged = agents.where(flags, forged, honest_messages)
                messages = _choose(chosen, forged, messages)
        exchange = exchange._replace(messages=messages)
        if any_per_receiver:
            _expect_no_other(exchange)
            replaced = PerReceiverMessages(flags & per_receiver, by_receiver)
            exchange = exchange._replace(per_receiver=replaced)
        params, own, traffic = rule.mix(rule_key, params, state.rule, exchange)
        previous = _sent_last(honest_messages, state.previous, exchange)
        return params, AttackedState(previous, own), traffic

    supports = frozenset(rule.supports)
    if any_per_receiver:
        supports -= {"per_receiver"}
    return GossipTransformation(init, mix_fn, supports)


def _sent_last(messages: PyTree, before: PyTree, exchange: Exchange) -> PyTree:
    """Messages of this round; of absent agents, those of before."""
    active = exchange.active(agents.num_agents(messages))
    return messages if active is None else agents.where(active, messages, before)


def check_byzantine(byzantine: Any) -> jax.Array:
    """Return flags ``bool[N]`` of Byzantine agents after checking them.

    Raises:
        ValueError: if they are not a vector of flags, or concrete and leave no honest agent.
    """
    flags = jnp.asarray(checks.mask("byzantine", byzantine, (None,)))
    if not is_traced(byzantine) and np.asarray(byzantine).all():
        raise ValueError(f"byzantine: expected an honest agent among {len(flags)}, got none")
    return flags


def check_byzantine_neighbors(topology: Topology, byzantine: Any, num_byzantine: int) -> None:
    """Check that every honest agent has few enough Byzantine neighbours to be protected.

    Raises:
        ValueError: naming the first honest agent with more than ``num_byzantine`` Byzantine
            in-neighbours, or without an honest one; if ``byzantine`` is not ``bool[N]``.
    """
    require_topology(topology)
    n = topology.num_agents
    flags = np.asarray(checks.mask("byzantine", byzantine, (n,)))
    num_byzantine = checks.whole("num_byzantine", num_byzantine)
    senders, receivers, mask = (
        np.atleast_2d(x) for x in (topology.senders, topology.receivers, topology.mask)
    )
    for sender, receiver, real in zip(senders, receivers, mask, strict=True):
        bad = np.bincount(receiver[real & flags[sender]], minlength=n)
        good = np.bincount(receiver[real & ~flags[sender]], minlength=n)
        for wrong, reason in (
            (bad > num_byzantine, f"more Byzantine neighbours than the {num_byzantine} tolerated"),
            (good == 0, "no honest neighbour"),
        ):
            if (wrong & ~flags).any():
                agent = int(np.argmax(wrong & ~flags))
                raise ValueError(
                    f"byzantine: honest agent {agent} has {reason} "
                    f"({bad[agent]} of {bad[agent] + good[agent]} are Byzantine)"
                )


def _require_attackable(rule: GossipTransformation, attacks: Sequence[Attack]) -> None:
    for attack in attacks:
        if not hasattr(attack, "forge"):
            raise ValueError(
                f"attack: expected an Attack such as attacks.alie(), got {type(attack).__name__}"
            )
    needed = {"per_receiver" if attack.per_receiver else "messages" for attack in attacks}
    require_support(rule, *sorted(needed), purpose="attacked")


def _expect_no_other(exchange: Exchange) -> None:
    if exchange.per_receiver is not None:
        raise ValueError("attacked: expected only one attack per receiver, got two")


def _choose(flag: Any, on_true: PyTree, on_false: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(flag, a, b), on_true, on_false)
