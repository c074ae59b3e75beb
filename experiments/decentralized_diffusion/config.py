"""Sizes of the decentralized-diffusion experiment at the three scales."""

from dataclasses import dataclass
from pathlib import Path

NETWORKS = ("mlp", "dit", "unet")
MODES = ("full", "top-1", "top-2", "sampled", "once", "oracle")


@dataclass(frozen=True)
class Config:
    """Sizes of the grid and of the image part; every arm of a part shares them."""

    experts: int = 8  # number of experts on the grid
    side: int = 8  # modes along each axis of the grid
    classes: int = 16  # classes of the grid's modes, the condition
    deviation: float = 0.015  # standard deviation of a mode
    samples: int = 8192  # training samples of the grid
    centroids: int = 256  # fine clusters of the first k-means stage
    width: int = 64  # width of an expert's network on the grid
    router_width: int = 32  # width of the router's network on the grid
    monolith_width: int = 84  # width of the monolith: FLOPs of top-1 with its router
    steps: int = 1200  # training steps on the grid
    batch: int = 256  # training samples of a step, of all experts together
    lr: float = 2e-2  # initial step size of Adam on the grid, cosine decay to 0
    is_distilled: bool = True  # whether a student is distilled, with a quarter of the batch
    expert_widths: tuple[int, ...] = ()  # of experts of unequal size, by size of cluster; or none
    modes: tuple[str, ...] = MODES  # of routing on the grid; full and top-1 at least
    threshold: float = 0.9  # probability of the experts that threshold routing keeps
    drawn: int = 2048  # samples drawn from each arm on the grid
    sampling_steps: int = 32  # Euler steps of sampling
    data: str = "digits"  # images: digits (in scikit-learn) or mnist (files in --path)
    path: Path | None = None  # folder of MNIST-like IDX files, needed for --data mnist
    network: str = "mlp"  # network of the image part: mlp, dit or unet
    image_experts: tuple[int, ...] = (1, 4)  # numbers of experts on images, from 1, the monolith
    image_width: int = 96  # width (channels of the first level for unet) of the networks on images
    image_monolith_width: int = 124  # width of the monolith on images, FLOPs as on the grid
    image_router_width: int = 48  # width (channels) of the router on images
    image_prediction: str = "velocity"  # what networks on images predict: velocity or data
    image_modes: tuple[str, ...] = ("full", "top-1", "sampled", "once")  # of routing on images
    components: int = 32  # principal components that are clustered
    image_centroids: int = 256  # fine clusters of the first k-means stage on images
    classifier_steps: int = 200  # training steps of the classifier that measures images
    image_steps: int = 800  # training steps on images
    image_batch: int = 128  # training samples of a step on images, of all experts together
    image_monolith_lr: float = 1e-2  # initial step size of the monolith on images
    image_lr: float = 3e-3  # initial step size of experts on images, cosine decay to 0
    image_random_lr: float = 3e-3  # initial step size of experts on a random partition of images
    image_drawn: int = 512  # samples drawn from each arm on images
    sheet: int = 8  # samples per class that are kept for the figure
    seeds: int = 5  # independent repetitions
    seed: int = 0  # base seed of the repetitions

    def __post_init__(self) -> None:
        if self.batch % self.experts:
            raise ValueError(
                f"batch: expected a multiple of experts={self.experts}, got {self.batch}"
            )
        counts = self.image_experts
        if not counts or counts[0] != 1 or list(counts) != sorted(set(counts)):
            raise ValueError(f"image_experts: expected ascending numbers from 1, got {counts}")
        for count in counts:
            if self.image_batch % count:
                raise ValueError(
                    f"image_batch: expected a multiple of {count} experts, got {self.image_batch}"
                )
        if not {"full", "top-1"} <= set(self.modes) <= set(MODES):
            raise ValueError(f"modes: expected full, top-1 and others of {MODES}, got {self.modes}")
        if not {"top-1"} <= set(self.image_modes) <= set(MODES[:2] + MODES[3:5]):
            raise ValueError(
                f"image_modes: expected top-1 and others of full, sampled, once, got "
                f"{self.image_modes}"
            )
        if self.network not in NETWORKS:
            raise ValueError(f"network: expected one of {NETWORKS}, got {self.network!r}")
        if len(self.expert_widths) not in (0, self.experts):
            raise ValueError(
                f"expert_widths: expected none or {self.experts} widths, one for each expert, got "
                f"{len(self.expert_widths)}"
            )
        if self.batch % 4:
            raise ValueError(f"batch: expected a multiple of 4 for the student, got {self.batch}")
        if self.side**2 % self.classes:
            raise ValueError(
                f"classes: expected a divisor of {self.side**2} modes, got {self.classes}"
            )


SCALES = {
    "smoke": Config(
        experts=4, side=4, classes=4, deviation=0.3, samples=256, centroids=16, width=8,
        router_width=8, monolith_width=12, steps=20, batch=32, drawn=64, sampling_steps=4,
        image_experts=(1, 2), image_width=8, image_monolith_width=12, image_router_width=8,
        components=8, image_steps=10, image_batch=16, image_drawn=40, sheet=2, seeds=2,
        image_centroids=32, classifier_steps=10, modes=("full", "top-1"), image_modes=("top-1",),
        is_distilled=False,
    ),
    "small": Config(),
    # About half an hour of two idle cores; the paper's regime is millions of images,
    # transformers of hundreds of millions of parameters and 800,000 steps on many GPUs.
    "full": Config(
        steps=2000, expert_widths=(48, 48, 48, 48, 78, 78, 78, 78), data="mnist",
        image_experts=(1, 4, 8), image_width=256, image_monolith_width=312, image_router_width=64,
        image_prediction="data", image_modes=("full", "top-1", "sampled"), image_steps=1000,
        image_batch=256, image_monolith_lr=3e-3, image_lr=3e-3, image_random_lr=1e-2,
        classifier_steps=1000, image_drawn=512,
    ),
}  # fmt: skip
