"""MoDeST: federated averaging without a server, by client samples that every agent derives itself.

:func:`modest` is the protocol as an algorithm, :func:`membership` the schedule of joins, leaves and
crashes. It rests on :mod:`views`, membership beliefs that merge in any order, and :mod:`sampling`,
an order of agents by hash that all agents compute alike. :func:`federated` is the same sampling by
a server with full knowledge, the baseline.
"""

from jaxswarm.systems.modest._federated import FederatedState, federated
from jaxswarm.systems.modest._membership import Membership, always_online, membership
from jaxswarm.systems.modest.protocol import modest
from jaxswarm.systems.modest.sampling import ResolvedSample, resolve_sample, sample_order
from jaxswarm.systems.modest.state import Bytes, ModestInfo, ModestState
from jaxswarm.systems.modest.views import (
    View,
    candidates,
    check_view,
    initial_views,
    merge_views,
)

__all__ = [
    "Bytes",
    "FederatedState",
    "Membership",
    "ModestInfo",
    "ModestState",
    "ResolvedSample",
    "View",
    "always_online",
    "candidates",
    "check_view",
    "federated",
    "initial_views",
    "membership",
    "merge_views",
    "modest",
    "resolve_sample",
    "sample_order",
]
