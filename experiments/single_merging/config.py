"""Settings and scales of the single-merging experiment."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Config:
    """Settings; all arms share them and differ only in the communication schedule."""

    seed: int = 0  # base seed from which all random draws of all runs are derived
    seeds: int = 8  # number of independent runs of each arm
    agents: int = 16  # number of agents, at least 2
    rounds: int = 60  # number of rounds; a round is local training followed by one exchange
    local_steps: int = 20  # SGD steps that an agent takes between two exchanges, at least 1
    sparse: float = 0.2
    """Mean number of random neighbours that an agent averages with in a sparse round, in (0, 1]."""
    alpha: float = 0.1
    """Dirichlet concentration of each agent's class distribution; small values are less IID."""
    lr: float = 0.1  # learning rate of SGD
    batch: int = 16  # samples in a minibatch
    network: Literal["mlp", "cnn"] = "mlp"
    """Architecture: a multi-layer perceptron (mlp) or a convolutional network (cnn)."""
    hidden: tuple[int, ...] = (64,)  # widths of the hidden dense layers
    channels: tuple[int, ...] = (16, 32)
    """Channels of the convolutional layers of the cnn, which uses group normalization."""
    width: float = 0.05  # length of the dense communication window as a fraction of the run
    starts: tuple[float, ...] = (0.1, 0.5, 0.9, 0.95)
    """Starts of the dense window as fractions of the run, in increasing order; one arm each."""
    shared_init: bool = True
    """Whether all agents start from the same parameters, except in the arms named own starts."""
    data: str = "digits"  # name of the data set: digits or mnist
    path: Path | None = None  # folder of files in MNIST's format; default: JAXSWARM_DATA
    every: int = 2  # rounds between two evaluations; must divide rounds

    def __post_init__(self) -> None:
        if self.agents < 2:
            raise ValueError(f"agents: expected at least 2, got {self.agents}")
        if self.rounds < 2:
            raise ValueError(f"rounds: expected at least 2, got {self.rounds}")
        if self.every < 1 or self.rounds % self.every:
            raise ValueError(
                f"every: expected a divisor of rounds ({self.rounds}), so that the model after "
                f"the final merge is evaluated, got {self.every}"
            )
        if not 0.0 < self.sparse <= 1.0:
            raise ValueError(
                f"sparse: expected a number of neighbours in (0, 1], got {self.sparse}"
            )
        if not self.starts or list(self.starts) != sorted(set(self.starts)):
            raise ValueError(f"starts: expected increasing fractions of the run, got {self.starts}")
        if self.local_steps < 1:
            raise ValueError(f"local_steps: expected at least 1, got {self.local_steps}")


SCALES = {
    "smoke": Config(seeds=2, agents=8, rounds=20, local_steps=5, hidden=(16,), starts=(0.1, 0.95)),
    "small": Config(),
    "full": Config(
        seeds=10,
        agents=32,
        rounds=300,
        local_steps=100,
        lr=0.05,
        batch=64,
        network="cnn",
        hidden=(128,),
        data="mnist",
        every=5,
    ),
}
