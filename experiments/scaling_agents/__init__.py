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
    "task graphs for Finance-Agent, Workbench, BrowseComp-Plus and PlanCraft. The worker's "
    "constants have no published source, so that a claim holds only if it holds under a range of "
    "them. Up to three checks of an answer stand for rounds of debate and review. Percentages of "
    "the paper's benchmarks, such as 87 % best choices or +80.8 %, are compared in sign and order "
    "only."
)
CHANGES = (
    "After recorded runs, thresholds untouched: the members of an independent team attempt the "
    "whole task and an aggregator takes one attempt; before they were dealt the subtasks, now an "
    "arm called divided, whose failure on chains is by construction and a unit test. Up to three "
    "rounds of checks instead of one. Every comparison is judged on its interval, and under the "
    "worst of eight settings of the worker (the value under one setting before); eight seeds with "
    "six tasks of each kind and setting instead of 16 with 40, for time."
)
