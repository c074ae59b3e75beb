"""Sizes of the Symphony experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the swaddling and pendulum parts."""

    swaddling_steps: int = 20_000  # optimizer steps on the swaddling loss alone
    width: int = 32  # units of the hidden layers
    nodes: int = 24  # outputs of all three critics together, a multiple of 3
    steps: int = 6_000  # environment steps after warm-up
    updates: int = 1  # gradient steps per environment step
    warm_up: int = 500  # environment steps with random actions before learning
    repeats: int = 20  # copies of the warm-up that fill the replay buffer
    batch: int = 64  # transitions per gradient step
    lr: float = 2e-3  # optimizer's step size
    records: int = 24  # evaluations during learning; must divide steps
    episodes: int = 4  # episodes per evaluation
    seeds: int = 5  # independent runs per kind of replay
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.steps % self.records:
            raise ValueError(
                f"steps: expected a multiple of records={self.records}, got {self.steps}"
            )


SCALES = {
    "smoke": Config(
        swaddling_steps=50, width=8, nodes=6, steps=8, updates=1, warm_up=50, repeats=2, batch=8,
        records=4, episodes=1, seeds=2,
    ),
    "small": Config(),
    "full": Config(width=64, nodes=48, updates=2, lr=1e-3, seeds=10),
}  # fmt: skip
