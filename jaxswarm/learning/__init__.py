"""Decentralised learning on data: local optimisation composed with gossip.

A learner is an :class:`~jaxswarm.algorithm.Algorithm`, made by a factory from *any* single-agent
loss, *any* optax optimiser and *any* gossip rule. ``simulate(learner.step, learner.init(params),
…)`` runs it.

* by name: :func:`dpsgd`, :func:`fedavg`, :func:`local_sgd`, :func:`isolated`
* in general: :func:`decentralized`, from which these are made; :func:`centralized`, the baseline
* bias-corrected, exact on heterogeneous data: :func:`gradient_tracking`, :func:`exact_diffusion`,
  :func:`d2`; :func:`cross_gradient` (CGA)
* with neurons matched before averaging: :mod:`~jaxswarm.learning.matching`
* strongly convex problems, with guaranteed constants, from the gradient of one agent:
  :mod:`~jaxswarm.learning.asynchronous` has :func:`dadao` on independent Poisson clocks and the
  methods to compare it with, :func:`adom_plus`, :func:`msda` and :func:`continuized`
* losses and metrics: :func:`classification_loss`, :func:`evaluation`, :func:`merge`,
  :func:`mixed_precision`

Methods that belong to one published system are in :mod:`jaxswarm.systems`. A learner of your own
builds its state with :func:`initial_state`.
"""

from jaxswarm.learning import matching
from jaxswarm.learning._cross_gradient import cross_gradient
from jaxswarm.learning._decentralized import centralized, decentralized
from jaxswarm.learning._named import dpsgd, fedavg, isolated, local_sgd
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
from jaxswarm.learning.state import (
    LearnerInfo,
    LearnerState,
    Ledger,
    check_parts,
    initial_state,
    keep_absent,
    next_round,
)
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
    "check_parts",
    "classification_loss",
    "continuized",
    "cross_gradient",
    "d2",
    "dadao",
    "dadao_process",
    "decentralized",
    "dpsgd",
    "evaluation",
    "exact_diffusion",
    "fedavg",
    "gradient_tracking",
    "initial_state",
    "isolated",
    "keep_absent",
    "local_sgd",
    "matching",
    "merge",
    "mixed_precision",
    "msda",
    "next_round",
    "point_process",
    "poisson_events",
    "quadratic_dual_gradient",
    "reliable",
]
