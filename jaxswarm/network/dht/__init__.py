"""Kademlia: a distributed hash table, with thousands of lookups as one ``vmap``.

:func:`routing_table` fills the tables of all peers on the host; :func:`lookup` is the iterative
search of the protocol, counted in rounds and messages; :func:`put` and :func:`get` store records at
the peers that a lookup found. Identifiers are words of 32 bits, so nothing needs 64-bit integers.
"""

from jaxswarm.network.dht._ids import common_prefix, content_id, distance, random_ids
from jaxswarm.network.dht._lookup import Lookup, closest_peers, lookup
from jaxswarm.network.dht._records import (
    QUORUMS,
    Answer,
    Records,
    expire,
    get,
    put,
    quorum_size,
    records,
)
from jaxswarm.network.dht._tables import RoutingTable, routing_table

__all__ = [
    "QUORUMS",
    "Answer",
    "Lookup",
    "Records",
    "RoutingTable",
    "closest_peers",
    "common_prefix",
    "content_id",
    "distance",
    "expire",
    "get",
    "lookup",
    "put",
    "quorum_size",
    "random_ids",
    "records",
    "routing_table",
]
