"""Transport: peers behind NATs, which pairs connect and how, how long that and messages take.

:func:`peers` draws peers, :func:`connects` tells which pairs get a direct connection by the rules
of their NATs, :func:`links` connects the edges of a graph, and :func:`over` makes a network process
of these, under which every gossip rule and learner runs unchanged.
"""

from jaxswarm.network.transport._links import Links, links, over, round_delays
from jaxswarm.network.transport._peers import (
    ADF,
    APDF,
    EDM,
    EIF,
    EIM,
    KINDS,
    LEVELS,
    MIX,
    Peers,
    connects,
    peers,
)
from jaxswarm.network.transport._requests import Requests, request_bound, requests
from jaxswarm.network.transport._times import (
    HANDSHAKES,
    Regions,
    medians,
    punches,
    regions,
    round_trips,
    setup_seconds,
    transfer_seconds,
)

__all__ = [
    "ADF",
    "APDF",
    "EDM",
    "EIF",
    "EIM",
    "HANDSHAKES",
    "KINDS",
    "LEVELS",
    "MIX",
    "Links",
    "Peers",
    "Regions",
    "Requests",
    "connects",
    "links",
    "medians",
    "over",
    "peers",
    "punches",
    "regions",
    "request_bound",
    "requests",
    "round_delays",
    "round_trips",
    "setup_seconds",
    "transfer_seconds",
]
