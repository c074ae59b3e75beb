"""Data of Bristle's peers: private training and test samples, and their familiar classes.

Shapes: ``N`` agents, ``S`` samples, ``T`` test slots of the largest agent, ``F`` features, ``C``
classes.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data import Dataset, Partition, Shards, shards
from jaxswarm.data.dataset import check_dataset
from jaxswarm.data.partition import check_partition


class Tests(NamedTuple):
    """Every agent's own test samples, the ``context`` of performance-based rules.

    Attributes:
        x: ``float32[N, T, F]``.
        y: ``int32[N, T]``.
        weight: ``float32[N, T]``, 0 for padding.
        familiar: ``bool[N, C]``, classes of which the agent has training data.
    """

    x: jax.Array
    y: jax.Array
    weight: jax.Array
    familiar: jax.Array


class Peers(NamedTuple):
    """Inputs of :func:`jaxswarm.systems.bristle.bristle`.

    Attributes:
        train: outputs of the frozen body, and labels.
        test: see :class:`Tests`.
    """

    train: Shards
    test: Tests


def peers(dataset: Dataset, train: Partition, test: Partition, *, num_certain: int = 1) -> Peers:
    """Make private training and test sets of ``N`` agents, checked on the host.

    Args:
        dataset: ``features [S, F]``, outputs of the frozen body.
        train: rows that each agent learns from.
        test: rows that each agent tests received heads on.
        num_certain: ``φ`` if it will be set, at least 1; every agent needs as many familiar
            classes.

    Raises:
        ValueError: if features are not vectors, the partitions are of different numbers of agents,
            an agent has no training or no test data, a familiar class without a test sample, a row
            in both its sets, or fewer than ``num_certain`` familiar classes.
    """
    check_dataset(dataset)
    check_partition(train, "train")
    check_partition(test, "test")
    num_certain = checks.whole("num_certain", num_certain, 1)
    if np.ndim(dataset.features) != 2:
        raise ValueError(
            f"dataset: expected features [S, F] of a frozen body, got {np.shape(dataset.features)}"
        )
    if train.num_agents != test.num_agents:
        raise ValueError(
            f"test: expected the {train.num_agents} agents of train, got {test.num_agents}"
        )
    classes = dataset.num_classes
    learned = train.class_counts(dataset.labels, classes) > 0
    tested = test.class_counts(dataset.labels, classes) > 0
    for name, counts in (("train", train.counts), ("test", test.counts)):
        if (np.asarray(counts) == 0).any():
            raise ValueError(f"{name}: agent {int(np.argmin(counts))} has no {name} data")
    untested = learned & ~tested
    if untested.any():
        agent, label = np.argwhere(untested)[0]
        raise ValueError(f"test: agent {agent} learns class {label} but has no test sample of it")
    few = learned.sum(axis=1)
    if few.min() < num_certain:
        raise ValueError(
            f"num_certain: agent {int(np.argmin(few))} is familiar with {few.min()} classes, fewer "
            f"than {num_certain}"
        )
    for agent in range(train.num_agents):
        shared = np.intersect1d(train.rows(agent), test.rows(agent))
        if len(shared):
            raise ValueError(f"test: agent {agent} would test on row {shared[0]} of its train data")
    rows = np.asarray(test.indices)
    return Peers(
        shards(dataset, train),
        Tests(
            jnp.asarray(np.asarray(dataset.features)[rows]),
            jnp.asarray(np.asarray(dataset.labels)[rows], jnp.int32),
            jnp.asarray(test.mask, jnp.float32),
            jnp.asarray(learned),
        ),
    )
