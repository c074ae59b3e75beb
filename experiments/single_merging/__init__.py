"""Communication schedules for decentralized SGD: sparse gossip with a single global merge."""

from experiments.harness.protocol import Paper

NAME = "single_merging"
TITLE = "Single global merging: when to spend the communication budget of decentralized SGD"
PAPER = Paper(
    author="T. Zhu, T. Zhang, M. Wang, Z. Zhou, C. Wang",
    title=(
        "A Single Merging Suffices: Recovering Server-based Learning Performance in Decentralized "
        "Learning"
    ),
    year=2025,
    venue="arXiv preprint, version 1",
    arxiv="2507.06542",
)
SUBSTITUTES = (
    "The scikit-learn digits (8x8 images) and a small multi-layer perceptron, at full scale a "
    "convolutional network with group normalization, stand in for CIFAR-10, CIFAR-100 and "
    "Tiny ImageNet with ResNet-18, ViT and CLIP-ViT. Another data set can be given with --data. "
    "There are 16 agents (32 at full scale) instead of 8 to 32."
)
