"""How teams of agents scale: five architectures on the same tasks, workers, dice and token budget.

An architecture is data: who checks whom, and over which channels results travel. One engine runs
all of them, subtask by subtask, and every call, message and check is paid from one budget, so what
a team spends on talking it does not spend on thinking. All measures are taken from the trace.

* :data:`ARCHITECTURES`, :func:`architecture`; :class:`Costs`, :func:`play`, :class:`Trace`
* :func:`measures`: overhead, message density, redundancy, efficiency, amplification of errors
* :func:`design`, :func:`fit`, :func:`cross_validated`: performance predicted from measures
* :func:`select`: which architecture for a kind of task that was never seen

References:
    Y. Kim et al., Towards a science of scaling agent systems, 2025.
"""

from jaxswarm.systems.scaling_agents._measures import Measures, measures
from jaxswarm.systems.scaling_agents.architectures import (
    ARCHITECTURES,
    Architecture,
    architecture,
)
from jaxswarm.systems.scaling_agents.engine import Costs, Trace, play, team
from jaxswarm.systems.scaling_agents.predictor import (
    COLUMNS,
    Fit,
    cross_validated,
    design,
    fit,
    predict,
    select,
)

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
    "play",
    "predict",
    "select",
    "team",
]
