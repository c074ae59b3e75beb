"""The contract of a gossip rule: a NamedTuple of pure functions ``(init, mix)``.

Shapes: ``N`` agents (axis 0 of every leaf), ``E`` directed edge slots of the topology.
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

PyTree = Any


class Exchange(NamedTuple):
    """What the network delivers in one round; ``None`` means “nothing special happened”.

    Attributes:
        index: ``int32[]``, the round number, counted from 0.
        alive: ``bool[N]``; the dead neither send nor change.
        participates: ``bool[N]``; who takes part in this round's exchange (sampling, stragglers).
        delivered: ``bool[E]``; which messages arrive, in the edge order of the rule's topology.
    """

    index: Any
    alive: jax.Array | None = None
    participates: jax.Array | None = None
    delivered: jax.Array | None = None


class Traffic(NamedTuple):
    """What was sent: scalars, float32 so that a million rounds do not overflow.

    Exact up to 2²⁴ per round, relative error 6e-8 beyond.

    Attributes:
        messages: number of directed agent-to-agent messages.
        bytes: their payload.
    """

    messages: jax.Array
    bytes: jax.Array


class Forged(NamedTuple):
    """Messages that depend on who reads them, the extra ``forged`` of some rules.

    ``messages`` of a rule are one per *sender*. An attacker may tell everyone something else; the
    strongest such attacks choose it by receiver alone, which needs no ``[E, ...]`` array: whatever
    any of ``senders`` tells agent ``i`` in this round is ``messages[i]``.

    Attributes:
        senders: ``bool[N]``, whose messages are replaced.
        messages: like the parameters, leaves ``[N, ...]`` by receiver.
    """

    senders: jax.Array
    messages: PyTree


class InitFn(Protocol):
    """``init(params) -> state``: what the rule carries between rounds, for stacked ``params``."""

    def __call__(self, params: PyTree) -> PyTree: ...


class MixFn(Protocol):
    """``mix(key, params, state, round, *, messages=None, **extra) -> (params, state, traffic)``.

    ``params`` is what each agent holds; ``messages`` is what it *tells* the others, the same
    structure, ``params`` itself unless a wrapper (delay, compression, an attacker) says otherwise.
    ``extra`` carries what a rule needs beyond parameters; rules ignore the extras that they do not
    know. ``forged`` (:class:`Forged`) is named in the signature of the rules that honour it.
    """

    def __call__(
        self,
        key: jax.Array,
        params: PyTree,
        state: PyTree,
        round: Exchange,
        *,
        messages: PyTree | None = None,
        **extra: Any,
    ) -> tuple[PyTree, PyTree, Traffic]: ...


class GossipTransformation(NamedTuple):
    """A gossip rule, the counterpart of ``optax.GradientTransformation``."""

    init: InitFn
    mix: MixFn


def no_traffic() -> Traffic:
    """A round in which nobody sent anything."""
    return Traffic(jnp.zeros(()), jnp.zeros(()))
