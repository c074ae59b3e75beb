"""TSCAC: two-stage constrained actor-critic for short-video feeds."""

from experiments.harness.protocol import Paper

NAME = "tscac"

TITLE = "TSCAC: two-stage constrained actor-critic for feeds with sparse auxiliary responses"

PAPER = Paper(
    author="Q. Cai, Z. Xue, C. Zhang et al.",
    title="Two-Stage Constrained Actor-Critic for Short Video Recommendation",
    year=2023,
    venue="WWW 2023",
    arxiv="2302.01680",
)

SUBSTITUTES = "A simulated feed stands for the KuaiRand log."
