"""Coordination of agent teams as simulation: who should do what, on a stated stochastic worker.

No language model is run here. What a published system claims about *coordination* is measured with
workers whose skills, errors, latency, cost and load are written down; every method gets the same
worker, the same tasks and the same dice, and differs by its coordination alone. Hidden quantities
(skills, the right answer, times of failure) never reach a policy.

* tasks: :func:`task_graph`, :func:`layered_task`, :func:`ready`, :func:`critical_path`
* workers: :func:`workers`, and behind one protocol :func:`stochastic`, :func:`learned`,
  :func:`host_worker` (a model of your own, with a :class:`Tape`)
* dice: :func:`event_keys`; faults: :func:`availability`; messages: :func:`empty_queues`,
  :func:`push`, :func:`pop`
* :mod:`~jaxswarm.coordination.bandits`: learning whom to ask; :func:`beacon`: who can be asked
* systems: :mod:`~jaxswarm.systems.symphony_coord`, :mod:`~jaxswarm.systems.agentnet`,
  :mod:`~jaxswarm.systems.matrix`, :mod:`~jaxswarm.systems.scaling_agents`
"""

from jaxswarm.coordination import bandits
from jaxswarm.coordination._availability import Availability, availability
from jaxswarm.coordination._beacon import Candidates, beacon
from jaxswarm.coordination._workers import (
    ERRORS,
    LoadLaw,
    Workers,
    latency_of,
    loaded,
    success_chance,
    workers,
)
from jaxswarm.coordination.backends import (
    STATUSES,
    AgentBackend,
    BackendState,
    Reply,
    Request,
    learned,
    rest,
    stochastic,
)
from jaxswarm.coordination.draws import event_keys, event_normals, event_uniforms
from jaxswarm.coordination.host import Tape, checked_reply, host_worker
from jaxswarm.coordination.queues import Queues, empty_queues, pop, push
from jaxswarm.coordination.tasks import (
    TaskGraph,
    critical_path,
    density,
    layered_task,
    num_subtasks,
    ready,
    task_graph,
    width,
)

__all__ = [
    "ERRORS",
    "STATUSES",
    "AgentBackend",
    "Availability",
    "BackendState",
    "Candidates",
    "LoadLaw",
    "Queues",
    "Reply",
    "Request",
    "Tape",
    "TaskGraph",
    "Workers",
    "availability",
    "bandits",
    "beacon",
    "checked_reply",
    "critical_path",
    "density",
    "empty_queues",
    "event_keys",
    "event_normals",
    "event_uniforms",
    "host_worker",
    "latency_of",
    "layered_task",
    "learned",
    "loaded",
    "num_subtasks",
    "pop",
    "push",
    "ready",
    "rest",
    "stochastic",
    "success_chance",
    "task_graph",
    "width",
    "workers",
]
