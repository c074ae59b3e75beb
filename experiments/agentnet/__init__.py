"""AgentNet: does routing that agents learn themselves send tasks to specialists?

Tasks enter at random agents, which execute them, split them or forward them over edges whose
weights follow success. The router's two choices (operation and next agent) are replaced by random
ones in turn; evolution and the executors' memory are switched off; agents fail. A global router
that reads all learnt capabilities chooses an agent for each part of a task; when it fails, tasks
stay where they enter. (In a pilot it gave all parts of a task to one agent, an unfair handicap.)
Under the paper's edge rule an edge needs twelve failures in a row to fall below the threshold, so
few edges are ever removed.

The full scale, 1,024 agents with 32 neighbours each, is an extension: the paper names hundreds of
agents as unsolved. Its tasks are routed one after another, which bounds its length.

Limits: on the complete graph of five agents a local router sees all capabilities, as the global one
does. Without evolution all capabilities are equal, so nothing is ever forwarded, whereas the
paper's arm without evolution still routes. Specialities are assigned in turn, so three agents have
only three of the five.

References:
    Y. Yang et al., AgentNet: Decentralized Evolutionary Coordination for LLM-based Multi-Agent
    Systems, 2025.
"""

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
