"""Variance-corrected averaging of independently initialized networks in gossip learning."""

from experiments.harness.protocol import Paper

NAME = "variance_correction"
TITLE = "Variance-corrected averaging: gossip learning from independently initialized networks"
PAPER = Paper(
    author="Y. Tian, Z. Al-Ars, M. Kitsak, P. Hofstee",
    title="Vanishing Variance Problem in Fully Decentralized Neural-Network Systems",
    year=2024,
    venue="arXiv preprint",
    arxiv="2404.04616",
)
SUBSTITUTES = (
    "The scikit-learn digits (8x8 images) and a tanh multi-layer perceptron stand in for MNIST and "
    "LeNet-5; another data set can be given with --data. All agents train and average in lockstep "
    "instead of at random ticks. There are 32 agents (256 at full scale) instead of 50."
)
