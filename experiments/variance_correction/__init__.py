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
    "LeNet-5; at full scale MNIST and the paper's 50 agents. All agents train and average in "
    "lockstep instead of at random ticks, and variances are floored at 1e-12 instead of 1e-4. "
    "There are 32 agents instead of 50. Variants of transfer and partition are not run."
)
CHANGES = (
    "After recorded runs, thresholds untouched: every comparison is judged on its interval, where "
    "the value was judged before; agents that never average, an arm that was run without a claim, "
    "are compared (their threshold was set knowing that they took 2.1 times the ticks). Full scale "
    "is MNIST with 50 agents now instead of digits with 256, and has not been run."
)
