"""AgentNet: learnt decentralised task routing with ablations of router, evolution and memory."""

from experiments.harness.protocol import Paper

NAME = "agentnet"
TITLE = "AgentNet: learnt decentralised task routing, ablations of router, evolution and memory"
PAPER = Paper(
    author="Y. Yang, H. Chai, S. Shao, Y. Song, S. Qi, R. Rui, W. Zhang",
    title=("AgentNet: Decentralized Evolutionary Coordination for LLM-based Multi-Agent Systems"),
    year=2025,
    venue="NeurIPS 2025",
    arxiv="2504.00587",
)
SUBSTITUTES = (
    "Agents with hidden success probabilities stand in for language models, and random projections "
    "with noise for text embeddings, so MATH, BBH and API-Bank are not run; the numbers of "
    "training and test tasks are those of BBH. Five agents, three and nine in two arms, replace "
    "the paper's three to nine."
)
