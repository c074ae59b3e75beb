"""SybilWall: similarity-weighted averaging with gossiped histories, under Sybil attacks.

Honest agents with very unlike data train softmax regression on digits and average their models with
those of their neighbors. One attacker trains a poisoned model and sends it from as many identities
(Sybils) as the density ``φ`` of attack edges requires: ``φ`` edges to Sybils per honest agent.

* *Label flip*: the attacker swaps the labels 0 and 1. It holds an equal share of the training
  data and, besides, all training samples of both classes. (In a pilot it held the whole training
  set; the flipped classes were then so small a part of it that the attack had no effect.)
* *Backdoor*: the attacker holds the whole training set and stamps a square into the top-left
  corner of half of it, labelled as class 1.

The attack score is the share of the attacked test samples to which honest agents give the
attacker's label. The attacker itself takes the plain average of what its victims send. All
scenarios (densities and placements of attack edges) are members of one batch of graphs, so that
each aggregation rule is one compiled program for all attacks, scenarios and seeds.

References:
    T. Werthenbach, J. Pouwelse, Towards Sybil Resilience in Decentralized Learning, 2023.
"""

from experiments.harness.protocol import Paper

NAME = "sybilwall"

TITLE = "SybilWall: gossiped model histories against Sybil poisoning in decentralized learning"

PAPER = Paper(
    author="T. Werthenbach, J. Pouwelse",
    title="Towards Sybil Resilience in Decentralized Learning",
    year=2023,
    venue="arXiv preprint",
    arxiv="2306.15044",
)

SUBSTITUTES = (
    "Softmax regression on scikit-learn's 8 × 8 digits stands in for the paper's models on MNIST, "
    "FashionMNIST, SVHN and CIFAR-10. 40 honest agents on a random geometric graph (1,000 at full "
    "scale) replace 99. Attack edges are spread over the graph by greedy k-center selection "
    "instead of k-medoids."
)

CHANGES = (
    "Thresholds untouched. A pilot changed the label-flip attacker, which held the whole training "
    "set. The runs end after 40 rounds, before averaging has converged, and have no isolated "
    "agents. A review measured, in a run of its own without attack at concentration .1: averaging "
    ".616, SybilWall .425, isolated .237 after 40 rounds, .860, .438, .269 after 200, and at "
    "concentration 1 after 100 rounds .902, .856, .630. Isolated agents have attack scores of .03 "
    "and .07, so that part of SybilWall's resilience is that agents average with few others. The "
    "full run has two seeds."
)
