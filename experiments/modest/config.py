"""Settings and scales of the MoDeST experiment."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Settings; all arms share them."""

    agents: int = 100  # number of nodes
    sample: int = 10  # number of nodes that train in a round (the paper's s)
    aggregators: tuple[int, ...] = (1, 2, 5)
    """Numbers of aggregators per round (the paper's a); one arm each."""
    rounds: int = 120  # number of rounds
    target: float = 0.9  # test accuracy at which rounds and bytes are compared, in (0, 1)
    alpha: float = 0.5
    """Dirichlet concentration of classes over nodes in the non-IID arms; small is less IID."""
    local_steps: int = 2  # SGD steps of a node in a round
    batch: int = 20  # samples in a minibatch
    lr: float = 0.5  # learning rate of SGD
    hidden: tuple[int, ...] = (32,)  # widths of the hidden layers
    crash: int = 40  # round before which nodes crash in the crash arms
    crashed: float = 0.8  # fraction of the nodes that crash, in (0, 1)
    success: float = 0.5
    """Fraction of the sampled models that an aggregator waits for in the crash arms, in (0, 1]."""
    inactivity: int = 50
    """Rounds without activity after which a node is no longer sampled (the paper's delta k)."""
    join: int = 20  # round in which a node joins in the join arm
    data: str = "digits"  # name of the data set: digits, or mnist with --path
    path: Path | None = None  # folder of files in MNIST's format, for --data mnist
    every: int = 2  # rounds between two evaluations; must divide rounds
    seeds: int = 5  # number of independent runs of each arm
    seed: int = 0  # base seed from which all random draws of all runs are derived

    def __post_init__(self) -> None:
        for name, number, least in (("crash", self.crash, 1), ("join", self.join, 0)):
            if not least <= number < self.rounds - 1:
                raise ValueError(
                    f"{name}: expected a round from {least} to {self.rounds - 2}, got {number}"
                )
        if not 0.0 < self.crashed < 1.0:
            raise ValueError(f"crashed: expected a fraction in (0, 1), got {self.crashed}")
        if not self.aggregators:
            raise ValueError("aggregators: expected at least one number, got none")
        if self.rounds % self.every:
            raise ValueError(f"every: expected a divisor of {self.rounds}, got {self.every}")


SCALES = {
    "smoke": Config(
        agents=16,
        sample=4,
        aggregators=(2,),
        rounds=12,
        target=0.3,
        crash=4,
        inactivity=4,
        join=2,
        seeds=2,
    ),
    "small": Config(),
    # A node that is not sampled for `inactivity` rounds is forgotten: more nodes per sample need
    # a larger threshold.
    "full": Config(agents=1000, sample=40, rounds=160, inactivity=100, every=10, seeds=2),
}
