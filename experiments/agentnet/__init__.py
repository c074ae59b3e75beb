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
    "the paper's three to nine; 32 agents with four neighbours each are an extension. The paper's "
    "rise from 77.86 to 85 % by evolution is compared in sign and size only."
)
CHANGES = (
    "After recorded runs, thresholds untouched: every comparison is judged on its interval, where "
    "the value was judged before; arms with 32 agents and four neighbours, and arms that start "
    "from noisy estimates of abilities, in which the arm without evolution routes too; nine agents "
    "compared with five. That tasks stay where they enter when the global router fails was a claim "
    "and holds by definition of that failure. A global router gave all parts of a task to one "
    "agent in a pilot. Shuffled memory keys are a permutation now also of a memory that is not "
    "full, where keys could appear twice."
)
