"""Matrix: simulated throughput of central, peer-to-peer and per-role scheduling of data rows."""

from experiments.harness.protocol import Paper

NAME = "matrix"
TITLE = "Matrix: throughput of central, peer-to-peer and per-role scheduling of data rows"
PAPER = Paper(
    author="D. Wang et al.",
    title="Matrix: Peer-to-Peer Multi-Agent Synthetic Data Generation Framework",
    year=2025,
    venue="arXiv preprint",
    arxiv="2511.21686",
)
SUBSTITUTES = (
    "A queueing simulation with random service times stands in for language models on a cluster, "
    "so tokens per second and data quality are not measured; synthetic workflows stand in for "
    "Coral, NaturalReasoning and Tau2-bench. Equal results of every row, whatever the scheduler, "
    "stand in for equal quality."
)
