"""AgentConductor: a learned orchestrator that writes a layered graph of agent roles per task.

* :func:`conductor`: the policy, imitation and GRPO; :class:`Options` switches parts of it off,
  :class:`Rewards` are its rewards
* :func:`role_graph`, :func:`format_error`, :func:`graph_size`, :func:`task_graph_of`: graphs
* :func:`sparsity`, :func:`graph_reward`: density
* :func:`sample_tasks`, :class:`CodeWorld`, :class:`TaskMix`, :func:`execute`, :func:`judge`: the
  code world; :func:`role_backend`: its simulated agents, which any ``AgentBackend`` replaces
* :func:`single_coder`, :func:`chain`, :func:`full_mesh`, :func:`star`: fixed graphs
"""

from jaxswarm.systems.agent_conductor._conductor import (
    Conductor,
    ConductorInfo,
    ConductorState,
    conductor,
)
from jaxswarm.systems.agent_conductor._decoder import random_graphs
from jaxswarm.systems.agent_conductor._episode import Episode, Turn
from jaxswarm.systems.agent_conductor._execution import (
    Outcome,
    Program,
    execute,
    judge,
    no_program,
    role_backend,
)
from jaxswarm.systems.agent_conductor._settings import Options, Rewards
from jaxswarm.systems.agent_conductor.density import (
    MAX_NODES,
    Sparsity,
    graph_reward,
    reward_range,
    sparsity,
)
from jaxswarm.systems.agent_conductor.fixed import chain, full_mesh, single_coder, star
from jaxswarm.systems.agent_conductor.graphs import (
    FORMAT_ERRORS,
    ROLES,
    STOP,
    UNKNOWN,
    GraphSize,
    RoleGraph,
    edges,
    format_error,
    graph_size,
    layers,
    occupied,
    role_graph,
    stacked,
    task_graph_of,
)
from jaxswarm.systems.agent_conductor.world import (
    DIFFICULTIES,
    NUM_FEATURES,
    SKILLS,
    VERDICTS,
    CodeTasks,
    CodeWorld,
    TaskMix,
    role_workers,
    sample_tasks,
)

__all__ = [
    "DIFFICULTIES",
    "FORMAT_ERRORS",
    "MAX_NODES",
    "NUM_FEATURES",
    "ROLES",
    "SKILLS",
    "STOP",
    "UNKNOWN",
    "VERDICTS",
    "CodeTasks",
    "CodeWorld",
    "Conductor",
    "ConductorInfo",
    "ConductorState",
    "Episode",
    "GraphSize",
    "Options",
    "Outcome",
    "Program",
    "Rewards",
    "RoleGraph",
    "Sparsity",
    "TaskMix",
    "Turn",
    "chain",
    "conductor",
    "edges",
    "execute",
    "format_error",
    "full_mesh",
    "graph_reward",
    "graph_size",
    "judge",
    "layers",
    "no_program",
    "occupied",
    "random_graphs",
    "reward_range",
    "role_backend",
    "role_graph",
    "role_workers",
    "sample_tasks",
    "single_coder",
    "sparsity",
    "stacked",
    "star",
    "task_graph_of",
]
