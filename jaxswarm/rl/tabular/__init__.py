"""Tabular reinforcement learning theory: episodic MDPs as arrays, exact planning, critics.

* processes: :func:`episodic_mdp`, :func:`combination_lock`, :func:`river_swim`, :func:`deep_sea`,
  :func:`random_linear_mdp`
* exact planning: :func:`value_iteration`, :func:`policy_evaluation`, :func:`occupancy`,
  :func:`expected_return`, :func:`concentrability`, :func:`bellman_residual`
* data: :func:`sample_episode`, :func:`sample_transitions`
* critics with one interface (``critic.fit``, ``critic.gap``): :func:`least_squares_critic` with an
  elliptical bonus, its special case :func:`table_critic`, and :func:`finite_class_critic` with
  exact version spaces
* :func:`lsvi_ucb`, the greedy baseline

All are pure functions of arrays, so that processes, seeds and numbers are ``vmap`` axes.
"""

from jaxswarm.rl.tabular.counts import Counts, counts_of
from jaxswarm.rl.tabular.critics import Critic, EpisodicLearner, require_critic
from jaxswarm.rl.tabular.families import (
    combination_lock,
    deep_sea,
    random_linear_mdp,
    river_swim,
)
from jaxswarm.rl.tabular.finite_classes import (
    confidence_radius,
    excess_losses,
    finite_class_critic,
    version_space,
)
from jaxswarm.rl.tabular.least_squares import (
    Statistics,
    Sums,
    least_squares_critic,
    refreshed,
    statistics,
    sums_of,
)
from jaxswarm.rl.tabular.lsvi import LSVIInfo, lsvi_ucb
from jaxswarm.rl.tabular.mdp import (
    EpisodicMDP,
    check_policy,
    episodic_mdp,
    greedy_policy,
    require_mdp,
    uniform_policy,
)
from jaxswarm.rl.tabular.planning import (
    Values,
    bellman_residual,
    concentrability,
    expected_return,
    occupancy,
    policy_evaluation,
    value_iteration,
)
from jaxswarm.rl.tabular.sampling import (
    Transitions,
    check_transitions,
    sample_episode,
    sample_transitions,
)
from jaxswarm.rl.tabular.tables import table_critic

__all__ = [
    "Counts",
    "Critic",
    "EpisodicLearner",
    "EpisodicMDP",
    "LSVIInfo",
    "Statistics",
    "Sums",
    "Transitions",
    "Values",
    "bellman_residual",
    "check_policy",
    "check_transitions",
    "combination_lock",
    "concentrability",
    "confidence_radius",
    "counts_of",
    "deep_sea",
    "episodic_mdp",
    "excess_losses",
    "expected_return",
    "finite_class_critic",
    "greedy_policy",
    "least_squares_critic",
    "lsvi_ucb",
    "occupancy",
    "policy_evaluation",
    "random_linear_mdp",
    "refreshed",
    "require_critic",
    "require_mdp",
    "river_swim",
    "sample_episode",
    "sample_transitions",
    "statistics",
    "sums_of",
    "table_critic",
    "uniform_policy",
    "value_iteration",
    "version_space",
]
