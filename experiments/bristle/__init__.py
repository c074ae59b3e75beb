"""Bristle: exchange of output layers over a frozen body, weighted by performance on private tests.

Ten honest agents hold four consecutive digit classes each (cyclically), with five training and ten
private test samples per class; five Byzantine agents are among them, and all are connected to all.
Every arm has the same data, frozen body, zero initial output layer, optimizer and number of rounds,
and aggregates before it trains. Scores are means over all honest agents on a global test set of
all ten classes (the authors evaluate one node). ``scratch`` arms are baselines without transfer:
whole networks from random weights, exchanged in full; by default plain averaging and Krum, of the
five baselines the most accurate ones without an attack and under noise.

Differences from the paper.

* Body: the paper's was trained on letters and its peers held MNIST, CIFAR-10 or WISDM data; here
  the body is trained on a disjoint part of the digits, turned and mirrored in eight ways, as eighty
  classes.
* Noise replaces the attackers' messages, uniform in ``[−0.5, 0]`` for the first half of the classes
  and in ``[0, 0.5]`` for the others, as in the authors' code. Fang's attacks are those of their
  paper: attackers have the mean of the honest messages and push against its direction of change.
* Attackers that flip labels hold four classes as honest agents do, and flip the labels of their
  private tests, too; the other attackers claim to hold all classes.
* A received output layer is tested on as many classes as its sender shares with the receiver, as in
  the authors' code. MOZI tests models on the training samples. The authors let Krum and BRIDGE
  assume four attackers; here both assume the true number, five. The prioritizer tests ten output
  layers, the number in the authors' newest code, as the paper's thirty would be all of them.

Pilots on base seed 1000 fixed the set-up, not the thresholds: with the authors' step size (0.001,
here 0.003), two samples per class (five) and a body of 64-32 units that was trained without upright
digits (96-64), no arm had converged after 150 rounds: plain averaging reached 0.77 on IID data.

References:
    J. Verbraeken, M. de Vos, J. Pouwelse, Bristle: Decentralized Federated Learning in Byzantine,
    Non-i.i.d. Environments, 2021.
    M. Fang, X. Cao, J. Jia, N. Gong, Local Model Poisoning Attacks to Byzantine-Robust Federated
    Learning, 2020.
"""

from experiments.harness.protocol import Paper

NAME = "bristle"

TITLE = "Bristle: Byzantine-resilient exchange of output layers among agents with non-IID classes"

PAPER = Paper(
    author="J. Verbraeken, M. de Vos, J. Pouwelse",
    title="Bristle: Decentralized Federated Learning in Byzantine, Non-i.i.d. Environments",
    year=2021,
    venue="arXiv preprint",
    arxiv="2110.11006",
)

SUBSTITUTES = (
    "scikit-learn's 8 × 8 digits replace MNIST, CIFAR-10 and WISDM, and a small multilayer "
    "perceptron the paper's networks. The frozen body is trained on turned and mirrored digits of "
    "a disjoint part of the data instead of EMNIST letters. 15 agents, five of them Byzantine, "
    "train for 150 rounds instead of 7 to 34 agents for 300."
)

CHANGES = (
    "Thresholds untouched. Pilots fixed the set-up: step size, samples per class, width of the "
    "body. For time, full scale was cut before it was run: two of six conditions (no label flips, "
    "none of Fang's attacks), three of five baselines without BRIDGE and MOZI, none of them with "
    "whole networks, two seeds; its 'most resilient baseline' is the best of these few, and its "
    "1,000 agents share the digits' 1,437 training samples. The certainty of a class is that of "
    "all shared classes; with three (--num-certain 3) a review measured, in runs of its own, .836 "
    "under noise instead of .788. Without an attack Bristle (.750) is level with averaging of "
    "whole networks (.752)."
)
