"""Lattica: connections behind NATs, replicated data, lookups, blocks, requests, and gossip on them.

References:
    Gradient, Lattica: a decentralized communication framework for AI workloads, 2025.
"""

from experiments.harness.protocol import Paper

NAME = "lattica"
TITLE = (
    "Lattica: NAT traversal, CRDTs, Kademlia, block exchange and requests under decentralized AI"
)
PAPER = Paper(
    author="Gradient",
    title="Lattica: A Decentralized Cross-NAT Communication Framework for Scalable AI Inference "
    "and Training",
    year=2025,
    venue="arXiv preprint",
    arxiv="2510.00183",
)
SUBSTITUTES = (
    "Simulated peers replace real networks: NATs are their mapping and filtering behaviors, and "
    "which mix of these peers have is an assumption. The published code has no replicated store, "
    "so kinds of data and tie-breaks are this project's. Absolute request rates and real NATs are "
    "out of reach; scores, waits and constants of the block exchange are those of the code."
)
