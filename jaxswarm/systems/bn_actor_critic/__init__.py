"""Joint policies as Bayesian networks: agents that hear others' actions before they choose.

Graphs over agents; the tabular form with exact values, gradients and Nash gaps, and as policies of
networked agents with private rewards; and BN-MAPPO, whose graph is drawn for every state from
learnt logits: ``team = Team(env)``, ``network = team_network(team)``, ``bn_mappo(team, network)``.
"""

from jaxswarm.systems.bn_actor_critic._wiring import Wiring, wiring, with_wiring
from jaxswarm.systems.bn_actor_critic.graphs import (
    check_dag,
    full,
    independent,
    line,
    order,
    permutation,
)
from jaxswarm.systems.bn_actor_critic.mappo import (
    TeamHyperparameters,
    TeamInfo,
    TeamState,
    annealing,
    bn_mappo,
)
from jaxswarm.systems.bn_actor_critic.neighbors import bayesian_policies
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
    compose,
    dag_noise,
    density,
    matching,
    sample_dag,
    sample_edges,
    sample_permutation,
    sinkhorn,
)
from jaxswarm.systems.bn_actor_critic.tabular import (
    BayesianHyperparameters,
    BayesianInfo,
    bayesian_policy_gradient,
    best_values,
    coordination_game,
    log_joint,
    nash_gap,
    rows,
    sample,
    values,
)
from jaxswarm.systems.bn_actor_critic.team import Team, TeamObservation

__all__ = [
    "BayesianInfo",
    "BayesianHyperparameters",
    "Dag",
    "DagLogits",
    "DagNoise",
    "Team",
    "TeamInfo",
    "TeamObservation",
    "TeamOutputs",
    "TeamHyperparameters",
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
