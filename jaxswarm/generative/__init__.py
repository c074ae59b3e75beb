"""Generative models of many agents: training of flows, experts under a router, fine-tuning.

The models themselves (paths, velocities, samplers, metrics) are ``jaxswarm.models.flow``.
``generative.flow_matching(model, optimizer)`` trains one; stack states with ``vmap`` for many.
"""

from jaxswarm.generative._flow_matching import FlowInfo, FlowState, flow_matching

__all__ = ["FlowInfo", "FlowState", "flow_matching"]
