"""Coordination of agent teams: task routing and scheduling with stochastic workers.

No language model runs here. What a published system claims about *coordination* is measured with
workers whose skills, errors, latency, cost and load are stated; every method gets the same workers,
tasks and random numbers, and differs by its coordination alone. Hidden quantities (skills, the
right answer, times of failure) are never passed to a policy.

* tasks: :func:`task_graph`, :func:`layered_task`, :func:`ready_subtasks`, :func:`critical_path`
* workers: :func:`workers`, and behind one protocol :func:`stochastic_backend`,
  :func:`network_backend`, :func:`host_backend` and :func:`host_worker` (a model of your own, with a
  :class:`Recording`)
* random numbers by entity and event: :func:`event_keys`
* faults: :func:`availability`; message queues: :func:`empty_queues`, :func:`push`, :func:`pop`
* :mod:`~jaxswarm.coordination.bandits`: contextual bandits; :mod:`~jaxswarm.coordination.memory`:
  retrieval memory
* :func:`flood_search`: which workers a request reaches; :func:`role_information`: specialisation

Published systems made from these blocks: :mod:`~jaxswarm.systems.symphony_coord`,
:mod:`~jaxswarm.systems.agent_conductor`,
:mod:`~jaxswarm.systems.agentnet`, :mod:`~jaxswarm.systems.matrix`,
:mod:`~jaxswarm.systems.scaling_agents`.
"""

from jaxswarm.coordination import bandits
from jaxswarm.coordination._availability import Availability, availability
from jaxswarm.coordination._flooding import Candidates, flood_search
from jaxswarm.coordination._host_backend import host_backend
from jaxswarm.coordination._workers import (
    DEFAULT_LOAD,
    ERRORS,
    LoadModel,
    Workers,
    add_load,
    latency_of,
    success_probability,
    workers,
)
from jaxswarm.coordination.backends import (
    STATUSES,
    AgentBackend,
    BackendState,
    Reply,
    Request,
    decay_load,
    network_backend,
    stochastic_backend,
)
from jaxswarm.coordination.draws import event_keys, event_normals, event_uniforms
from jaxswarm.coordination.host import Recording, host_worker, validated_reply
from jaxswarm.coordination.information import RoleInformation, role_information
from jaxswarm.coordination.queues import Queues, empty_queues, pop, push
from jaxswarm.coordination.task_graphs import (
    TaskGraph,
    critical_path,
    graph_density,
    graph_width,
    layered_task,
    num_subtasks,
    ready_subtasks,
    task_graph,
)

__all__ = [
    "DEFAULT_LOAD",
    "ERRORS",
    "STATUSES",
    "AgentBackend",
    "Availability",
    "BackendState",
    "Candidates",
    "LoadModel",
    "Queues",
    "Recording",
    "Reply",
    "Request",
    "RoleInformation",
    "TaskGraph",
    "Workers",
    "add_load",
    "availability",
    "bandits",
    "critical_path",
    "decay_load",
    "empty_queues",
    "event_keys",
    "event_normals",
    "event_uniforms",
    "flood_search",
    "graph_density",
    "graph_width",
    "host_backend",
    "host_worker",
    "latency_of",
    "layered_task",
    "network_backend",
    "num_subtasks",
    "pop",
    "push",
    "ready_subtasks",
    "role_information",
    "stochastic_backend",
    "success_probability",
    "task_graph",
    "validated_reply",
    "workers",
]
