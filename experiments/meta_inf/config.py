"""Sizes of the MetaInf experiment at the three scales."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Sizes of the simulated and the measured table, and of the ensemble."""

    layer: str = "simulated"  # seconds by the roofline model, or "measured" on this machine
    workloads: int = 21  # simulated ones, 21 for the whole grid; with 8 devices and 5 models
    requests: int = 24  # of each workload
    noise: float = 0.02  # deviation of the logarithm of simulated seconds, as of a measurement
    members: int = 2  # networks of an ensemble
    steps: int = 250  # gradient steps of a network
    batch: int = 63  # cells of a step; nodes with own histories share it
    seeds: int = 10  # independent worlds, or seeds of the selectors on the measured table
    repeats: int = 5  # timed calls of each measurement
    widths: tuple[int, ...] = (32, 64, 128)  # of the measured transformers of two layers
    batches: tuple[int, ...] = (1, 4, 16)  # slots of the measured server
    prompts: tuple[int, ...] = (16, 96)  # tokens of the measured prompts
    shares: tuple[float, ...] = (0.0, 0.5, 0.9)  # of the prompts that are common
    outputs: tuple[int, ...] = (4, 8, 16)  # mean tokens of the measured replies
    file: str = "runs/meta_inf/measured.jsonl"  # measurements are appended to it, and resumed from
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.layer not in ("simulated", "measured"):
            raise ValueError(f"layer: expected 'simulated' or 'measured', got {self.layer!r}")
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if not 0.0 <= self.noise < 1.0:
            raise ValueError(f"noise: expected a number in [0, 1), got {self.noise}")


SCALES = {
    "smoke": Config(workloads=3, requests=6, members=1, steps=4, batch=14, seeds=2),
    "small": Config(),
    "full": Config(layer="measured", requests=16, seeds=3),
}
