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
CHANGES = (
    "Nothing in the runs. What they show and what they do not: while all nodes are online, MoDeST "
    "computes the models of federated learning to the letter, so that the rows on rounds cannot "
    "fail (a unit test holds it to that). A third of D-SGD's bytes with five aggregators, and 95 % "
    "of the views 20 rounds after a join, are thresholds that the protocol cannot meet: 5 x 10 x 2 "
    "models a round are as many as D-SGD's 100, and a sample of 10 in 100 nodes reaches 88 % of "
    "the views in 20 rounds. A crash while models are being sent stalls a round for good with a "
    "success fraction of 0.5 exactly as with 1, so that this control says nothing of the fraction; "
    "the timeout of the later code (patience) is in the library and its tests and in no arm. Not "
    "run: clocks, latencies, churn. With two seeds, the intervals of the full run decide little."
)
