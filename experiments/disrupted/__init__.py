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
    "multi-layer perceptron, 50 agents with 24 samples each (at full scale MNIST and 100 agents "
    "with 80), learning rate and rounds are chosen here. Hubs are the agents with the most links; "
    "removal by betweenness is not run. Another data set can be given with --data."
)
CHANGES = (
    "After recorded runs, thresholds untouched: agents hold 24 samples instead of 8, and every "
    "comparison is judged on its interval, where the value was judged before; evaluations every "
    "ten rounds. Full scale, which is MNIST with 100 agents, 100 rounds and ten seeds now, has not "
    "been run: hours of CPU. The full run shown is of an earlier setting with 1,000 agents, 8 "
    "samples each that agents share, two seeds and 30 rounds (60 before, halved to save time), too "
    "few: its undisturbed network was still improving at the end."
)
