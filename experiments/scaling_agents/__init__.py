"""Scaling agent systems: when does a team of agents beat a single agent at equal budget?

Five architectures (single, independent, centralised, decentralised, hybrid) work on twelve kinds of
task, which differ in width, depth, coupling, tools and observability, at three abilities and with
teams of three and five. All run in one engine with the same workers, random keys and token budget;
what an architecture spends on messages and checks it does not spend on work. No architecture has a
success rate of its own, and nothing is drawn from the paper's regression: scores follow from the
subtasks that were worked on, communicated and checked.

Two models are fitted to the runs. A ridge regression on the task's properties and the single
agent's runs chooses an architecture for kinds of task that were left out. The paper's regression
with twenty columns predicts scores from coordination measures; its R² is shown in the figure and is
never a threshold, because published versions disagree on it and because two of the columns,
efficiency and amplification, are computed from the score itself. The paper's error amplification
does not follow from its printed success rates; here amplification is the ratio of failure rates,
and unrecovered errors are counted separately.

The full scale takes teams to 1,024 agents and maps the best architecture over width and depth.

Limits: verdicts depend on the worker's constants (:class:`jaxswarm.systems.scaling_agents.\
Costs`), which have no published source. With half of the token budget the crossing moves from 0.82
to 0.18 and the gain of centralised teams falls below its threshold.

References:
    Y. Kim et al., Towards a Science of Scaling Agent Systems, 2025 (version 2).
"""

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
