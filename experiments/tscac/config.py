"""Sizes of the TSCAC experiment, and the grids that each method is tuned on."""

from dataclasses import dataclass

WEIGHTS = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Weights λ of every auxiliary policy."""

LEVELS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Constraints: auxiliary responses shall exceed the log's by this share."""

FACTORS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Factors of the auxiliary responses in fixed weighted sums, and Pareto preferences."""

METHODS: dict[str, tuple[float, ...]] = {
    "TSCAC": WEIGHTS,
    "TSCAC, closed form": WEIGHTS,
    "RCPO": LEVELS,
    "weighted sum": FACTORS,
    "ranking": WEIGHTS,
    "watch only": (0.0,),
    "interactions only": (1.0,),
    "joint critic of the log": (1.0,),
    "Lagrangian": LEVELS,
    "Pareto": FACTORS,
    "behavior cloning": (0.0,),
}
"""Arms: each method's grid. Those before Lagrangian have one critic per policy."""

SEPARATE = ("Lagrangian", "Pareto", "behavior cloning")
"""Methods with one critic for each response."""

DISCOUNTS = (0.95, 0.9, 0.9, 0.9, 0.9, 0.9)
"""Of the responses, see ``envs.feed.RESPONSES``."""


@dataclass(frozen=True)
class Config:
    """Sizes; all arms share them."""

    users: int = 16_384  # users of the training log, one session each; a multiple of test_users
    held_out: int = 2_048  # users of the held-out log; a multiple of test_users
    test_users: int = 2_048  # users of the simulator that every policy is tested on
    requests: int = 20  # requests after which a session is cut
    candidates: int = 6  # candidates of a request
    factors: int = 4  # factors of tastes and topics
    width: int = 0  # hidden units of actors and critics; 0 for linear ones
    steps: int = 1000  # updates of each stage
    batch: int = 512  # transitions of an update
    lr: float = 3e-2  # step size of Adam, of actors and critics
    slow_lr: float = 1e-2  # the same, of auxiliary policies and of TSCAC's closed form
    floor: float = 100.0  # least effective sample size of an estimate from the held-out log
    dual_rate: float = 0.3  # step size of the multipliers of RCPO and the Lagrangian method
    noise: float = 1.2  # standard deviation of the log watch time of one user and one item
    agents: int = 16  # networked agents, each with its own share of the users
    processes: int = 20  # random Markov decision processes of the exact part
    draws: int = 1000  # random policies that the closed form is compared with
    seeds: int = 5  # number of independent repetitions, at least 2
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if self.candidates < 2:
            raise ValueError(f"candidates: expected at least 2, got {self.candidates}")
        for name in ("users", "held_out"):
            if getattr(self, name) % self.test_users or not getattr(self, name):
                raise ValueError(
                    f"{name}: expected a multiple of the {self.test_users} test users, got "
                    f"{getattr(self, name)}"
                )


SCALES = {
    "smoke": Config(
        users=128,
        held_out=64,
        test_users=64,
        requests=6,
        candidates=3,
        factors=2,
        steps=4,
        floor=2.0,
        batch=16,
        agents=2,
        processes=2,
        draws=20,
        seeds=2,
    ),
    "small": Config(),
    "full": Config(
        users=65_536,
        held_out=16_384,
        test_users=16_384,
        width=16,
        steps=2000,
        batch=1024,
        lr=1e-2,
        slow_lr=3e-3,
        processes=100,
        seeds=5,
    ),
}
