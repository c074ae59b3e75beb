"""Settings and scales of the disruption experiment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Config:
    """Settings; all arms share them."""

    agents: int = 50  # number of agents
    samples: int = 24  # training samples of each agent, on average
    attachments: tuple[int, ...] = (1, 2)
    """Links of each new node of the Barabási-Albert graph (its parameter m); all arms for each."""
    shares: tuple[float, ...] = (0.1, 0.2)
    """Fractions of the agents that disappear, in (0, 1); all disrupted arms for each."""
    times: tuple[int, ...] = (5, 20, 40)
    """Rounds of the disruption, two or more; all arms use the first, some also the others."""
    rounds: int = 60  # number of rounds; a round is one average followed by local training
    local_steps: int = 10  # SGD steps of an agent in a round
    batch: int = 8  # samples in a minibatch, drawn with replacement from the agent's own
    lr: float = 0.3  # learning rate of SGD
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden layers
    weighting: Literal["uniform", "size"] = "uniform"
    """Weights of neighbours in the average: all equal (uniform) or by number of samples (size)."""
    data: str = "digits"  # name of the data set: digits or mnist
    path: Path | None = None  # folder of files in MNIST's format; default: JAXSWARM_DATA
    every: int = 10  # rounds between two evaluations; must divide rounds
    seeds: int = 5  # number of independent runs of each arm
    seed: int = 0  # base seed from which all random draws of all runs are derived

    def __post_init__(self) -> None:
        if not self.shares or not all(0.0 < share < 1.0 for share in self.shares):
            raise ValueError(f"shares: expected fractions in (0, 1), got {self.shares}")
        if len(self.times) < 2 or not all(0 <= time < self.rounds for time in self.times):
            raise ValueError(
                f"times: expected two or more rounds below {self.rounds}, got {self.times}"
            )
        if self.rounds % self.every:
            raise ValueError(f"every: expected a divisor of {self.rounds}, got {self.every}")


SCALES = {
    "smoke": Config(
        agents=16, attachments=(2,), shares=(0.2,), times=(2, 5), rounds=10, hidden=(16,), seeds=2
    ),
    "small": Config(),
    "full": Config(
        agents=100,
        samples=80,
        shares=(0.1, 0.2, 0.4),
        times=(5, 20, 60),
        rounds=100,
        data="mnist",
        every=10,
        seeds=10,
    ),
}
