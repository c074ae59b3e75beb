"""Settings and scales of the DIMAT experiment, and the names of its arms."""

from dataclasses import dataclass
from typing import Literal

MERGING = ("DIMAT", "DIMAT, local data", "WA", "WM")
"""Arms that merge models and then train."""

PER_CYCLE = (*MERGING, "CDSGD", "SGP")
"""Arms that exchange models once per cycle; the others do so after every gradient step."""

ARMS = (*PER_CYCLE, "CDSGD, every step", "CGA, every step")
"""All arms; WA is plain weight averaging, WM is weight matching."""


@dataclass(frozen=True)
class Config:
    """Settings; all arms share them."""

    seed: int = 0  # base seed from which all random draws of all runs are derived
    seeds: int = 5  # number of independent runs of each arm
    agents: int = 5  # number of agents
    shares: int = 5
    """Number of parts into which the data are split; agent i holds part i modulo this number."""
    network: Literal["mlp", "cnn"] = "mlp"
    """Architecture: mlp (multi-layer perceptron), or cnn (convolutions, batch normalization)."""
    hidden: tuple[int, ...] = (128, 128)  # widths of the hidden dense layers
    channels: tuple[int, ...] = (16, 32)  # channels of the convolutional layers of the cnn
    pretrain_epochs: int = 100  # epochs that each agent trains alone before the first exchange
    cycles: int = 10  # number of cycles; a cycle is one merge followed by training
    epochs: int = 2  # epochs of training in each cycle
    batch: int = 100  # samples in a minibatch
    lr: float = 1e-3  # learning rate of Adam, with which agents train before the first exchange
    sgd_lr: float = 0.1  # learning rate of SGD, with which agents train afterwards
    momentum: float = 0.9  # momentum of SGD, in [0, 1)
    as_published: bool = False
    """Whether merging arms train with Adam, reset in every cycle, instead of SGD."""
    proxy: int = 10_000
    """Largest number of training samples on which activations are matched."""
    arms: tuple[str, ...] = ARMS  # names of the arms to run
    graphs: tuple[str, ...] = ("ring", "complete")  # communication graphs, each with all arms
    deals: tuple[str, ...] = ("IID", "disjoint")
    """Distributions of the data over the parts: IID, or disjoint classes; each with all arms."""
    chunk: int | None = None  # agents whose neighbours are matched at a time; all by default
    cnn_agents: int = 0
    """Agents on a complete graph that also merge a cnn once; 0 or 1 leaves this part out."""


SCALES = {
    "smoke": Config(
        seeds=2,
        hidden=(16,),
        pretrain_epochs=10,
        cycles=2,
        proxy=200,
        arms=("DIMAT", "WA"),
        graphs=("ring",),
    ),
    "small": Config(),
    "full": Config(
        seeds=2,
        agents=1000,
        hidden=(64, 64),
        pretrain_epochs=30,
        cycles=4,
        proxy=300,
        arms=("DIMAT", "WA", "WM", "CDSGD", "SGP"),
        chunk=50,
        cnn_agents=5,
    ),
}
