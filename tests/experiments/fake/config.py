"""Sizes of the fake system."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes and switches; ``fail`` and ``wait`` simulate errors and long runs."""

    seed: int = 0  # base of all random keys
    seeds: int = 4  # number of independent runs
    agents: int = 3  # number of agents
    gain: float = 1.0  # value of the rising arm after the last round
    fail: bool = False  # raise an error in the second arm
    wait: float = 0.0  # seconds that the first arm takes

    def __post_init__(self):
        if self.agents < 1:
            raise ValueError(f"agents: expected at least 1, got {self.agents}")


SCALES = {"smoke": Config(), "small": Config(agents=8), "full": Config(agents=64)}
