"""Generative models of many agents: training of flows, experts under a router, fine-tuning.

The models themselves (paths, velocities, samplers, metrics) are ``jaxswarm.models.flow``.
``generative.flow_matching(model, optimizer)`` trains one; stack states with ``vmap`` for many.
``generative.experts(model, generative.cluster(features, K))`` trains one per cluster of the data.
"""

from jaxswarm.generative._distillation import Distillation, distillation
from jaxswarm.generative._ensemble import Ensemble, ensemble
from jaxswarm.generative._experts import Experts, ExpertsInfo, ExpertsState, experts
from jaxswarm.generative._flow_matching import FlowInfo, FlowState, flow_matching
from jaxswarm.generative._partition import cluster
from jaxswarm.generative._router import MODES, Router, expert_weights, router, router_loss

__all__ = [
    "MODES",
    "Distillation",
    "Ensemble",
    "Experts",
    "ExpertsInfo",
    "ExpertsState",
    "FlowInfo",
    "FlowState",
    "Router",
    "cluster",
    "distillation",
    "ensemble",
    "expert_weights",
    "experts",
    "flow_matching",
    "router",
    "router_loss",
]
