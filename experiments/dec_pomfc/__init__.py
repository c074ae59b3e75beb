"""Dec-POMFC: decentralized control of a swarm by decision rules, learned with the mean field.

One policy observes the mean field of a simulated swarm and chooses, in every step, one decision
rule for all agents (a map from an agent's observation to a distribution of its action); PPO trains
it. The rules that it chose for one reference swarm are then a fixed sequence, which fresh swarms
execute: each agent has its own observation only. Baselines learn one policy for all agents directly
in the finite swarm: IPPO, and a MAPPO-like variant whose critic observes the mean field. All
learners have the same number of environment steps, epochs and minibatches.

The step size and both λ come from a coarse search on another seed: ten pairs for the policy of
decision rules, four for the baselines. Swarms start with headings within ±0.8 π: from uniform
headings the limit of infinitely many agents stays disordered under every rule. The fixed rule of
the propagation-of-chaos check has a larger observation radius (0.35) than the learned rules (0.25),
so that most agents have a neighbor at N = 8.

The paper's experiment section was not available: sizes of the tasks and budgets are this project's.

References:
    K. Cui, S. Hauck, C. Fabian, H. Koeppl, Learning Decentralized Partially Observable Mean Field
    Control for Artificial Collective Behavior, 2024.
    C. de Witt et al., Is Independent Learning All You Need in the StarCraft Multi-Agent Challenge?,
    2020 (IPPO).
    C. Yu et al., The Surprising Effectiveness of PPO in Cooperative Multi-Agent Games, 2022
    (MAPPO).
"""

from experiments.harness.protocol import Paper

NAME = "dec_pomfc"

TITLE = "Dec-POMFC: mean-field control by decision rules, executed without the mean field"

PAPER = Paper(
    author="K. Cui, S. Hauck, C. Fabian, H. Koeppl",
    title="Learning Decentralized Partially Observable Mean Field Control for Artificial "
    "Collective Behavior",
    year=2024,
    venue="ICLR 2024",
    arxiv="2307.06175",
)

SUBSTITUTES = (
    "The paper's tasks (aggregation, Kuramoto and Vicsek) are implemented here with sizes of this "
    "project; at small scale only Kuramoto is run, with 64 agents and a small PPO budget. IPPO and "
    "a MAPPO variant of this project stand for the paper's MARL baselines."
)
