"""Laws of motion of swarms, and how ordered a swarm is.

A law is a pure pair ``(init, step)`` with its numbers as a traced pytree; ``simulate`` and
``rollout`` run it, ``vmap`` sweeps seeds and noise levels. Neighbours come from
:mod:`jaxswarm.space`.
"""

from jaxswarm.swarms.boids import BoidsParameters, boids
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
    "BoidsParameters",
    "CuckerSmaleParameters",
    "Headed",
    "KuramotoInfo",
    "KuramotoParameters",
    "Law",
    "Oscillators",
    "Swarm",
    "SwarmInfo",
    "VicsekParameters",
    "boids",
    "clusters",
    "cucker_smale",
    "kuramoto",
    "largest_cluster",
    "mean_pair_distance",
    "milling",
    "nearest_distance",
    "phase_order",
    "polarisation",
    "vicsek",
]
