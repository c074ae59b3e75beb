"""Bristle: Byzantine-resilient decentralised transfer learning on non-IID data.

:func:`performance_based` is prioritizer and integrator as a gossip rule, :func:`bristle` the
learner around it, :func:`peers` the private data of both, :func:`with_head` and :func:`pretrained`
the frozen body.
"""

from jaxswarm.systems.bristle._peers import Peers, Tests, peers
from jaxswarm.systems.bristle.body import centered, features, pretrained, with_head
from jaxswarm.systems.bristle.integrator import (
    Weights,
    best_classes,
    certainty,
    f1_scores,
    integrate,
    performance_weights,
)
from jaxswarm.systems.bristle.learner import bristle, head_loss, keep_familiar, performance_based
from jaxswarm.systems.bristle.prioritizer import SELECTIONS, prioritize, thirds

__all__ = [
    "SELECTIONS",
    "Peers",
    "Tests",
    "Weights",
    "best_classes",
    "bristle",
    "centered",
    "certainty",
    "f1_scores",
    "features",
    "head_loss",
    "integrate",
    "keep_familiar",
    "peers",
    "performance_based",
    "performance_weights",
    "pretrained",
    "prioritize",
    "thirds",
    "with_head",
]
