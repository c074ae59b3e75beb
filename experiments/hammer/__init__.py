"""HAMMER: a central messenger sends learned messages to local agents with limited observations.

Two games. In sum guessing each agent observes its own number and guesses the sum of all five; the
message is one number. In cooperative navigation three agents observe their own motion but neither
landmarks nor each other (the paper cuts observations to the first ten entries); the message is two
numbers.

All arms take the same numbers of steps and updates with networks of one size:

* *learned numbers*: the messenger is trained by the local agents' losses;
* *learned bits*: the same, squeezed to noisy bits in training and to hard bits in evaluation;
* *PPO messenger*: the messenger is a PPO agent of its own, whose Gaussian actions are the messages
  and whose reward is the mean reward of the local agents;
* *random numbers* and *no messages*, as controls.

Local agents share their network and observe their own id, so that the arm without messages is an
independent learner of equal size. Evaluation is deterministic, on fresh episodes: the PPO
messenger's messages are then the means of its actions.

At full scale navigation has about twice the number of steps and a PPO messenger, too; it is also
played by five and seven agents, with only one agent of limited observations among agents that
observe all (heterogeneous agents), and for the mean reward of all agents (global reward).

Pilots: navigation takes 64 × 25 = 1,600 environment steps per iteration. At base seed 1000, 30
iterations held all six claims on learned messages, 188 iterations five of them in four minutes, and
100 the same five (bits were not better than no messages there); 30 iterations held four at base
seed 0. Small scale has as many as fit into two minutes.

References:
    N. Gupta, G. Srinivasaraghavan, S. K. Mohalik, N. Kumar, M. E. Taylor, HAMMER: Multi-Level
    Coordination of Reinforcement Learning Agents via Learned Messaging, 2021.
"""

from experiments.harness.protocol import Paper

NAME = "hammer"

TITLE = "HAMMER: learned messages from a central agent to local agents"

PAPER = Paper(
    author="N. Gupta, G. Srinivasaraghavan, S. K. Mohalik, N. Kumar, M. E. Taylor",
    title="HAMMER: Multi-Level Coordination of Reinforcement Learning Agents via Learned Messaging",
    year=2021,
    venue="arXiv preprint",
    arxiv="2102.00824",
)

SUBSTITUTES = (
    "Sum guessing and a cooperative-navigation task of this project replace the paper's "
    "environments; the multi-agent walker is not reproduced. Training is far shorter (160,000 "
    "environment steps of navigation at small scale), and PPO uses generalized advantage "
    "estimation, a step size of 0.003 and 4 epochs."
)
