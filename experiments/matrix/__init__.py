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
    "Coral, NaturalReasoning and Tau2-bench. Measured message times are those of one Python thread "
    "that unpickles, extends and sends rows over TCP on one machine."
)
CHANGES = (
    "After a review, which found that the gain follows from the assumed message time (.02 s, "
    "without a source): the message time is swept and measured, and the gain is simulated with "
    "the measured times and the paper's rows at once; the arm of dispatchers is in a claim. All "
    "claims are judged on their intervals, crashes and bytes with 20 seeds instead of 5 (with "
    "5, both held by the point estimate alone). Equal results of rows, their conservation and "
    "the independence of crashes, three claims before, are invariants of the simulation and are "
    "tests now. A first run on base seed 0 took the mean of the measured times (61, 148 and "
    "2,255 microseconds, beside other programs), with gains of 1.00, 1.79 and 27.5; the least "
    "of the measurements is taken since, because other work only adds time, and the verdicts "
    "are the same. Not run: containers, data partitions, polling of the semaphore, restarts."
)
