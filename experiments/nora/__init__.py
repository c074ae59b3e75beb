"""NORA: optimistic actor-critics with rare critic switches that reset the actor.

The world is a combination lock, which a random policy opens once in 65,536 episodes, with a small
reward for wrong first actions. Arms, all on the same locks and with the same number of episodes:

* *NORA*: an elliptical bonus on least-squares values of the optimal policy, a new fit once the
  log-determinant of some step has grown by log 2, a uniform policy after each, mirror ascent;
* NORA with one part changed: *no optimism* (at three rates of the mirror ascent), *no reset*,
  *no rare switching* (a fit in every episode), *reset in every episode*, *loss rule* (a new fit
  once the values' excess loss is large, as in the paper, instead of the log-determinant);
* *DOUHUA*, the paper's first algorithm; *LSVI-UCB*, with a fit in every episode and with rare
  switches; *epsilon-greedy* at three rates; *uniform*; and an *oracle*, mirror ascent on the exact
  optimal values.

On the lock the reset costs regret: NORA is not better than DOUHUA, no reset or LSVI-UCB there, and
no claim says so. The paper's claims are a rate (regret of the order of √T with a critic that
switches about log T times) and that both optimism or offline data are enough for it. What resets
are for is shown on a second world, *decoy*, made for this purpose: a large region without reward
looks good until it is explored, and a policy that is never reset has to unlearn what it learned
meanwhile.

*Hybrid*: the data of a policy that takes the optimal action in half of the steps initialize the
critic, with and without optimism; *offline only* fits once and never again. *Finite class*: the
exact version space of 512 tables, the optimal values of every code of a lock with four steps at
two slips, with the paper's loss rule. *Swarm*: eight agents on copies of the lock that gossip
the critics' statistics, which is an addition. *Rate*: episodes until the mean regret is a given
share of a uniform policy's, on random linear MDPs. RiverSwim and DeepSea are two further worlds.

Found in pilots on another seed, after which thresholds stood. With a ridge of 1, pairs without
visits have a bonus of 0.3 only and the critic is not optimistic on the longer worlds; with 0.01 it
is. Uniform policies solve a DeepSea of size 10, hence 16. With the lock's bonus of 0.3 a single
agent explores the lock in 34 episodes, so that there is little to share: an agent on the ring had
0.87 of an isolated agent's regret (0.67 with the greedy learner). The swarm therefore has a bonus
of 1, with which one agent's own data limit it; NORA, a NORA with ten times its rate and the greedy
learner are all in the report, since what remains of NORA's regret is its actor's: each switch
resets the policy, whatever data are shared. Also set by pilots: a bonus of 1 on RiverSwim; locks of
the finite class with a slip of 0.2 (at 0.05 the control with a thousandth of the radius lost the
optimal values in 3 of 10 seeds only); a decoy with ten times the actor's rate beside the decoy.

Regret is exact: the loss in expected return of the policy that plays an episode.

References:
    K. Tan, W. Fan, Y. Wei, Actor-Critics Can Achieve Optimal Sample Efficiency, 2025.
    C. Jin, Z. Yang, Z. Wang, M. Jordan, Provably Efficient Reinforcement Learning with Linear
    Function Approximation, 2020 (LSVI-UCB).
    C. Jin, Q. Liu, S. Miryoosefi, Bellman Eluder Dimension, 2021 (version spaces).
"""

from experiments.harness.protocol import Paper

NAME = "nora"

TITLE = "NORA: optimistic actor-critic with rare critic switches that reset the actor"

PAPER = Paper(
    author="K. Tan, W. Fan, Y. Wei",
    title="Actor-Critics Can Achieve Optimal Sample Efficiency",
    year=2025,
    venue="ICML 2025",
    arxiv="2505.03710",
)

SUBSTITUTES = (
    "The paper's text beyond its abstract, and its figures, were not available: the algorithm "
    "follows descriptions of it, constants are ours, and only its claims are checked, on finite "
    "episodic processes of this project. Linear features, tables and a finite class of 512 tables "
    "stand for general function classes. The swarm that gossips statistics is an addition."
)
