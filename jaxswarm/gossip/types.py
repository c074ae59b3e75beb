"""The contract of a gossip rule: ``(init, mix, supports)`` and the exchange of one round.

Shapes: ``N`` agents (axis 0 of every leaf), ``E`` directed edge slots of the topology.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxswarm import agents, checks
from jaxswarm.gossip.traffic import Traffic
from jaxswarm.types import ArrayLike, Key, Params, PyTree

FEATURES: dict[str, str] = {
    "messages": "what agents send may differ from what they hold (Exchange.messages)",
    "per_receiver": "adversarial messages may differ by receiver (Exchange.per_receiver)",
    "context": "private data of every agent (Exchange.extras), leaves [N, ...]",
    "public": "data that every agent publishes to its out-neighbours (Exchange.extras)",
    "withholds": "bool[N], agents that forward no record of others (Exchange.extras)",
    "match_inputs": "inputs on which units of networks are matched (Exchange.extras)",
    "only_fresh": "restriction: messages are of this round (no delay, no compression)",
    "only_drawn": (
        "restriction: messages go to neighbours drawn anew each round, which keep no copy of them "
        "(no compression with error feedback)"
    ),
    "only_row": (
        "restriction: weights are row-stochastic, so that the average over agents is not kept "
        "(no gradient tracking, exact diffusion, D²)"
    ),
    "only_first": (
        "restriction: of several exchanges a round only the first carries Exchange.messages "
        "(no compression)"
    ),
}
"""What a rule may say it ``supports``. Names of further extras may be added by any rule.

Names that begin with ``only_`` are restrictions: a wrapper passes them on, whatever it wraps.
"""

RESTRICTIONS = frozenset(name for name in FEATURES if name.startswith("only_"))
"""The restrictions among :data:`FEATURES`."""


class PerReceiverMessages(NamedTuple):
    """Adversarial messages that differ by receiver.

    ``Exchange.messages`` holds one message per *sender*. The strongest attacks send every receiver
    another message; they choose it by receiver alone, which needs no ``[E, ...]`` array: all
    ``senders`` send ``messages[i]`` to agent ``i``.

    Attributes:
        senders: ``bool[N]``, agents whose messages are replaced.
        messages: like the parameters, leaves ``[N, ...]`` by receiver.
    """

    senders: jax.Array
    messages: PyTree


class Exchange(NamedTuple):
    """What one round of gossip delivers; ``None`` stands for the undisturbed case.

    Attributes:
        index: ``int32[]``, the round number, counted from 0.
        alive: ``bool[N]``; agents that are not alive neither send nor change.
        participates: ``bool[N]``; agents that take part in this round (sampling, stragglers).
        delivered: ``bool[E]``; which messages arrive, in the edge order of the rule's topology.
        messages: what agents send, like the parameters; the parameters themselves if ``None``.
            Wrappers set it: delay, compression, attacks.
        per_receiver: adversarial messages that differ by receiver.
        extras: what a rule needs beyond parameters, by name, see :data:`FEATURES`. A rule ignores
            names that it does not know. Never change the dictionary: use :meth:`with_extras`.

    Example:
        >>> import jax.numpy as jnp
        >>> exchange = Exchange(0, alive=jnp.array([True, True, False]))
        >>> exchange.sent(jnp.ones((3, 2))).shape
        (3, 2)
        >>> exchange.active(3).tolist()
        [True, True, False]
    """

    index: ArrayLike
    alive: jax.Array | None = None
    participates: jax.Array | None = None
    delivered: jax.Array | None = None
    messages: PyTree | None = None
    per_receiver: PerReceiverMessages | None = None
    extras: Mapping[str, PyTree] = {}

    def sent(self, params: Params) -> PyTree:
        """Messages that agents send: ``messages``, or ``params`` where nothing replaces them.

        Raises:
            ValueError: if messages have another structure or other shapes than ``params``.
        """
        if self.messages is None:
            return params
        agents.check_same_shapes(self.messages, params, "messages")
        return self.messages

    def active(self, num_agents: int) -> jax.Array | None:
        """Mask ``bool[N]`` of agents that are alive and take part; ``None`` means all of them.

        Raises:
            ValueError: if ``alive`` or ``participates`` is not ``bool[N]``.
        """
        for name, mask in (("alive", self.alive), ("participates", self.participates)):
            if mask is None:
                continue
            checks.mask(name, mask, (num_agents,))
        both = combine_masks(self.alive, self.participates)
        return None if both is None else jnp.asarray(both)

    def with_extras(self, **extras: PyTree) -> "Exchange":
        """Return the exchange with some extras added or replaced."""
        return self._replace(extras={**self.extras, **extras})


class InitFn(Protocol):
    """``init(params) -> state``: what the rule carries between rounds, for stacked ``params``."""

    def __call__(self, params: Params) -> PyTree: ...


class MixFn(Protocol):
    """``mix(key, params, state, exchange) -> (params, state, traffic)``: one round of a rule.

    ``params`` is what each agent holds, leaves ``[N, ...]``; ``exchange.sent(params)`` is what it
    sends; ``key`` is consumed. ``traffic`` counts the messages and bytes sent.
    """

    def __call__(
        self, key: Key, params: Params, state: PyTree, exchange: Exchange
    ) -> tuple[Params, PyTree, Traffic]: ...


class GossipTransformation(NamedTuple):
    """A gossip rule, the counterpart of ``optax.GradientTransformation``.

    Attributes:
        init: ``init(params) -> state``.
        mix: ``mix(key, params, state, exchange) -> (params, state, traffic)``.
        supports: names of :data:`FEATURES` that ``mix`` honours. A wrapper or attack that needs
            another is refused when it is built; a rule that reads ``exchange.sent(params)`` instead
            of ``params`` supports ``"messages"``.

    Example:
        A rule of one's own, half of plain averaging:

        >>> import jax
        >>> from jaxswarm import gossip, topology
        >>> W = gossip.mixing(topology.ring(4))
        >>> def mix(key, params, state, exchange):
        ...     mixed = gossip.mix(W, params, exchange.sent(params))
        ...     params = jax.tree.map(lambda x, m: (x + m) / 2, params, mixed)
        ...     return params, state, gossip.traffic_of(W.num_messages(), params)
        >>> rule = gossip.GossipTransformation(lambda params: (), mix, supports={"messages"})
        >>> gossip.delayed(rule, 2).supports
        frozenset({'messages'})
    """

    init: InitFn
    mix: MixFn
    supports: Collection[str] = frozenset()


def combine_masks(a: jax.Array | None, b: jax.Array | None) -> jax.Array | None:
    """Return ``a & b``, where ``None`` means all true."""
    if a is None or b is None:
        return b if a is None else a
    return jnp.asarray(a) & jnp.asarray(b)


def common_support(*rules: "GossipTransformation") -> frozenset[str]:
    """Return what all rules support, with the restrictions of each."""
    supports = [frozenset(rule.supports) for rule in rules]
    return frozenset.intersection(*supports) | (frozenset.union(*supports) & RESTRICTIONS)


def require_support(rule: Any, *needed: str, purpose: str, refused: Collection[str] = ()) -> None:
    """Check that a value is a gossip rule that supports what a wrapper needs.

    Args:
        rule: what the caller gave.
        needed: names of :data:`FEATURES`.
        purpose: the wrapper or attack, for the message.
        refused: restrictions that the wrapper cannot keep to.

    Raises:
        ValueError: if it is not a rule, naming what it does not support or what restricts it.
    """
    if not (hasattr(rule, "init") and hasattr(rule, "mix")):
        raise ValueError(
            f"rule: expected a gossip rule such as gossip.averaging(W), got {type(rule).__name__}"
        )
    supports = getattr(rule, "supports", ())
    missing = [name for name in needed if name not in supports]
    for name in refused:
        if name in supports:
            raise ValueError(
                f"rule: {purpose} expects a rule without {name}, got one with this {FEATURES[name]}"
            )
    if missing:
        known = ", ".join(sorted(supports)) or "nothing"
        raise ValueError(
            f"rule: {purpose} expects a rule that supports {', '.join(missing)}, got one that "
            f"supports {known}. Attacks go inside other wrappers; a rule of your own says what its "
            "mix honours in GossipTransformation(init, mix, supports)"
        )
