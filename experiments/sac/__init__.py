"""SAC: does a learned temperature hold the target entropy, and do gossiped critics share rewards?

Three parts:

* **Pendulum.** SAC with a learned temperature, with its actor reading the minimum or the mean of
  the two critics; SAC with two fixed temperatures; and a deterministic ablation (twin critics,
  targets smoothed by small constant noise before squashing, no entropy bonus: TD3 without its
  delayed updates). Returns are undiscounted, over 200 steps, of the deterministic policies.
* **Bandit.** One step with reward ``-a²``, where the temperature that attains a target entropy has
  a closed form (computed by quadrature).
* **Network** (an extension, not in the paper). Pendula of different masses learn in a network with
  private rewards: every second agent is charged twice the true cost, the others nothing, so the
  mean reward is the true one. Critics, target critics and reward models are gossiped after every
  step; actors stay local. The arm without reward models averages critics that were each trained on
  their own reward: Adam takes steps of equal size for agents without any reward, so the average is
  not the critic of the team's reward.

Limits: each seed has its own five evaluation starts, which dominate the range of final returns
over seeds (for SAC and the deterministic ablation alike).

References:
    T. Haarnoja et al., Soft Actor-Critic Algorithms and Applications, 2018.
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully Decentralized Multi-Agent Reinforcement
    Learning with Networked Agents, 2018 (consensus of critics).
"""

from experiments.harness.protocol import Paper

NAME = "sac"
TITLE = (
    "SAC: learned temperature, entropy constraint, and critics gossiped between networked agents"
)
PAPER = Paper(
    author="T. Haarnoja et al.",
    title="Soft Actor-Critic Algorithms and Applications",
    year=2018,
    venue="arXiv preprint",
    arxiv="1812.05905",
)
SUBSTITUTES = (
    "A pendulum and a one-step bandit stand in for the paper's MuJoCo tasks (Hopper, Walker2d, "
    "HalfCheetah, Ant, Humanoid) and robots; networks, batches and step counts are smaller. "
    "A deterministic ablation stands in for DDPG and TD3; PPO is not run. "
    "The network of pendula is an extension of this project."
)
