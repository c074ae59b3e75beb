"""Byzantine-robust aggregation rules against Byzantine attacks, in one grid."""

from experiments.harness.protocol import Paper

NAME = "byzantine_grid"
TITLE = "Robust aggregation: every Byzantine-robust gossip rule under every attack"
PAPER = Paper(
    author="L. He, S. P. Karimireddy, M. Jaggi",
    title="Byzantine-Robust Decentralized Learning via Self-Centered Clipping",
    year=2022,
    venue="arXiv preprint, version 1",
    arxiv="2202.01545",
)
SUBSTITUTES = (
    "Softmax regression on the scikit-learn digits with a Dirichlet split stands in for the "
    "papers' networks and data sets. This is a comparison of rules and attacks from several papers "
    "under one set-up, not a reproduction of one paper's numbers; self-centered clipping and the "
    "dissensus attack are those of the paper above."
)
