"""Symphony-Coord: recovery, regret and messages of LinUCB routing of tasks to agents."""

from experiments.harness.protocol import Paper

NAME = "symphony_coord"
TITLE = "Symphony-Coord: LinUCB routing of tasks to agents, recovery, regret and gossip"
PAPER = Paper(
    author="Z. Guan et al.",
    title="Symphony-Coord: Adaptive Routing for Multi-Agent LLM Systems",
    year=2026,
    venue="arXiv preprint",
    arxiv="2602.00966",
)
SUBSTITUTES = (
    "Simulated workers with given success probabilities stand in for language models, so GSM8K, "
    "BBH and MedicalQA are not run; nor are the published experiments on cost and latency, several "
    "plans per task and the vote between them (a delay of feedback stands for the vote). "
    "The swarm of many requesters is an extension: the published code has one global selector."
)
