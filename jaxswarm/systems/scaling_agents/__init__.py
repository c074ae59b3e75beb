"""Scaling of agent teams: five architectures on the same tasks, workers and token budget.

An architecture is data: which agents check which results, and over which channels results are sent.
One engine runs all of them, subtask by subtask, and every call, message and check is paid from one
budget. All measures are taken from the trace.

* :data:`ARCHITECTURES`, :func:`architecture`; :class:`Costs`, :func:`run_task`, :class:`Trace`
* :func:`run_independent`: whole attempts without exchange, of which an aggregator takes one
* :func:`measures`: overhead, message density, redundancy, efficiency, amplification of errors
* :func:`design`, :func:`fit`, :func:`cross_validated`: performance predicted from measures
* :func:`select`: best architecture for kinds of tasks that were not trained on

References:
    Y. Kim et al., Towards a science of scaling agent systems, 2025.
"""

from jaxswarm.systems.scaling_agents._measures import Measures, measures
from jaxswarm.systems.scaling_agents.architectures import (
    ARCHITECTURES,
    Architecture,
    architecture,
)
from jaxswarm.systems.scaling_agents.engine import run_task
from jaxswarm.systems.scaling_agents.independent import run_independent
from jaxswarm.systems.scaling_agents.predictor import (
    COLUMNS,
    Fit,
    cross_validated,
    design,
    fit,
    predict,
    select,
)
from jaxswarm.systems.scaling_agents.trace import Costs, Trace, team

__all__ = [
    "ARCHITECTURES",
    "COLUMNS",
    "Architecture",
    "Costs",
    "Fit",
    "Measures",
    "Trace",
    "architecture",
    "cross_validated",
    "design",
    "fit",
    "measures",
    "predict",
    "run_independent",
    "run_task",
    "select",
    "team",
]
