"""Sizes of the HAMMER experiment, and the names of its arms and games."""

from dataclasses import dataclass

LEARNED, BITS, RANDOM, NONE = "learned numbers", "learned bits", "random numbers", "no messages"
PPO_MESSENGER = "PPO messenger"

COMPOSED_ARMS = {LEARNED: "learned", BITS: "discretised", RANDOM: "random", NONE: "none"}
"""Arms whose messenger is a part of the local agents' network -> their name in
``jaxswarm.systems.hammer.MESSAGE_KINDS``."""

SUM_GUESSING = "sum guessing"
NAVIGATION = "navigation"
ONE_LIMITED = "navigation, one limited agent"
GLOBAL_REWARD = "navigation, global reward"
MORE_NAVIGATORS = (5, 7)
"""Numbers of agents in further games of navigation."""


def navigation_of(n: int) -> str:
    """Name of navigation with another number of agents."""
    return f"navigation, {n} agents"


@dataclass(frozen=True)
class Config:
    """Sizes of both games."""

    guessers: int = 5  # number of agents in sum guessing, at least 2
    guess_envs: int = 16  # copies of sum guessing that are simulated at once
    guess_iterations: int = 300  # PPO iterations in sum guessing
    navigators: int = 3  # number of agents in navigation, at least 2
    envs: int = 64  # copies of navigation that are simulated at once
    iterations: int = 100  # PPO iterations in navigation
    seeds: int = 10  # number of independent repetitions of sum guessing
    navigation_seeds: int = 5  # number of independent repetitions of navigation, at most seeds
    episodes: int = 64  # fresh episodes that a reported return is the mean of
    width: int = 32  # units of both hidden layers of every network
    lr: float = 3e-3  # step size of Adam
    variants: bool = False
    """Also run navigation with five and seven agents, with one limited agent and with a global
    reward, and a PPO messenger in all navigation games."""
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        for field in ("guessers", "navigators"):
            if getattr(self, field) < 2:
                raise ValueError(f"{field}: expected at least 2, got {getattr(self, field)}")
        if self.seeds < self.navigation_seeds:
            raise ValueError(f"seeds: expected at least {self.navigation_seeds}, got {self.seeds}")


SCALES = {
    "smoke": Config(
        guess_envs=8,
        guess_iterations=2,
        envs=4,
        iterations=1,
        seeds=3,
        navigation_seeds=3,
        episodes=4,
        width=8,
    ),
    "small": Config(),
    "full": Config(
        guess_envs=64,
        guess_iterations=600,
        iterations=188,
        navigation_seeds=10,
        variants=True,
    ),
}
