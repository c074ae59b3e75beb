"""Sizes of the SL-MGAC experiment."""

from dataclasses import dataclass

RATES = {
    "SL-MGAC": 3e-3,
    "no groups": 3e-3,
    "no supervised head": 3e-3,
    "no layer norm": 3e-3,
    "SAC": 3e-3,
    "DQN": 3e-3,
}
"""Step sizes: of SL-MGAC, SAC and DQN the best of .0003, .001 and .003 for the arm's reward, on
base seed 1000; of the ablations that of SL-MGAC."""


@dataclass(frozen=True)
class Config:
    """Sizes; all arms share them."""

    sessions: int = 20_480  # logged user sessions of each world
    users: int = 768  # simulated users that test each learned policy
    groups: int = 4  # activity groups of users
    days: int = 6  # days after which a session ends
    requests: int = 10  # the most requests of a user in a day
    bins: int = 16  # bins of watch times
    largest: float = 100.0  # last bin, in units of 10 s
    width: int = 32  # hidden units of a layer; every network has two layers
    steps: int = 1_000  # gradient steps of every arm
    batch: int = 128  # rows of a gradient step
    rate: float = 0.0  # step size of every arm; 0 takes the tuned one of each arm
    standardize: bool = True  # standardize features by mean and deviation of the log
    tau: float = 0.05  # share of the critics that moves into their targets per step
    discount: float = 0.98  # discount factor between requests of a day
    night_discount: float = 0.95  # discount factor between days
    multiplier: float = 1.0  # weight of short-video time in the reward; 1 makes it the usage
    delta: float = 0.05  # share of usage that insertions may cost
    records: int = 50  # points of the curves of value estimates
    probes: int = 256  # logged states whose values are recorded while training
    seeds: int = 8  # number of independent repetitions, at least 2
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if self.records < 3 or self.steps < self.records:
            raise ValueError(
                f"records: expected at least 3 and at most {self.steps} steps, got {self.records}"
            )
        for name in ("sessions", "users", "batch"):
            if getattr(self, name) % self.groups:
                raise ValueError(
                    f"{name}: expected a multiple of the {self.groups} groups, got "
                    f"{getattr(self, name)}"
                )


SCALES = {
    "smoke": Config(
        sessions=256,
        users=64,
        days=2,
        requests=5,
        bins=6,
        width=8,
        steps=6,
        batch=16,
        records=3,
        probes=16,
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        sessions=65_536,
        users=4_096,
        width=64,
        steps=3_000,
        batch=256,
        seeds=10,
    ),
}
