"""AgentConductor: a learned orchestrator of role graphs, in a simulated code world.

What was found at small scale (five seeds): learned graphs pass .09 more test tasks than the full
mesh (.06 to .12) at 68 % fewer tokens (63 to 72 %). Against a mesh pruned by search on training
tasks they use 34 % fewer tokens (14 to 55 %); whether they are as accurate is not decided (-.04,
-.10 to .02). Sizes rise with the difficulty, and the second turn adds .41 on hard tasks; observing
the verdict adds .04. Without the density reward .05 more tasks pass, and that it costs tokens is
not decided. After imitation 3.5 % of graphs are invalid (1.9 to 5.2 %), where less than 2 % were
expected. Trained on the graph reward alone, graphs are one agent. The oracle's graphs are worth .34
more reward than the pruned mesh (.29 to .39), so the world rewards graphs that fit the task.

A first recorded run, on the same base seed 0, held 11 of 23 claims: 90 imitation steps left 29 %
invalid graphs, and after 60 GRPO updates accuracy was that of the full mesh (.01, -.06 to .08), .11
below the pruned graph. After it, on base seed 1000, imitation was raised to 480 steps (one
imitation for all arms, which takes turns with their options) and GRPO to 150 updates, of six tasks
in place of eight; step sizes decay, in imitation from 1e-2 in place of 4e-3; the decoder observes
scaled features of its prefix, among them whether it may end; the oracle
searches neighbours of the best star for 48 tasks and is compared on these tasks, where it chose
among stars by three executions. World, rewards and thresholds stayed; the last claim is new. Seed 0
had thus been seen when it was recorded again.
"""

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
