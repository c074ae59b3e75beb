"""Settings and scales of the variance-correction experiment."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """Settings; all arms share them."""

    seed: int = 0  # base seed from which all random draws of all runs are derived
    seeds: int = 5  # number of independent runs of each arm
    agents: int = 32  # number of agents
    degree: int = 8  # number of neighbours of each agent in the random regular graph
    ticks: int = 400  # number of ticks; a tick is one SGD step followed by one average
    self_weight: float = 0.5
    """Weight of an agent's own model in its average, in [0, 1]; its neighbours share the rest."""
    lr: float = 0.05  # learning rate of SGD
    momentum: float = 0.0  # momentum of SGD, in [0, 1); 0 for none
    batch: int = 16  # samples in a minibatch
    hidden: tuple[int, ...] = (64, 64)  # widths of the hidden tanh layers
    alpha: float = 0.5
    """Dirichlet concentration of classes over agents in the non-IID arms; small is less IID."""
    data: str = "digits"  # name of the data set: digits or mnist
    path: Path | None = None  # folder of files in MNIST's format; default: JAXSWARM_DATA
    every: int = 2  # ticks between two evaluations


SCALES = {
    "smoke": Config(seeds=2, agents=10, degree=4, ticks=60, hidden=(32,), lr=0.2),
    "small": Config(),
    "full": Config(seeds=10, agents=50, ticks=3000, hidden=(128, 128), data="mnist", every=10),
}
