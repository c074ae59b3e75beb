"""Sizes of the SAC experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the pendulum, bandit and network parts."""

    steps: int = 5_000  # environment steps of a pendulum learner after warm-up, one update each
    warm_up: int = 1_000  # steps with random actions before learning, in every part
    records: int = 10  # evaluations during learning; must divide steps and network_steps
    width: int = 64  # units of each of the two hidden layers (pendulum)
    batch: int = 128  # transitions per update (pendulum and bandit)
    lr: float = 2e-3  # Adam's step size for actor, critics and temperature (pendulum)
    episodes: int = 5  # episodes per evaluation
    entropies: tuple[float, ...] = (-1.0, -0.5, 0.0)  # target entropies of the bandit, in nats
    bandit_steps: int = 4_000  # steps of the bandit learner, even; the second half is averaged
    agents: int = 4  # pendula in the network, an even number of at least 4
    network_steps: int = 6_000  # environment steps of each agent in the network, one update each
    network_lr: float = 3e-3  # Adam's step size in the network
    network_width: int = 32  # units of each of the two hidden layers (network)
    network_batch: int = 64  # transitions per update and agent (network)
    seeds: int = 5  # independent runs per arm
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        for name in ("steps", "network_steps"):
            if getattr(self, name) % self.records:
                raise ValueError(
                    f"{name}: expected a multiple of records={self.records}, "
                    f"got {getattr(self, name)}"
                )
        if self.bandit_steps % 2:
            raise ValueError(f"bandit_steps: expected an even number, got {self.bandit_steps}")
        if self.agents < 4 or self.agents % 2:
            raise ValueError(f"agents: expected an even number of at least 4, got {self.agents}")


SCALES = {
    "smoke": Config(
        steps=8, warm_up=64, records=4, width=8, batch=16, episodes=1, bandit_steps=8, agents=4,
        network_steps=8, network_width=8, network_batch=16, seeds=2,
    ),
    "small": Config(),
    "full": Config(steps=15_000, agents=16, network_steps=8_000, records=40, seeds=10),
}  # fmt: skip
