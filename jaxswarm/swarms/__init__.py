"""Laws of motion of swarms, and how ordered a swarm is.

A law is a pure pair ``(init, step)`` with its numbers as a traced pytree; ``simulate`` and
``rollout`` run it, ``vmap`` sweeps seeds and noise levels. Neighbours come from
:mod:`jaxswarm.space`.
"""

from jaxswarm.swarms.aggregation import (
    AggregationInfo,
    AggregationParameters,
    Still,
    aggregation,
    swarm_radius,
)
from jaxswarm.swarms.boids import BoidsParameters, boids
from jaxswarm.swarms.couzin import CouzinParameters, couzin
from jaxswarm.swarms.cucker_smale import CuckerSmaleParameters, cucker_smale
from jaxswarm.swarms.kuramoto import KuramotoInfo, KuramotoParameters, Oscillators, kuramoto
from jaxswarm.swarms.law import Law, Swarm, SwarmInfo
from jaxswarm.swarms.order import (
    clusters,
    largest_cluster,
    mean_pair_distance,
    milling,
    nearest_distance,
    phase_order,
    polarisation,
)
from jaxswarm.swarms.vicsek import Headed, VicsekParameters, vicsek

__all__ = [
    "AggregationInfo",
    "AggregationParameters",
    "BoidsParameters",
    "CouzinParameters",
    "CuckerSmaleParameters",
    "Headed",
    "KuramotoInfo",
    "KuramotoParameters",
    "Law",
    "Oscillators",
    "Still",
    "Swarm",
    "SwarmInfo",
    "VicsekParameters",
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
    "polarisation",
    "swarm_radius",
    "vicsek",
]
