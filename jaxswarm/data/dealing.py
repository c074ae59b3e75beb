"""Partitioners by name, for command lines and sweeps."""

import inspect
from collections.abc import Callable
from typing import Any

from jaxswarm import checks
from jaxswarm.data.partition import Partition
from jaxswarm.data.partitioners import (
    consecutive_classes,
    dirichlet_over_agents,
    dirichlet_over_classes,
    disjoint_classes,
    iid,
    label_shards,
)
from jaxswarm.data.skew import feature_skew, quantity_skew
from jaxswarm.types import ArrayLike

PARTITIONERS: dict[str, Callable[..., Partition]] = {
    "iid": iid,
    "dirichlet_over_agents": dirichlet_over_agents,
    "dirichlet_over_classes": dirichlet_over_classes,
    "disjoint_classes": disjoint_classes,
    "consecutive_classes": consecutive_classes,
    "label_shards": label_shards,
    "quantity_skew": quantity_skew,
    "feature_skew": feature_skew,
}
"""Partitioners ``(labels, num_agents, *, seed, ...) -> Partition`` by name."""


def deal(
    name: str, labels: ArrayLike, num_agents: int, *, seed: int = 0, **options: Any
) -> Partition:
    """Partition samples over agents by a partitioner's name.

    Args:
        name: a key of :data:`PARTITIONERS`.
        labels: ``[S]`` classes.
        num_agents: ``N``.
        seed: of the partitioner.
        **options: further arguments of the partitioner.

    Raises:
        ValueError: for an unknown name (with a suggestion) or option, and as the partitioner does.

    Example:
        >>> from jaxswarm import data
        >>> data.deal("iid", [0, 0, 1, 1], 2).counts.tolist()
        [2, 2]
    """
    checks.choice("partitioner", name, PARTITIONERS)
    known = set(inspect.signature(PARTITIONERS[name]).parameters) - {"labels", "num_agents", "seed"}
    for option in options:
        checks.choice(f"option of {name}", option, known)
    return PARTITIONERS[name](labels, num_agents, seed=seed, **options)
