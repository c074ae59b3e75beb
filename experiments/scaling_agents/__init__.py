"""Scaling agent systems: five architectures of agent teams at equal token budget."""

from experiments.harness.protocol import Paper

NAME = "scaling_agents"
TITLE = "Scaling agent systems: five team architectures against a single agent at equal budget"
PAPER = Paper(
    author="Y. Kim et al.",
    title="Towards a Science of Scaling Agent Systems",
    year=2025,
    venue="arXiv preprint",
    arxiv="2512.08296",
)
SUBSTITUTES = (
    "A stochastic worker with stated weaknesses stands in for nine language models, and generated "
    "task graphs for Finance-Agent, Workbench, BrowseComp-Plus and PlanCraft. Members of an "
    "independent team divide the subtasks and exchange nothing, where the paper's each attempt the "
    "whole task before an aggregator; rounds of debate and orchestration are not modelled."
)
