"""AgentNet: agents that forward, split or execute tasks over a graph that evolves with success."""

from jaxswarm.systems.agentnet._agentnet import RULES, AgentNet, agentnet
from jaxswarm.systems.agentnet._population import Population, Tasks, population, sample_tasks
from jaxswarm.systems.agentnet.state import (
    Choices,
    Evolution,
    NetInfo,
    NetState,
    check_evolution,
)

__all__ = [
    "RULES",
    "AgentNet",
    "Choices",
    "Evolution",
    "NetInfo",
    "NetState",
    "Population",
    "Tasks",
    "agentnet",
    "check_evolution",
    "population",
    "sample_tasks",
]
