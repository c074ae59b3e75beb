"""SAC: learned temperature and entropy on a pendulum and a bandit, and gossiped critics."""

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
