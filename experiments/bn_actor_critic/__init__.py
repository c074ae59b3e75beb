"""Bayesian-network actor-critic: agents condition their actions on those of their parents.

The joint policy is a Bayesian network over the agents' actions: each agent samples its action given
the state and the actions of its parents in a directed acyclic graph (DAG).

First the coordination game of two and three agents with tables and exact policy gradients: no
sampling, no critic and no network, so that arms differ by the graph alone. The graphs are no edges
(independent softmax policies), a line of N − 1 edges and the full graph, which represents every
joint policy. Seeds draw the initial tables. As in the authors' code, steps are of size 0.01 and
states have weight ``1 / N`` in the objective, which only scales the step; unlike there, a line of
two agents has its one edge.

Then networked agents: three on a path, each of which receives the whole team's reward in a third of
the states and nothing in the others. Neighbors exchange linear critics, and only neighbors can be
parents. Policies start from drawn tables and are evaluated exactly.

Then BN-MAPPO on slotted Aloha, in which neighbors that send at once collide. *learnt* samples a
graph for every state from learned logits; *annealed* does so too and is driven to no edges; it is
also executed without any. Full scale adds *independent*, which is MAPPO, the *full* graph, *random*
graphs, and the coordination game. StarCraft is not among the games.

Graphs are compared by the ten seeds of full scale only. At small scale, five seeds did not decide:
the return of *learnt* minus that of *independent* was 1.1 ± 1.6 at base seed 1000 and −0.4 ± 2.0 at
base seed 0; these arms were then removed from small scale.

References:
    D. Chen, Q. Zhang, Context-Aware Bayesian Network Actor-Critic Methods for Cooperative
    Multi-Agent Reinforcement Learning, 2023.
    C. Yu et al., The Surprising Effectiveness of PPO in Cooperative Multi-Agent Games, 2022
    (MAPPO).
"""

from experiments.harness.protocol import Paper

NAME = "bn_actor_critic"

TITLE = "Bayesian-network actor-critic: joint policies whose agents condition on parents' actions"

PAPER = Paper(
    author="D. Chen, Q. Zhang",
    title="Context-Aware Bayesian Network Actor-Critic Methods for Cooperative Multi-Agent "
    "Reinforcement Learning",
    year=2023,
    venue="ICML 2023",
    arxiv="2306.01920",
)

SUBSTITUTES = (
    "The coordination game (two and three agents) and slotted Aloha (six agents instead of ten) "
    "are played; StarCraft is not. BN-MAPPO trains for 64,000 environment steps at small scale "
    "instead of a million, without value clipping, Huber loss and recurrent networks. Networked "
    "agents with private rewards are an addition of this project."
)
