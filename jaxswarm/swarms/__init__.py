"""Models of collective motion and synchronization, and their order parameters.

Vicsek, boids, Cucker-Smale, Couzin, aggregation and Kuramoto models. Each function returns a
:class:`Dynamics`, a pair of pure functions ``(init, step)`` whose physical parameters are a traced
pytree: ``jaxswarm.simulate`` and ``jaxswarm.rollout`` run it, ``vmap`` sweeps seeds and noise
levels. Neighbours within a radius are found by :mod:`jaxswarm.space`.
"""

from jaxswarm.swarms._aggregation import (
    AggregationInfo,
    AggregationParams,
    PositionState,
    aggregation,
    swarm_radius,
)
from jaxswarm.swarms._boids import BoidsParams, boids
from jaxswarm.swarms._couzin import CouzinParams, couzin
from jaxswarm.swarms._cucker_smale import CuckerSmaleParams, cucker_smale
from jaxswarm.swarms._kuramoto import KuramotoInfo, KuramotoParams, Oscillators, kuramoto
from jaxswarm.swarms._vicsek import HeadingState, VicsekParams, vicsek
from jaxswarm.swarms.dynamics import Dynamics, Swarm, SwarmInfo
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
    "Dynamics",
    "HeadingState",
    "KuramotoInfo",
    "KuramotoParams",
    "Oscillators",
    "PositionState",
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
