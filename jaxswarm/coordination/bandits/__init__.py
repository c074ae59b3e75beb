"""Linear contextual bandits (LinUCB, Thompson sampling) for thousands of learners that may gossip.

A rule is a :class:`Bandit`, :func:`linucb` or :func:`thompson`. What it learns from are the sums of
:class:`Ridge`, which :class:`Pooled` learners gossip; delayed feedback waits in :class:`Pending`;
:func:`step_regret` and :func:`regret_growth` measure.
"""

from jaxswarm.coordination.bandits.feedback import (
    NEVER,
    Pending,
    add_dispatch,
    collect_due,
    credit_reward,
    empty_pending,
)
from jaxswarm.coordination.bandits.pooling import (
    Pooled,
    effective_sums,
    exchange_sums,
    init_pooled,
)
from jaxswarm.coordination.bandits.regret import regret_growth, step_regret
from jaxswarm.coordination.bandits.ridge import (
    Ridge,
    add_observation,
    add_sums,
    coefficients,
    empty_sums,
    scale_sums,
)
from jaxswarm.coordination.bandits.rules import (
    NO_CANDIDATE,
    Bandit,
    check_features,
    check_rewards,
    choose,
    confidence_radius,
    linucb,
    thompson,
)

__all__ = [
    "NEVER",
    "NO_CANDIDATE",
    "Bandit",
    "Pending",
    "Pooled",
    "Ridge",
    "add_dispatch",
    "add_observation",
    "add_sums",
    "check_features",
    "check_rewards",
    "choose",
    "coefficients",
    "collect_due",
    "confidence_radius",
    "credit_reward",
    "effective_sums",
    "empty_pending",
    "empty_sums",
    "exchange_sums",
    "init_pooled",
    "linucb",
    "regret_growth",
    "scale_sums",
    "step_regret",
    "thompson",
]
