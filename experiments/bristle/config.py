"""Sizes of the Bristle experiment, and the names of its attacks and arms."""

from dataclasses import dataclass
from pathlib import Path

CONDITIONS = ("none", "noise", "label_flip_2", "label_flip_all", "fang_krum", "fang_trimmed_mean")
"""Attacks by their index; ``none`` is the run without an attack."""

CONDITION_NAMES = {
    "none": "no attack",
    "noise": "noise",
    "label_flip_2": "two labels flipped",
    "label_flip_all": "all labels flipped",
    "fang_krum": "Fang's attack on Krum",
    "fang_trimmed_mean": "Fang's attack on the trimmed mean",
}

ATTACKS = ("noise", "label_flip_all", "fang_krum", "fang_trimmed_mean")
"""The four attacks of the authors' published logs; ``label_flip_2`` is run beside them."""

BASELINES = ("averaging", "median", "krum", "bridge", "mozi")


@dataclass(frozen=True)
class Config:
    """Sizes; every arm shares them."""

    agents: int = 15  # number of agents, Byzantine ones among them
    degree: int = 14  # neighbors of an agent; agents - 1 is the complete graph
    byzantine: int = 5  # largest number of Byzantine neighbors of an honest agent
    rounds: int = 150  # rounds of aggregation followed by one training step
    classes: int = 4  # consecutive classes that an agent holds when data are non-IID
    learn: int = 5  # training samples per class and agent
    test: int = 10  # private test samples per class and agent (κ)
    batch: int = 5  # samples per training step
    lr: float = 3e-3  # step size of Adam
    weight_decay: float = 5e-3  # weight of the L2 penalty
    quota: int = 10  # received output layers that are tested per round (β)
    alpha: float = 0.4  # α of the prioritizer, in [0, 1]: larger prefers more distant layers
    num_certain: int | None = None
    """Number of classes from which the certainty of a received layer is computed (φ); None takes as
    many as sender and receiver share."""
    noise: float = 0.5  # half-width of the uniform noise that attackers send
    flip: tuple[int, int] = (3, 4)  # labels that label_flip_2 swaps; every attacker holds one
    body: tuple[int, ...] = (96, 64)  # widths of the frozen body's layers
    body_share: float = 0.4  # fraction of the training data that only the body is trained on
    body_steps: int = 2000  # training steps of the body
    conditions: int = len(CONDITIONS)  # number of attacks to run: none, noise, label_flip_2, …
    selections: tuple[str, ...] = ()  # other prioritizers to run on non-IID data, such as random
    baselines: tuple[str, ...] = BASELINES  # aggregation rules with the frozen body, non-IID data
    iid_baselines: tuple[str, ...] = ("averaging",)
    """Aggregation rules with the frozen body on IID data, without an attack and under noise."""
    scratch: tuple[str, ...] = ("averaging", "krum")
    """Aggregation rules of whole networks on non-IID data, without an attack and under noise."""
    data: str = "digits"  # data set: digits (in scikit-learn) or mnist (files in --path)
    path: Path | None = None  # folder of MNIST-like IDX files, needed for --data mnist
    every: int = 10  # rounds between two evaluations
    seeds: int = 5  # number of independent repetitions
    seed: int = 0  # base seed of the repetitions


SCALES = {
    "smoke": Config(
        rounds=6,
        every=3,
        seeds=2,
        body_steps=20,
        body=(16, 8),
        conditions=2,
        classes=10,  # so that IID and non-IID data have the same shapes and share their programs
        baselines=("averaging", "median"),
        scratch=(),
    ),
    "small": Config(),
    "full": Config(
        agents=1000,
        seeds=2,
        conditions=2,
        baselines=("averaging", "median", "krum"),
        scratch=(),
    ),
}

_RULE_NAMES = {"averaging": "plain averaging", "krum": "Krum", "bridge": "BRIDGE", "mozi": "MOZI"}


def arm_name(arm: str) -> str:
    """How an arm is written in claims and figures: ``"scratch krum"`` is "Krum, whole networks"."""
    kind, _, rule = arm.partition(" ")
    written = _RULE_NAMES.get(rule, rule)
    if kind == "bristle":
        return f"Bristle, {written} selection" if rule else "Bristle"
    return written if kind == "transfer" else f"{written}, whole networks"
