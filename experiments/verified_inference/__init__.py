"""Verified inference: tampered runs, committees, split networks and permuted vocabularies.

The paper is a framework without measurements, so what is measured are the security properties that
its mechanisms claim.

References:
    H. Zhang et al. (Nesa), Towards secure and private AI: a framework for decentralized inference,
    2024.
"""

from experiments.harness.protocol import Paper

NAME = "verified_inference"
TITLE = "Verified and private inference: checked products, committees, split networks, permutations"
PAPER = Paper(
    author=(
        "H. Zhang, Y. Zhao, C. Angione, H. Yang, J. Buban, A. Farhan, F. Johnston, P. Colangelo"
    ),
    title="Towards Secure and Private AI: A Framework for Decentralized Inference",
    year=2024,
    venue="arXiv preprint",
    arxiv="2407.19401",
)
SUBSTITUTES = (
    "Quantized perceptrons and two-layer transformers on scikit-learn's digits replace large "
    "models. Freivalds' check in a prime field and a Pedersen-committed linear layer stand for "
    "zero-knowledge machine learning, attested hardware is a simulated trust assumption without a "
    "claim, and permuted vocabularies come from the authors' later software."
)
