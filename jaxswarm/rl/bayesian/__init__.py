"""Joint policies as Bayesian networks: agents that hear others' actions before they choose.

Graphs over agents; the tabular form with exact values, gradients and Nash gaps, and as policies of
networked agents with private rewards; and BN-MAPPO, whose graph is drawn for every state from
learnt logits: ``team = Team(env)``, ``network = team_network(team)``, ``bn_mappo(team, network)``.
"""

from jaxswarm.rl.bayesian.graphs import check_dag, full, independent, line, order, permutation
from jaxswarm.rl.bayesian.mappo import (
    TeamInfo,
    TeamParameters,
    TeamState,
    annealing,
    bn_mappo,
)
from jaxswarm.rl.bayesian.neighbours import bayesian_policies
from jaxswarm.rl.bayesian.policy import TeamOutputs, graph_of, joint_log_prob, team_network
from jaxswarm.rl.bayesian.sampling import (
    Dag,
    DagLogits,
    DagNoise,
    compose,
    dag_noise,
    density,
    matching,
    sample_dag,
    sample_edges,
    sample_permutation,
    sinkhorn,
)
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
from jaxswarm.rl.bayesian.team import Team, TeamObservation
from jaxswarm.rl.bayesian.wiring import Wiring, wiring, with_wiring

__all__ = [
    "BayesianInfo",
    "BayesianParameters",
    "Dag",
    "DagLogits",
    "DagNoise",
    "Team",
    "TeamInfo",
    "TeamObservation",
    "TeamOutputs",
    "TeamParameters",
    "TeamState",
    "Wiring",
    "annealing",
    "bayesian_policies",
    "bayesian_policy_gradient",
    "best_values",
    "bn_mappo",
    "check_dag",
    "compose",
    "coordination_game",
    "dag_noise",
    "density",
    "full",
    "graph_of",
    "independent",
    "joint_log_prob",
    "line",
    "log_joint",
    "matching",
    "nash_gap",
    "order",
    "permutation",
    "rows",
    "sample",
    "sample_dag",
    "sample_edges",
    "sample_permutation",
    "sinkhorn",
    "team_network",
    "values",
    "wiring",
    "with_wiring",
]
