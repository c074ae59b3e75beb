"""Partitioners by name, for command lines and sweeps."""

from typing import Any

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
from jaxswarm.errors import unknown

PARTITIONERS = {
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


def deal(name: str, labels: Any, num_agents: int, *, seed: int = 0, **options: Any) -> Partition:
    """Deal by a partitioner's name; ``options`` are that partitioner's own.

    >>> deal("iid", [0, 0, 1, 1], 2).counts.tolist()
    [2, 2]

    Raises:
        ValueError: on an unknown name (with a suggestion), and as the partitioner does.
    """
    if name not in PARTITIONERS:
        raise unknown("partitioner", name, PARTITIONERS)
    return PARTITIONERS[name](labels, num_agents, seed=seed, **options)
