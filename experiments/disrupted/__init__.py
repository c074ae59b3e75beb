"""Decentralized learning on a scale-free graph whose hubs disappear."""

from experiments.harness.protocol import Paper

NAME = "disrupted"
TITLE = "Disrupted decentralized learning: losing the hubs' links against losing their data"
PAPER = Paper(
    author="L. Palmieri, C. Boldrini, L. Valerio, A. Passarella, M. Conti",
    title=(
        "Exploring the Impact of Disrupted Peer-to-Peer Communications on Fully Decentralized "
        "Learning in Disaster Scenarios"
    ),
    year=2023,
    venue="arXiv preprint",
    arxiv="2310.02986",
)
SUBSTITUTES = (
    "The paper's code is not public and its sizes were not available: the scikit-learn digits, the "
    "multi-layer perceptron, 50 agents with 8 samples each (1,000 agents that share samples at "
    "full scale), learning rate and rounds are chosen here. Another data set can be given with "
    "--data."
)
