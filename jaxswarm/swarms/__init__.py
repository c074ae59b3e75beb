"""Laws of motion of swarms, and how ordered a swarm is.

A law is a pure pair ``(init, step)`` with its numbers as a traced pytree; ``simulate`` and
``rollout`` run it, ``vmap`` sweeps seeds and noise levels. Neighbours come from
:mod:`jaxswarm.space`.
"""

from jaxswarm.swarms._aggregation import (
    AggregationInfo,
    AggregationParams,
    Still,
    aggregation,
    swarm_radius,
)
from jaxswarm.swarms._boids import BoidsParams, boids
from jaxswarm.swarms._couzin import CouzinParams, couzin
from jaxswarm.swarms._cucker_smale import CuckerSmaleParams, cucker_smale
from jaxswarm.swarms._kuramoto import KuramotoInfo, KuramotoParams, Oscillators, kuramoto
from jaxswarm.swarms._vicsek import Headed, VicsekParams, vicsek
from jaxswarm.swarms.law import Law, Swarm, SwarmInfo
from jaxswarm.swarms.order import (
    clusters,
    largest_cluster,
    mean_pair_distance,
    milling,
    nearest_distance,
    phase_order,
    polarization,
)

__all__ = [
    "AggregationInfo",
    "AggregationParams",
    "BoidsParams",
    "CouzinParams",
    "CuckerSmaleParams",
    "Headed",
    "KuramotoInfo",
    "KuramotoParams",
    "Law",
    "Oscillators",
    "Still",
    "Swarm",
    "SwarmInfo",
    "VicsekParams",
    "aggregation",
    "boids",
    "clusters",
    "couzin",
    "cucker_smale",
    "kuramoto",
    "largest_cluster",
    "mean_pair_distance",
    "milling",
    "nearest_distance",
    "phase_order",
    "polarization",
    "swarm_radius",
    "vicsek",
]
