"""Sizes of the STAC experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the point-mass and chain parts."""

    betas: tuple[float, ...] = (0.0, 0.25, 0.5)  # pessimism weights, ascending from 0
    envs: int = 8  # parallel environments of the point-mass learner
    steps: int = 8_000  # steps of each point-mass environment after warm-up, one update each
    warm_up: int = 1_000  # steps of each environment with random actions before learning
    records: int = 10  # evaluations during learning; must divide steps
    width: int = 64  # units of each of the two hidden layers (point mass)
    batch: int = 64  # transitions per update
    lr: float = 2e-3  # Adam's step size for actor, critic and temperature (point mass)
    temperature: float = 0.01  # initial entropy weight (point mass)
    episodes: int = 100  # evaluation episodes after learning (point mass)
    chain_steps: int = 6_000  # steps of each of two chain environments, one update each
    chain_capacity: int = 4_096  # transitions in the replay buffer of the chain learner
    seeds: int = 5  # independent runs per pessimism weight
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.steps % self.records:
            raise ValueError(
                f"steps: expected a multiple of records={self.records}, got {self.steps}"
            )
        if list(self.betas) != sorted(set(self.betas)) or self.betas[0] != 0.0:
            raise ValueError(f"betas: expected ascending numbers from 0, got {self.betas}")


SCALES = {
    "smoke": Config(
        envs=1, steps=8, warm_up=64, records=4, width=8, batch=16, episodes=8, chain_steps=8,
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        betas=(0.0, 0.125, 0.25, 0.375, 0.5), steps=30_000, seeds=10, chain_steps=20_000,
    ),
}  # fmt: skip
