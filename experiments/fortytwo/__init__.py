"""Fortytwo: answers ranked by the swarm's own models, on questions easy and hard to verify."""

from experiments.harness.protocol import Paper

NAME = "fortytwo"
TITLE = "Fortytwo: peer-ranked consensus of small language models against votes and other rankings"
PAPER = Paper(
    author="V. Larin, I. Naumenko, A. Ivashov, I. Nikitin, A. Firsov",
    title="Fortytwo: Swarm Inference with Peer-Ranked Consensus",
    year=2025,
    venue="arXiv preprint",
    arxiv="2510.24801",
)
SUBSTITUTES = (
    "Transformers of up to 27 thousand parameters, trained here with shared and private systematic "
    "errors, replace the 35 large models and GPQA Diamond; they answer and judge with the same "
    "weights. Reputation constants and adversaries are ours."
)
