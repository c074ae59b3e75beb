"""Decentralised learning on data: local optimisation composed with gossip.

A learner is an :class:`~jaxswarm.algorithm.Algorithm`, made by a factory from *any* single-agent
loss, *any* optax optimiser and *any* gossip rule: :func:`decentralized` (D-PSGD and kin, FedAvg,
isolated agents), :func:`gradient_tracking`, :func:`exact_diffusion`, :func:`d2`, and the
:func:`centralized` baseline. ``simulate(learner.step, learner.init(params), …)`` runs it.
"""

from jaxswarm.learning.corrected import d2, exact_diffusion, gradient_tracking
from jaxswarm.learning.decentralized import (
    LearnerInfo,
    LearnerState,
    Ledger,
    centralized,
    decentralized,
)
from jaxswarm.learning.precision import mixed_precision
from jaxswarm.learning.supervised import Metrics, classification_loss, evaluation, merge
from jaxswarm.network.process import Network, reliable

__all__ = [
    "LearnerInfo",
    "LearnerState",
    "Ledger",
    "Metrics",
    "Network",
    "centralized",
    "classification_loss",
    "d2",
    "decentralized",
    "evaluation",
    "exact_diffusion",
    "gradient_tracking",
    "merge",
    "mixed_precision",
    "reliable",
]
