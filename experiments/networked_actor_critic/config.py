"""Sizes of the networked actor-critic experiment."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the finite games with linear critics and of PPO on the donation game."""

    agents: int = 8  # number of agents of the finite games, a power of two from 4 on
    steps: int = 20_000  # steps of the learners with linear critics
    every: int = 1_000  # steps between two evaluations of these learners; divides steps
    ppo_agents: int = 8  # number of agents of the donation game
    ppo_degree: int = 2  # neighbors of each of them; 2 is a ring
    envs: int = 8  # copies of the donation game that are simulated at once
    horizon: int = 40  # environment steps per PPO iteration and copy
    iterations: int = 50  # PPO iterations
    epochs: int = 4  # passes over the data of an iteration
    minibatches: int = 2  # minibatches per pass
    lr: float = 3e-3  # step size of PPO's Adam
    discount: float = 0.9  # discount factor of PPO, in [0, 1)
    joint: str = "all"  # other agents' actions that reward models get: all of them or their mean
    taste_gap: float = 0.0
    """Difference in tastes, in [0, 1]: gifts are worth 1 + taste_gap to half of the agents and
    1 - taste_gap to the others."""
    exchanges: int = 1  # exchanges of PPO's critics and reward models per iteration
    tests: int = 32  # evaluation episodes of the policies that PPO has learned
    linear_seeds: int = 40  # number of independent repetitions of the linear critics
    seeds: int = 5  # number of independent repetitions of PPO
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        if self.agents < 4 or self.agents & (self.agents - 1):
            raise ValueError(f"agents: expected a power of two from 4 on, got {self.agents}")
        if self.steps % self.every:
            raise ValueError(f"every: expected a divisor of {self.steps}, got {self.every}")
        if not 0.0 <= self.taste_gap <= 1.0:
            raise ValueError(f"taste_gap: expected a number in [0, 1], got {self.taste_gap}")


SCALES = {
    "smoke": Config(
        agents=4,
        steps=200,
        every=100,
        ppo_agents=4,
        envs=2,
        horizon=10,
        iterations=2,
        epochs=1,
        minibatches=1,
        tests=4,
        linear_seeds=3,
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        ppo_agents=1000,
        ppo_degree=4,
        joint="mean",
        taste_gap=1.0,
        horizon=20,
        iterations=240,
        exchanges=16,
        seeds=2,
    ),
}
