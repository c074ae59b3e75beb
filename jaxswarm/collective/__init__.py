"""Mean-field control of swarms: tasks, decision rules, environments, execution and limits.

A :class:`SwarmTask` (:func:`aggregation_task`, :func:`kuramoto_task`, :func:`vicsek_task`) is
transition, observation and reward as pure functions. :class:`MeanFieldControl` is its limit problem
for one decision maker whose action is a whole decision rule (:func:`kernel_rule`,
:func:`histogram_rule`); :class:`FiniteSwarm` the same swarm for independent learners. Train either
by :func:`jaxswarm.rl.ppo`; :func:`open_loop` and :func:`execute` run learned rules without the mean
field, :func:`kuramoto_limit` and :func:`aggregation_limit` with infinitely many agents.
"""

from jaxswarm.collective.aggregation import AggregationTaskParams, aggregation_task
from jaxswarm.collective.density import Limit, aggregation_limit, kuramoto_limit
from jaxswarm.collective.domains import DOMAINS, Domain, local_heading
from jaxswarm.collective.environments import FiniteSwarm, MeanFieldControl, act_by_rule
from jaxswarm.collective.execution import (
    Execution,
    RuleSequence,
    convergence,
    execute,
    open_loop,
)
from jaxswarm.collective.headings import HeadingTaskParams, kuramoto_task, vicsek_task
from jaxswarm.collective.mean_field import MeanField, histogram, kernel_features
from jaxswarm.collective.rules import DecisionRule, histogram_rule, kernel_rule
from jaxswarm.collective.task import (
    SwarmTask,
    TaskState,
    mean_distance,
    mean_phase_distance,
)

__all__ = [
    "DOMAINS",
    "AggregationTaskParams",
    "DecisionRule",
    "Domain",
    "Execution",
    "FiniteSwarm",
    "HeadingTaskParams",
    "Limit",
    "MeanField",
    "MeanFieldControl",
    "RuleSequence",
    "SwarmTask",
    "TaskState",
    "act_by_rule",
    "aggregation_limit",
    "aggregation_task",
    "convergence",
    "execute",
    "histogram",
    "histogram_rule",
    "kernel_features",
    "kernel_rule",
    "kuramoto_limit",
    "kuramoto_task",
    "local_heading",
    "mean_distance",
    "mean_phase_distance",
    "open_loop",
    "vicsek_task",
]
