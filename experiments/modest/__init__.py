"""Federated averaging without a server: sampling by hash from gossiped membership views."""

from experiments.harness.protocol import Paper

NAME = "modest"
TITLE = "MoDeST: decentralized sampling of trainers against federated learning and D-SGD"
PAPER = Paper(
    author="M. de Vos, A. Dhasade, A.-M. Kermarrec, E. Lavoie, J. Pouwelse, R. Sharma",
    title=(
        "MoDeST: Bridging the Gap between Federated and Decentralized Learning with Decentralized "
        "Sampling"
    ),
    year=2023,
    venue="arXiv preprint, version 1",
    arxiv="2302.13837",
)
SUBSTITUTES = (
    "The scikit-learn digits and a multi-layer perceptron stand in for CIFAR-10, CelebA, FEMNIST "
    "and MovieLens; another data set can be given with --data. Time is counted in rounds: there "
    "are no latencies, timeouts or stragglers, so that the paper's wall-clock times are not "
    "reproduced."
)
