"""Data: sets, who holds what of them, and the batches that agents draw inside ``jit``.

``load`` gives a train/test split; a partitioner deals the training rows to ``N`` agents as padded index
arrays; ``shards`` joins the two into a pytree for a jitted step; a sampler such as ``minibatches(16)`` turns
a key and the shards into one batch per agent.
"""

from jaxswarm.data.batches import Batch, Sampler, Shards, full_batches, minibatches, shards
from jaxswarm.data.datasets import (
    Dataset,
    Split,
    from_arrays,
    load,
    split_by_class,
    standardized,
)
from jaxswarm.data.partition import Partition, from_owners, from_rows, truncated, without_data
from jaxswarm.data.partitioners import (
    consecutive_classes,
    dirichlet_over_agents,
    dirichlet_over_classes,
    disjoint_classes,
    iid,
    label_shards,
)

PARTITIONERS = {
    "iid": iid,
    "dirichlet_over_agents": dirichlet_over_agents,
    "dirichlet_over_classes": dirichlet_over_classes,
    "disjoint_classes": disjoint_classes,
    "consecutive_classes": consecutive_classes,
    "label_shards": label_shards,
}
"""Partitioners ``(labels, num_agents, *, seed, ...) -> Partition`` by name, for command lines."""

__all__ = [
    "PARTITIONERS",
    "Batch",
    "Dataset",
    "Partition",
    "Sampler",
    "Shards",
    "Split",
    "consecutive_classes",
    "dirichlet_over_agents",
    "dirichlet_over_classes",
    "disjoint_classes",
    "from_arrays",
    "from_owners",
    "from_rows",
    "full_batches",
    "iid",
    "label_shards",
    "load",
    "minibatches",
    "shards",
    "split_by_class",
    "standardized",
    "truncated",
    "without_data",
]
