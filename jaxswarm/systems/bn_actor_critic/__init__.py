"""Bayesian-network actor-critic: joint policies in which agents condition on parents' actions.

Graphs over agents; the tabular form with exact values, gradients and Nash gaps, and as policies of
networked agents with private rewards; and BN-MAPPO, whose graph is sampled for every state from
learned logits: ``team = Team(env)``, ``network = team_network(team)``, ``bn_mappo(team, network)``.
"""

from jaxswarm.systems.bn_actor_critic._graph_settings import (
    GraphSettings,
    graph_settings,
    with_graph,
)
from jaxswarm.systems.bn_actor_critic.graphs import (
    check_dag,
    full,
    independent,
    line,
    permutation_matrix,
    topological_order,
)
from jaxswarm.systems.bn_actor_critic.mappo import (
    PAPER,
    TeamHyperparameters,
    TeamInfo,
    TeamState,
    annealing,
    bn_mappo,
)
from jaxswarm.systems.bn_actor_critic.networked_policies import bayesian_policies
from jaxswarm.systems.bn_actor_critic.policy import (
    TeamOutputs,
    graph_of,
    joint_log_prob,
    team_network,
)
from jaxswarm.systems.bn_actor_critic.sampling import (
    Dag,
    DagLogits,
    DagNoise,
    compose_dag,
    dag_noise,
    density,
    max_weight_matching,
    sample_dag,
    sample_edges,
    sample_permutation,
    sinkhorn,
)
from jaxswarm.systems.bn_actor_critic.tabular import (
    BayesianHyperparameters,
    BayesianInfo,
    bayesian_policy_gradient,
    coordination_game,
    log_joint,
    nash_gap,
    optimal_values,
    sample_joint_action,
    state_values,
    table_rows,
)
from jaxswarm.systems.bn_actor_critic.team import Team, TeamObservation

__all__ = [
    "PAPER",
    "BayesianHyperparameters",
    "BayesianInfo",
    "Dag",
    "DagLogits",
    "DagNoise",
    "GraphSettings",
    "Team",
    "TeamHyperparameters",
    "TeamInfo",
    "TeamObservation",
    "TeamOutputs",
    "TeamState",
    "annealing",
    "bayesian_policies",
    "bayesian_policy_gradient",
    "bn_mappo",
    "check_dag",
    "compose_dag",
    "coordination_game",
    "dag_noise",
    "density",
    "full",
    "graph_of",
    "graph_settings",
    "independent",
    "joint_log_prob",
    "line",
    "log_joint",
    "max_weight_matching",
    "nash_gap",
    "optimal_values",
    "permutation_matrix",
    "sample_dag",
    "sample_edges",
    "sample_joint_action",
    "sample_permutation",
    "sinkhorn",
    "state_values",
    "table_rows",
    "team_network",
    "topological_order",
    "with_graph",
]
