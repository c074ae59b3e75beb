"""Decentralized merging of networks after matching their hidden units."""

from experiments.harness.protocol import Paper

NAME = "dimat"
TITLE = "DIMAT: merging independently initialized networks after matching their hidden units"
PAPER = Paper(
    author=("N. Saadati, M. Pham, N. Saleem, J. R. Waite, A. Balu, Z. Jiang, C. Hegde, S. Sarkar"),
    title="DIMAT: Decentralized Iterative Merging-And-Training for Deep Learning Models",
    year=2024,
    venue="CVPR 2024",
    arxiv="2404.08079",
)
SUBSTITUTES = (
    "The scikit-learn digits and a multi-layer perceptron stand in for CIFAR-100 and ResNet-20; at "
    "full scale a small convolutional network with batch normalization is merged once, and the "
    "perceptron has 1,000 agents that hold 5 distinct parts of the data (5 agents in the paper). "
    "There are 10 cycles of merging and training (4 at full scale) instead of 100, and all methods "
    "train with SGD whose momentum is kept instead of a fresh Adam per cycle (--as-published for "
    "that)."
)
