"""Web3Recommend: Sybil gains, relevance and gossiped edges of walks restricted by trust."""

from experiments.harness.protocol import Paper

NAME = "web3recommend"
TITLE = "Web3Recommend: recommendations by random walks over trusted users, under Sybil attacks"
PAPER = Paper(
    author="R. Madhwal, J. Pouwelse",
    title="Web3Recommend: Decentralised recommendations with trust and relevance",
    year=2023,
    venue="arXiv preprint",
    arxiv="2307.01411",
)
SUBSTITUTES = (
    "A simulated music service of users with tastes, or MovieLens ratings from the user's disk, "
    "stand in for the play counts of the Million Song data set, which no package ships; trust "
    "edges come from similarity of users as in the paper. Affinities are shares of a user's plays: "
    "Sybils play promoted items only, attackers play them like an honest item, or ten times as "
    "much in one arm. The published figures were not available: thresholds are those of a pilot."
)
