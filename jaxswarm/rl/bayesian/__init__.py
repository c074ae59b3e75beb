"""Joint policies as Bayesian networks: agents that hear others' actions before they choose.

Graphs over agents, and the tabular form with exact values, gradients and Nash gaps.
"""

from jaxswarm.rl.bayesian.graphs import check_dag, full, independent, line, order
from jaxswarm.rl.bayesian.tabular import (
    BayesianInfo,
    BayesianParameters,
    bayesian_policy_gradient,
    best_values,
    coordination_game,
    log_joint,
    nash_gap,
    rows,
    sample,
    values,
)

__all__ = [
    "BayesianInfo",
    "BayesianParameters",
    "bayesian_policy_gradient",
    "best_values",
    "check_dag",
    "coordination_game",
    "full",
    "independent",
    "line",
    "log_joint",
    "nash_gap",
    "order",
    "rows",
    "sample",
    "values",
]
