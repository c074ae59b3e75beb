"""Decentralised learning on data: local optimisation composed with gossip.

A learner is an :class:`~jaxswarm.algorithm.Algorithm`, made by a factory from *any* single-agent
loss, *any* optax optimiser and *any* gossip rule: :func:`decentralized` (D-PSGD and kin, FedAvg,
isolated agents), :func:`gradient_tracking`, :func:`exact_diffusion`, :func:`d2`, and the
:func:`centralized` baseline. ``simulate(learner.step, learner.init(params), …)`` runs it.

For strongly convex problems there are accelerated methods with guaranteed constants, made from the
gradient of one agent, in :mod:`~jaxswarm.learning.asynchronous`: :func:`dadao` on independent
clocks, and :func:`adom_plus`, :func:`msda` and :func:`continuized` to compare it with.

Whole systems have rooms of their own: :mod:`~jaxswarm.systems.modest` samples without a server,
:mod:`~jaxswarm.learning.matching` matches neurons before averaging, and
:mod:`~jaxswarm.systems.bristle` exchanges output layers among liars.
"""

from jaxswarm.learning import matching
from jaxswarm.learning._cross_gradient import cross_gradient
from jaxswarm.learning._decentralized import (
    LearnerInfo,
    LearnerState,
    Ledger,
    centralized,
    decentralized,
)
from jaxswarm.learning.asynchronous import (
    adom_plus,
    continuized,
    dadao,
    dadao_process,
    msda,
    point_process,
    poisson_events,
    quadratic_dual_gradient,
)
from jaxswarm.learning.corrected import d2, exact_diffusion, gradient_tracking
from jaxswarm.learning.precision import mixed_precision
from jaxswarm.learning.supervised import Metrics, classification_loss, evaluation, merge
from jaxswarm.network.process import Network, reliable

__all__ = [
    "LearnerInfo",
    "LearnerState",
    "Ledger",
    "Metrics",
    "Network",
    "adom_plus",
    "centralized",
    "classification_loss",
    "continuized",
    "cross_gradient",
    "d2",
    "dadao",
    "dadao_process",
    "decentralized",
    "evaluation",
    "exact_diffusion",
    "gradient_tracking",
    "matching",
    "merge",
    "mixed_precision",
    "msda",
    "point_process",
    "poisson_events",
    "quadratic_dual_gradient",
    "reliable",
]
