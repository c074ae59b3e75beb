"""AgentNet: agents that forward, split or execute tasks over edges that evolve."""

from jaxswarm.systems.agentnet._agentnet import (
    RULES,
    AgentNet,
    Choices,
    Evolution,
    NetInfo,
    NetState,
    Population,
    Tasks,
    agentnet,
    check_evolution,
    population,
    tasks,
)

__all__ = [
    "AgentNet",
    "Choices",
    "Evolution",
    "NetInfo",
    "NetState",
    "Population",
    "RULES",
    "Tasks",
    "agentnet",
    "check_evolution",
    "population",
    "tasks",
]
