"""Collective control: steer a crowd of interchangeable, nearly blind agents by decision rules.

A ``SwarmTask`` (``aggregation``, ``kuramoto``, ``vicsek``) is transition, observation and reward as
pure functions. ``MeanFieldControl`` is its limit problem for one decision maker whose action is a
whole decision rule (``kernel_rule``, ``histogram_rule``); ``FiniteSwarm`` the same swarm for
independent learners. Train either by ``jaxswarm.rl._ppo``; ``open_loop`` and ``execute`` run what
was learnt without the mean field, ``kuramoto_limit`` and ``aggregation_limit`` with infinitely many
agents.
"""

from jaxswarm.collective._aggregation import AggregationParams, aggregation
from jaxswarm.collective.density import Limit, aggregation_limit, kuramoto_limit
from jaxswarm.collective.domains import DOMAINS, Domain, local_heading
from jaxswarm.collective.environments import FiniteSwarm, MeanFieldControl, act_by_rule
from jaxswarm.collective.execution import Execution, Sequence, convergence, execute, open_loop
from jaxswarm.collective.headings import HeadingParams, kuramoto, vicsek
from jaxswarm.collective.mean_field import MeanField, histogram, kernel_features
from jaxswarm.collective.rules import Rule, histogram_rule, kernel_rule
from jaxswarm.collective.task import (
    SwarmState,
    SwarmTask,
    mean_distance,
    mean_phase_distance,
)

__all__ = [
    "DOMAINS",
    "AggregationParams",
    "Domain",
    "Execution",
    "FiniteSwarm",
    "HeadingParams",
    "Limit",
    "MeanField",
    "MeanFieldControl",
    "Rule",
    "Sequence",
    "SwarmState",
    "SwarmTask",
    "act_by_rule",
    "aggregation",
    "aggregation_limit",
    "convergence",
    "execute",
    "histogram",
    "histogram_rule",
    "kernel_features",
    "kernel_rule",
    "kuramoto",
    "kuramoto_limit",
    "local_heading",
    "mean_distance",
    "mean_phase_distance",
    "open_loop",
    "vicsek",
]
