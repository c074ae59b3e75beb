"""Conflict-free replicated data: counters, registers, maps and sets that merge, and anti-entropy.

Every kind is a tuple of pure functions on the state of one replica (``vmap`` them over replicas):
``init``, ``merge``, ``read``, ``version`` and its operations. Merging is commutative, associative
and idempotent, so replicas agree once they have seen the same operations, whatever was lost,
repeated or reordered on the way. :func:`anti_entropy` makes a gossip rule of any kind.

No published system's replicated store is copied here: which kinds there are, and how ties are
broken, is defined by this package.
"""

from jaxswarm.network.crdt._clocks import (
    AFTER,
    BEFORE,
    CONCURRENT,
    EQUAL,
    Clock,
    clock,
    compare_versions,
    receive,
    tick,
)
from jaxswarm.network.crdt._counters import Counter, Tallies, g_counter, pn_counter
from jaxswarm.network.crdt._registers import Keyed, Register, Written, keyed, lww_register
from jaxswarm.network.crdt._replication import agreement, anti_entropy, fingerprint, replicas
from jaxswarm.network.crdt._sets import Dots, ORSet, or_set

__all__ = [
    "AFTER",
    "BEFORE",
    "CONCURRENT",
    "EQUAL",
    "Clock",
    "Counter",
    "Dots",
    "Keyed",
    "ORSet",
    "Register",
    "Tallies",
    "Written",
    "agreement",
    "anti_entropy",
    "clock",
    "compare_versions",
    "fingerprint",
    "g_counter",
    "keyed",
    "lww_register",
    "or_set",
    "pn_counter",
    "receive",
    "replicas",
    "tick",
]
