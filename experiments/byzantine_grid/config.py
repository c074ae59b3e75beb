"""Settings, scales and labels of the grid of aggregation rules and attacks."""

from dataclasses import dataclass

from jaxswarm import gossip

ATTACKS = (
    "none",
    "sign_flip",
    "scaled_noise",
    "alie",
    "inner_product_manipulation",
    "dissensus",
)
"""Columns of the grid, names in :data:`jaxswarm.gossip.ATTACKS`."""


@dataclass(frozen=True)
class Config:
    """Settings; all cells of the grid share them."""

    agents: int = 24  # number of agents, Byzantine ones included
    degree: int = 8  # number of neighbours of each agent in the random regular graph
    byzantine: int = 2
    """Largest number of Byzantine agents among the neighbours of any agent."""
    rounds: int = 120  # number of rounds; a round is one SGD step followed by one exchange
    alpha: float = 1.0
    """Dirichlet concentration of classes over agents; small values are less IID."""
    batch: int = 16  # samples in a minibatch
    lr: float = 0.3  # learning rate of SGD
    rules: tuple[str, ...] = tuple(gossip.ROBUST_RULES)
    """Names of the aggregation rules to run (the rows of the grid)."""
    seeds: int = 5  # number of independent runs of each cell
    seed: int = 0  # base seed from which all random draws of all runs are derived


SCALES = {
    "smoke": Config(agents=12, degree=6, rounds=5, seeds=2, rules=("averaging", "median")),
    "small": Config(),
    "full": Config(agents=1000, degree=12, byzantine=2, rounds=400, seeds=10),
}

_LABELS = {
    "median": "coordinate-wise median",
    "krum": "Krum",
    "multi_krum": "multi-Krum",
    "centered_clipping": "self-centered clipping",
    "foolsgold": "FoolsGold",
    "none": "no attack",
    "alie": "ALIE",
    "inner_product_manipulation": "inner-product manipulation",
}


def label(name: str) -> str:
    """Name of a rule or attack as it is printed."""
    return _LABELS.get(name, name.replace("_", " "))
