"""Network processes: message loss, churn, failures, partitions, stragglers and delays.

A process is a :class:`Network` ``(init, step)`` that gives, round by round, which agents are alive,
which take part and which messages are delivered, as a ``gossip.Exchange`` that every gossip rule
honours; :func:`combine` joins several. A :class:`FaultPlan` holds the same as data: :func:`record`
any process, store the plan as JSON, :func:`replay` it bit for bit. Which properties of the mixing
weights survive a loss is described in :mod:`jaxswarm.network.links`.
:mod:`~jaxswarm.network.crdt` holds data that replicas change independently and merge,
:mod:`~jaxswarm.network.dht` finds peers by identifiers,
:mod:`~jaxswarm.network.blocks` fetches content from them,
:mod:`~jaxswarm.network.transport` tells which peers behind NATs connect, and how fast,
:mod:`~jaxswarm.network.node` exchanges arrays between real processes.
"""

from jaxswarm.network import blocks, crdt, dht, node, transport
from jaxswarm.network._churn import (
    AWAY,
    CRASHED,
    PRESENT,
    ChurnState,
    churn,
    data_holders,
    disaster,
    hubs,
    random_victims,
)
from jaxswarm.network.delays import distance_delays, geometric_delays, uniform_delays
from jaxswarm.network.faults import KINDS, FaultPlan, fault_plan, record, replay
from jaxswarm.network.links import link_loss, partitioned
from jaxswarm.network.participation import sampled, stragglers
from jaxswarm.network.process import Network, combine, reliable

__all__ = [
    "AWAY",
    "CRASHED",
    "KINDS",
    "PRESENT",
    "ChurnState",
    "blocks",
    "FaultPlan",
    "Network",
    "churn",
    "combine",
    "crdt",
    "data_holders",
    "dht",
    "disaster",
    "distance_delays",
    "fault_plan",
    "geometric_delays",
    "hubs",
    "link_loss",
    "node",
    "partitioned",
    "random_victims",
    "record",
    "reliable",
    "replay",
    "sampled",
    "stragglers",
    "transport",
    "uniform_delays",
]
