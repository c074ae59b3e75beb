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
CHANGES = (
    "Nothing in the runs. What they can show: the ratio of peer to peer over central follows from "
    "the assumed message time tau by the operational law, and as a review measured: 5.1 at .02 s, "
    "2.6 at .01, 2.05 at .008, 1.28 at .005 and 1.0 at .001; the threshold of 2 holds if and only "
    "if tau is at least 8 ms, and tau = .02 s has no source. Equal results of rows, their "
    "conservation and the independence of crashes are invariants of the simulation. Not run: "
    "containers, data partitions, polling of the semaphore, restarts; the arm of dispatchers is in "
    "no claim."
)
