"""Networked actor-critic: agents with private rewards exchange critics for the team return.

First the published algorithms (2: value and reward models are exchanged; 1: action values) with
linear critics on two finite games: a random game, whose fixed point is known from linear solves,
and a dilemma on a ring, in which an agent that maximizes its own reward keeps what the team would
want it to give to its neighbor. Then the same idea with PPO on the donation game.

Team returns are shares of what always giving earns. On the dilemma they are exact, from the
stationary distribution of the learned policies. Arms:

* *isolated* agents exchange nothing and learn from their own rewards;
* *ring*, *network* and *complete graph*: private rewards, critics and reward models are averaged
  over the neighbors in that graph;
* *team reward* is the centralized learner: every agent receives the mean reward of all and
  exchanges nothing;
* *critics only* averages PPO's critics but leaves each agent's own reward in its advantages, as a
  control: averaged values alone do not lead to the team's optimum;
* the *Byzantine* agent sends minus four times its critic.

At full scale a thousand agents learn by PPO at once. Reward models get the mean action of all
agents there, and gifts are worth twice as much to half of the agents and nothing to the others:
agents with equal rewards would learn the team's reward from their own.

Claims on PPO are judged on evaluation episodes of the learned policies, in which agents take the
likeliest actions (until December 2026 on the training reward). Since then reward models see the
global state and the joint action alone, which all agents share, and no longer the agent's own
features; their step size is √N times larger where agents average, and at full scale critics and
models are exchanged 16 times an iteration. The linear learners have 40 seeds instead of 5, and
Algorithm 1 (exchange of action values) runs beside Algorithm 2. Comparisons are judged on their
intervals, which was decided after the run: it leaves Algorithm 1's gain undecided (.625 [.497,
.689], at least .5 asked), the others held by their means as well. In evaluation episodes PPO's arms
are at the ceiling or the floor, so these rows tell the arms apart and nothing finer. The paper's
navigation task is not here.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully Decentralized Multi-Agent Reinforcement
    Learning with Networked Agents, 2018.
    J. Schulman, F. Wolski, P. Dhariwal, A. Radford, O. Klimov, Proximal Policy Optimization
    Algorithms, 2017.
"""

from experiments.harness.protocol import Paper

NAME = "networked_actor_critic"

TITLE = "Networked actor-critic: agents with private rewards exchange critics over a graph"

PAPER = Paper(
    author="K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar",
    title="Fully Decentralized Multi-Agent Reinforcement Learning with Networked Agents",
    year=2018,
    venue="ICML 2018",
    arxiv="1802.08757",
)

SUBSTITUTES = (
    "Games of 8 agents with two or five states replace the paper's games of 20 agents and 20 "
    "states. The donation game replaces its navigation task, and PPO its linear critics there. "
    "Agents draw the next action of Algorithm 1's temporal difference anew."
)
