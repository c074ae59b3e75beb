"""State and metrics of MoDeST.

Shapes: ``N`` agents, ``A`` aggregate slots.
"""

from typing import NamedTuple

import jax

from jaxswarm.gossip.traffic import Ledger
from jaxswarm.systems.modest.views import View
from jaxswarm.types import Params


class Bytes(NamedTuple):
    """Bytes by kind of message, ``float32[]`` each.

    What an agent hands to itself is not sent and not counted.

    Attributes:
        model: model parameters.
        view: views that are sent with models.
        ping: pings, their repetitions and answers.
        membership: announcements of JOIN and LEAVE.
    """

    model: jax.Array
    view: jax.Array
    ping: jax.Array
    membership: jax.Array

    @property
    def total(self) -> jax.Array:
        """Sum over all kinds."""
        return self.model + self.view + self.ping + self.membership


class ModestState(NamedTuple):
    """State of the protocol between rounds.

    Attributes:
        aggregates: leaves ``[A, ...]``, the models that aggregators hold.
        aggregator: ``int32[A]``, the agent that holds them, ``-1`` in an empty slot.
        views: ``[N, N]`` each.
        pending: ``[N, N]`` each: JOINs that an agent holds back until it has sent a model.
        round: ``int32[]``, the protocol's round ``k``.
        tick: ``int32[]``, steps of the simulation; more than ``round`` after a stall.
        waiting: ``int32[]``, ticks since the present round stalled.
        ledger: bytes since the start, by kind.
    """

    aggregates: Params
    aggregator: jax.Array
    views: View
    pending: View
    round: jax.Array
    tick: jax.Array
    waiting: jax.Array
    ledger: Ledger

    @property
    def sent(self) -> Bytes:
        """Bytes since the start."""
        return self.ledger.total


class ModestInfo(NamedTuple):
    """Metrics of one round.

    Attributes:
        stalled: ``bool[]``: no aggregate was completed.
        trained: ``int32[]``, agents that trained.
        sampled: ``bool[N]``, which.
        completed: ``int32[]``, aggregates completed.
        pings: ``int32[]``, agents that were pinged; ``failures`` of them did not answer.
        failures: ``int32[]``.
        dropped: ``int32[]``, trainers, aggregators or announcements beyond the slots there are.
        sent: bytes of this round, by kind.
    """

    stalled: jax.Array
    trained: jax.Array
    sampled: jax.Array
    completed: jax.Array
    pings: jax.Array
    failures: jax.Array
    dropped: jax.Array
    sent: Bytes
