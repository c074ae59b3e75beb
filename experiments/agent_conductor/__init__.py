"""AgentConductor: a learned orchestrator of role graphs, in a simulated code world."""

from experiments.harness.protocol import Paper

NAME = "agent_conductor"
TITLE = "AgentConductor: learned role graphs per task, with feedback and a density reward"
PAPER = Paper(
    author="S. Wang, R. Lu, Z. Yang, Y. Wang, Y. Zhang, L. Xu, Q. Xu, G. Yin et al.",
    title=("AgentConductor: Topology Evolution for Multi-Agent Competition-Level Code Generation"),
    year=2026,
    venue="arXiv preprint",
    arxiv="2602.17100",
)
SUBSTITUTES = (
    "A decoder of 22 thousand parameters stands in for an orchestrator of 3 billion, simulated "
    "agents of six roles for language models, and a code world with latent difficulty, hidden "
    "tests, evidence and distraction for contest problems. Imitation is of random valid graphs, "
    "not of graphs of a larger model; the reward of a pass (2) and the scale of the graph reward "
    "are ours, since they could not be found. The paper was read through its abstract and notes."
)
