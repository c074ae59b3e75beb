"""Consensus on generated outputs: hashes and votes across real execution profiles."""

from experiments.harness.protocol import Paper

NAME = "generative_consensus"
TITLE = "Consensus on generated outputs: verifiers regenerate them and vote on perceptual hashes"
PAPER = Paper(
    author="E. Kim, I. Isozaki, N. Sirkin, M. Robson",
    title="Generative AI Reproducibility and Consensus",
    year=2023,
    venue="arXiv preprint",
    arxiv="2307.01898",
)
SUBSTITUTES = (
    "Small flow models of digits at 32×32 and a small transformer, all trained here, stand in for "
    "Stable Diffusion and published language models; nodes differ by real execution profiles of "
    "one CPU (precision, batch size, compilation) instead of by graphics cards. The protocol's "
    "details, hashes and tolerances were not available: committees of three, four classical "
    "hashes, a tolerance from a calibration half. Noise and re-encoding are a labelled sweep."
)
