"""Contextual bandits for thousands of learners who share their sums.

Sums are :class:`Ridge`; a rule is a :class:`Bandit`, :func:`linucb` or :func:`thompson`; late
feedback waits in :class:`Pending`; :class:`Pooled` learners gossip. :func:`step_regret` records.
"""

from jaxswarm.coordination.bandits.feedback import (
    NEVER,
    Pending,
    credited,
    delivered,
    dispatched,
    nothing_pending,
)
from jaxswarm.coordination.bandits.pooling import Pooled, exchanged, known, pooled
from jaxswarm.coordination.bandits.regret import growth, step_regret
from jaxswarm.coordination.bandits.ridge import (
    Ridge,
    coefficients,
    faded,
    joined,
    no_observations,
    observed,
)
from jaxswarm.coordination.bandits.rules import (
    NOBODY,
    Bandit,
    check_features,
    check_rewards,
    choose,
    linucb,
    published_radius,
    thompson,
)

__all__ = [
    "NEVER",
    "NOBODY",
    "Bandit",
    "Pending",
    "Pooled",
    "Ridge",
    "check_features",
    "check_rewards",
    "choose",
    "coefficients",
    "credited",
    "delivered",
    "dispatched",
    "exchanged",
    "faded",
    "growth",
    "joined",
    "known",
    "linucb",
    "no_observations",
    "nothing_pending",
    "observed",
    "pooled",
    "published_radius",
    "step_regret",
    "thompson",
]
