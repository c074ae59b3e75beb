"""Sizes of the SybilWall experiment, and the names of its rules, attacks and scenarios."""

from dataclasses import dataclass
from pathlib import Path

from jaxswarm import errors

SYBILWALL = "sybilwall"
LOCAL_ONLY = "sybilwall without gossiped histories"

RULES = ("averaging", "median", "krum", "multi-krum", "foolsgold", LOCAL_ONLY, SYBILWALL)
"""Aggregation rules of the honest agents; the last but one is the ablation of the last."""

ATTACKS = ("label flip", "backdoor")

NO_ATTACK = "no attack"
CONCENTRATED = "φ=1, few victims"
"""Attack edges at density 1, all of them on a quarter of the honest agents."""


@dataclass(frozen=True)
class Config:
    """Sizes; every arm shares them."""

    honest: int = 40  # number of honest agents
    radius: float = 0.22  # connection radius of the random geometric graph in the unit square
    degree: int = 6  # largest degree of an honest agent and of a Sybil
    densities: tuple[float, ...] = (0.5, 1.0, 2.0)  # attack edges per honest agent (φ), 1 included
    alpha: float = 0.1  # Dirichlet concentration of each class over the agents; small is non-IID
    rounds: int = 40  # rounds of local training followed by one exchange of models
    local_steps: int = 5  # SGD steps of an agent per round
    batch: int = 8  # samples per SGD step
    lr: float = 0.1  # step size of SGD
    patch: int = 3  # side of the backdoor's square, in pixels
    history: str = "model"
    """What SybilWall compares: the latest ``model`` (as published) or its ``displacement`` from the
    start; for linear models that start from zero both agree."""
    remote_records: int = 32  # memory slots of an agent for records of non-neighbors
    rules: tuple[str, ...] = RULES  # aggregation rules to run; averaging and sybilwall are required
    data: str = "digits"  # data set: digits (in scikit-learn) or mnist (files in --path)
    path: Path | None = None  # folder of MNIST-like IDX files, needed for --data mnist
    seeds: int = 5  # number of independent repetitions
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule not in RULES:
                raise errors.unknown("rule", rule, RULES)
        if not {"averaging", SYBILWALL} <= set(self.rules):
            raise ValueError(
                f"rules: expected averaging and sybilwall among them, got {self.rules}"
            )
        if 1.0 not in self.densities or any(density <= 0 for density in self.densities):
            raise ValueError(
                "densities: expected positive numbers, 1 among them (for the ablation), got "
                f"{self.densities}"
            )


SCALES = {
    "smoke": Config(
        honest=12,
        radius=0.4,
        densities=(1.0,),
        rounds=4,
        remote_records=8,
        seeds=2,
        rules=("averaging", SYBILWALL),
    ),
    "small": Config(),
    "full": Config(honest=1000, radius=0.05, densities=(0.5, 1.0, 2.0), seeds=2),
}


def density_name(density: float) -> str:
    """Name of the scenario whose attack edges are spread evenly at this density."""
    return f"φ={density:g}"


def scenario_names(config: Config) -> tuple[str, ...]:
    """Names of all scenarios, in the order of the results' second axis."""
    return (NO_ATTACK, *map(density_name, config.densities), CONCENTRATED)
