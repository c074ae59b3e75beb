"""Committees of nodes that repeat an inference and compare their output distributions.

``draw_committee`` draws members from a public beacon, ``draw_committees`` many at once inside
``jit``; ``decide`` accepts an output that a majority of the members lies near to, within a
tolerance that ``calibrate`` reads off real executions; ``settle`` moves stakes. ``publish`` and
``collect`` commit to outputs before any is shown, so that members cannot copy.
``label_majority`` is the baseline that compares predicted classes only,
``detection_probability`` the hypergeometric law.

References:
    H. Zhang et al. (Nesa), Towards secure and private AI: a framework for decentralized inference,
    2024 (redundant execution with a consensus on outputs).
"""

from jaxswarm.trust.committees._consensus import (
    METRICS,
    Decision,
    calibrate,
    decide,
    label_majority,
    pairwise_distances,
)
from jaxswarm.trust.committees._reveal import collect, publish
from jaxswarm.trust.committees._sampling import (
    TIES,
    detection_probability,
    draw_committee,
    draw_committees,
    needed_members,
)
from jaxswarm.trust.committees._stakes import settle

__all__ = [
    "METRICS",
    "TIES",
    "Decision",
    "calibrate",
    "collect",
    "decide",
    "detection_probability",
    "draw_committee",
    "draw_committees",
    "label_majority",
    "needed_members",
    "pairwise_distances",
    "publish",
    "settle",
]
