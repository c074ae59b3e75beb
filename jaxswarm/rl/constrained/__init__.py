"""Learning from logged sessions with several responses: constrained and multi-objective policies.

``transitions`` lists the steps of a log (:func:`jaxswarm.data.interactions`), ``candidate_network``
makes networks that score candidates, ``tscac`` a two-stage constrained actor-critic, ``fit`` trains
it. The baselines ``rcpo``, ``lagrangian``, ``pareto``, ``behavior_cloning`` and ``ranking`` have
the same networks and update; ``networked`` trains agents that hold shards of the users. Closed
forms are ``regularized_policy`` and ``regularized_gaussian``. Policies are evaluated from a log by
:mod:`jaxswarm.rl.offline.evaluation`.
"""

from jaxswarm.rl.constrained._closed_form import (
    min_norm_weights,
    regularized_gaussian,
    regularized_objective,
    regularized_policy,
)
from jaxswarm.rl.constrained._learner import (
    ConstrainedLearner,
    ConstrainedState,
    PolicyState,
    constrained_learner,
)
from jaxswarm.rl.constrained._named import (
    behavior_cloning,
    lagrangian,
    pareto,
    ranking,
    rcpo,
    tscac,
)
from jaxswarm.rl.constrained._network import candidate_network
from jaxswarm.rl.constrained._numbers import (
    CLOSED_FORM,
    GRADIENT,
    IMITATION,
    REGULARIZED,
    ConstrainedHyperparameters,
)
from jaxswarm.rl.constrained._training import (
    NetworkedConstrainedInfo,
    NetworkedConstrainedState,
    fit,
    networked,
)
from jaxswarm.rl.constrained._transitions import (
    TransitionBatch,
    Transitions,
    sample,
    shard_users,
    transitions,
)

__all__ = [
    "CLOSED_FORM",
    "GRADIENT",
    "IMITATION",
    "REGULARIZED",
    "ConstrainedHyperparameters",
    "ConstrainedLearner",
    "ConstrainedState",
    "NetworkedConstrainedInfo",
    "NetworkedConstrainedState",
    "PolicyState",
    "TransitionBatch",
    "Transitions",
    "behavior_cloning",
    "candidate_network",
    "constrained_learner",
    "fit",
    "lagrangian",
    "min_norm_weights",
    "networked",
    "pareto",
    "ranking",
    "rcpo",
    "regularized_gaussian",
    "regularized_objective",
    "regularized_policy",
    "sample",
    "shard_users",
    "transitions",
    "tscac",
]
