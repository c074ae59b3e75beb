"""Matrix: does scheduling without a central orchestrator raise throughput at equal results?

A closed queueing network: rows of data go from role to role, and every hop is a control message and
a call to a shared service pool. Schedulers differ by the queue that handles the messages: one
orchestrator, the actors themselves (peer to peer), or a dispatcher per role, which the published
code has brought back. Work is drawn by row and hop in advance, so all schedulers must compute the
same result for every row.

Throughput is simulated event by event; operational laws predict it independently. The full scale
adds 100,000 rows at once in fixed time steps, on three workflows in the spirit of the paper's (a
dialogue of two roles; extraction, filter and question; an agent between tools and a simulated
user).

Limits: the message time is an assumption (0.02 s) without a published measurement, and the gain of
peer-to-peer scheduling follows from it: at 0.008 s per message it is 2, at 0.001 s it is 1. Results
per row, conservation and the effect of crashes are invariants of the simulation. Data-parallel
partitions, containers, polled admission and restarts are not modelled.

References:
    D. Wang et al., Matrix: Peer-to-Peer Multi-Agent Synthetic Data Generation Framework, 2025.
    P. J. Denning, J. P. Buzen, The Operational Analysis of Queueing Network Models, 1978.
"""

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
