"""Sizes of the FantasyHSI experiment at the three scales."""

from dataclasses import dataclass

HORIZONS = (2, 4, 8)
TRAINED = ("rooms", "clutter", "columns")
HELD_OUT = "corridors"


@dataclass(frozen=True)
class Config:
    """Sizes of scenes, generator, fine-tuning and evaluation."""

    scenes: int = 6  # scenes of each set (training, test, held-out family) and seed
    clips: int = 384  # training clips of each training scene
    width: int = 128  # hidden units of the generator
    depth: int = 3  # its hidden layers
    train_steps: int = 700  # gradient steps of the base generator
    train_batch: int = 128  # clips of a step
    train_lr: float = 2e-3  # Adam's first step size, cosine decay to 0
    sampler_steps: int = 8  # Euler steps from noise to motion
    pairs: int = 768  # conditions of the training scenes from which preferences are made
    candidates: int = 4  # clips of each condition, best and worst of which are a pair
    tune_steps: int = 100  # gradient steps of DPO and of fine-tuning on winners
    tune_batch: int = 64  # pairs (or winners) of a step
    dpo_lr: float = 5e-5  # Adam's step size of DPO
    beta: float = 3000.0  # DPO's factor of the difference of gains
    winners_lr: float = 1e-4  # Adam's step size of fine-tuning on winners
    tasks: int = 6  # tasks of each test scene and horizon
    retries: int = 3  # new tries after a rejected clip
    calls: int = 4  # generator calls of an arm with several, for each planned action
    probes: int = 512  # clips of test scenes on which realism and divergence are measured
    seeds: int = 5  # independent runs, scenes and training included
    seed: int = 0  # base seed of all runs

    def __post_init__(self) -> None:
        if self.scenes % len(TRAINED):
            raise ValueError(f"scenes: expected a multiple of {len(TRAINED)}, got {self.scenes}")
        if self.seeds < 2:
            raise ValueError(f"seeds: expected at least 2, got {self.seeds}")
        if self.candidates < 2:
            raise ValueError(f"candidates: expected at least 2, got {self.candidates}")


SCALES = {
    "smoke": Config(
        scenes=3, clips=16, width=16, depth=1, train_steps=4, train_batch=8, sampler_steps=2,
        pairs=8, tune_steps=2, tune_batch=4, tasks=1, probes=8, seeds=2,
    ),
    "small": Config(),
    "full": Config(
        scenes=63, clips=256, width=256, train_steps=6000, train_batch=192, pairs=4096,
        tune_steps=600, tasks=8, probes=2048, seeds=5,
    ),
}  # fmt: skip
