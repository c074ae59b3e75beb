"""MoDeST: federated averaging without a server, by samples that every node derives for itself.

:func:`modest` is the protocol as an algorithm, :func:`membership` who comes and goes, and
:mod:`views` and :mod:`sampling` the two ideas it stands on: beliefs that merge whatever way they
travel, and an order by hash that everyone computes alike. :func:`federated` is the same sampling
with an all-knowing server, the baseline.
"""

from jaxswarm.systems.modest._federated import FederatedState, federated
from jaxswarm.systems.modest._membership import Membership, always_online, membership
from jaxswarm.systems.modest.protocol import Bytes, ModestInfo, ModestState, modest
from jaxswarm.systems.modest.sampling import Found, resolve_sample, sample_order
from jaxswarm.systems.modest.views import (
    View,
    candidates,
    check_view,
    everyone_known,
    merge_views,
)

__all__ = [
    "Bytes",
    "FederatedState",
    "Found",
    "Membership",
    "ModestInfo",
    "ModestState",
    "View",
    "always_online",
    "candidates",
    "check_view",
    "everyone_known",
    "federated",
    "membership",
    "merge_views",
    "modest",
    "resolve_sample",
    "sample_order",
]
