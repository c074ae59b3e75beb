"""Sizes of the generative consensus experiment at the three scales."""

from dataclasses import dataclass
from pathlib import Path

GENERATORS = ("mlp", "dit", "unet")
DATA = ("digits", "mnist")


@dataclass(frozen=True)
class Config:
    """Sizes of the parts on images, language and training."""

    data: str = "digits"  # images: digits (in scikit-learn) or mnist (files in --path)
    path: Path | None = None  # folder of MNIST-like IDX files; default: JAXSWARM_DATA
    generators: tuple[str, ...] = ("mlp",)  # networks of the flow models: mlp, dit, unet
    width: int = 192  # units of a hidden layer of the MLP
    small_width: int = 48  # those of the smaller model that an attacker serves instead
    image_steps: int = 1_000  # gradient steps of a flow model
    small_steps: int = 500  # gradient steps of the smaller model
    image_batch: int = 32  # images of a gradient step
    sampler_steps: int = 20  # Euler steps of the sampler, a multiple of 4
    per_class: int = 60  # jobs of each digit and seed, half of them for calibration; even
    false_match: float = 0.001  # share of impostor pairs that the tolerance allows in calibration
    lm_size: str = "27k"  # transformer, a name of models.transformer.SIZES
    lm_seeds: int = 5  # independent trainings of the language model
    lm_steps: int = 120  # gradient steps of its supervised fine-tuning
    letters: int = 6  # letters that it is trained to reverse
    prompts: int = 512  # prompts that nodes answer
    lm_profiles: tuple[str, ...] = ()  # further profiles of greedy decoding: op by op
    beams: int = 4  # beams of the beam search
    replica_steps: int = 160  # training steps of replicas, a multiple of 4 chunks
    every: int = 5  # steps between exchanges of replicas
    chunk: int = 20  # steps between comparisons, and of a verified update; even multiple of every
    replica_batch: int = 8  # images of a step of a replica, a multiple of 4
    probes: int = 100  # generated images that compare replicas
    seeds: int = 5  # independent trainings of the flow models and replicas, at least 2
    seed: int = 0  # base seed

    def __post_init__(self) -> None:
        if self.data not in DATA:
            raise ValueError(f"data: expected one of {DATA}, got {self.data!r}")
        if not self.generators or not set(self.generators) <= set(GENERATORS):
            raise ValueError(f"generators: expected names of {GENERATORS}, got {self.generators}")
        if self.per_class % 2 or self.per_class < 4:
            raise ValueError(f"per_class: expected an even number >= 4, got {self.per_class}")
        if self.sampler_steps % 4 or self.sampler_steps < 4:
            raise ValueError(f"sampler_steps: expected a multiple of 4, got {self.sampler_steps}")
        if self.every < 1 or self.chunk % 2 or self.chunk % self.every:
            raise ValueError(
                f"chunk: expected an even multiple of every >= 1, got {self.chunk} and {self.every}"
            )
        if self.replica_steps < 1 or self.replica_steps % (4 * self.chunk):
            raise ValueError(
                f"replica_steps: expected a multiple of four times chunk, {4 * self.chunk}, got "
                f"{self.replica_steps}"
            )
        if self.replica_batch % 4:
            raise ValueError(f"replica_batch: expected a multiple of 4, got {self.replica_batch}")
        if min(self.seeds, self.lm_seeds) < 2:
            raise ValueError(
                f"seeds, lm_seeds: expected at least 2, got {self.seeds} and {self.lm_seeds}"
            )


SCALES = {
    "smoke": Config(
        width=16, small_width=8, image_steps=20, small_steps=10, sampler_steps=4, per_class=4,
        lm_seeds=2, lm_steps=5, letters=3, prompts=14, beams=2, replica_steps=8, every=1, chunk=2,
        replica_batch=4, probes=4, seeds=2,
    ),
    "small": Config(),
    # The paper's regime is 10^9 comparisons of Stable Diffusion's images, on many graphics cards.
    "full": Config(
        generators=("mlp", "dit"), width=256, image_steps=2_000, small_steps=1_000, per_class=120,
        lm_size="100k", lm_seeds=5, lm_steps=200, prompts=2_000, lm_profiles=("op by op",),
        replica_steps=640, seeds=8,
    ),
}  # fmt: skip
