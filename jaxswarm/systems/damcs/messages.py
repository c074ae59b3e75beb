"""What agents send when they decide: structured records, their whole history, or nothing.

A structured message has four fields, of which masks decide which cross: the long-term goal, the
goal, the items missing and the items held. It is broadcast when its sender has decided and arrives
before the next decisions. In the reference messages go along a chain of ids instead.

Shapes: ``N`` agents; inboxes ``[N receivers, N senders, ...]``.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.types import Key

FIELDS = ("long_term", "goal", "missing", "have")
FIELD_BYTES = (1, 1, 16, 16)
RECORD_BYTES = 25
"""Bytes of one experience: time 2, position 2, facing 1, vital signs 4, items 12, record 4."""


class MessageKind(NamedTuple):
    """What crosses, as traced flags.

    Attributes:
        sent: whether messages are sent at all.
        fields: ``bool[4]``, which of :data:`FIELDS` cross.
        history: whether all experiences cross, too.
        shuffled: whether contents are permuted among senders, each field on its own, as a control.
    """

    sent: Any = True
    fields: Any = (True, True, True, True)
    history: Any = False
    shuffled: Any = False


MESSAGE_KINDS = {
    "structured": MessageKind(),
    "none": MessageKind(sent=False),
    "history": MessageKind(history=True),
    "shuffled": MessageKind(shuffled=True),
}
"""Kinds of messages by name."""


class Message(NamedTuple):
    """A message of every agent; leaves lead with the senders.

    Attributes:
        long_term: ``int32[N]``, -1 unless the field crosses.
        goal: ``int32[N]``, -1 unless the field crosses.
        missing: ``int32[N, 16]``, zeros unless the field crosses.
        have: ``int32[N, 16]``, zeros unless the field crosses.
        time: ``int32[N]``, when it was sent; -1 if never.
    """

    long_term: jax.Array
    goal: jax.Array
    missing: jax.Array
    have: jax.Array
    time: jax.Array


def no_messages(num_agents: int) -> Message:
    """Empty messages.

    Raises:
        ValueError: if ``num_agents < 1``.
    """
    n = checks.whole("num_agents", num_agents, 1)
    none, items = jnp.full(n, -1, jnp.int32), jnp.zeros((n, 16), jnp.int32)
    return Message(none, none, items, items, none)


def post(key: Key, inbox: Message, sent: Message, decided: jax.Array, kind: MessageKind) -> Message:
    """Replace the messages of agents that have decided by their new ones.

    Args:
        key: a random key, for shuffled contents.
        inbox: the last message of each sender.
        sent: what each would send now.
        decided: ``bool[N]``, who sends.
        kind: what crosses.
    """
    n = decided.shape[0]
    fields = jnp.asarray(kind.fields)
    crossing = Message(
        jnp.where(fields[0], sent.long_term, -1),
        jnp.where(fields[1], sent.goal, -1),
        jnp.where(fields[2], sent.missing, 0),
        jnp.where(fields[3], sent.have, 0),
        sent.time,
    )
    orders = jnp.argsort(jax.random.uniform(key, (4, n)), axis=1)
    orders = jnp.where(jnp.asarray(kind.shuffled), orders, jnp.arange(n)[None])
    contents = [leaf[order] for leaf, order in zip(crossing[:4], orders, strict=True)]
    crossing = Message(*[*contents, crossing.time])
    goes = decided & jnp.asarray(kind.sent)

    def put(new: jax.Array, old: jax.Array) -> jax.Array:
        return jnp.where(goes.reshape((n,) + (1,) * (old.ndim - 1)), new, old)

    return jax.tree.map(put, crossing, inbox)


def bytes_sent(
    decided: jax.Array, alive: jax.Array, experiences: jax.Array, kind: MessageKind
) -> jax.Array:
    """Bytes that the agents which decided send to all others that are alive, ``float32[]``.

    Args:
        decided: ``bool[N]``.
        alive: ``bool[N]``.
        experiences: ``int32[N]``, length of each history.
        kind: what crosses.
    """
    structured = jnp.sum(jnp.where(jnp.asarray(kind.fields), jnp.array(FIELD_BYTES), 0))
    history = jnp.where(jnp.asarray(kind.history), experiences * RECORD_BYTES, 0)
    receivers = jnp.sum(alive) - alive
    each = jnp.where(decided & alive, (structured + history) * receivers, 0)
    return jnp.where(jnp.asarray(kind.sent), jnp.sum(each), 0).astype(jnp.float32)
