"""Class-balanced partitions of the data, with agents that hold none or more than the others.

Shapes: ``S`` seeds, ``N`` agents, ``M`` slots for an agent's samples.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.disrupted.config import Config
from jaxswarm import data


def class_balanced(
    config: Config,
    train: data.Dataset,
    selected: Iterable[np.ndarray | None],
    share: int = 0,
) -> dict[str, jax.Array]:
    """Partition the data among the agents of every seed, balanced by class.

    The total number of samples is the same for every argument. Where it is more than the data set
    has, agents hold the same samples as others.

    Args:
        config: sizes and base seed.
        train: the data set.
        selected: ``bool[N]`` for every seed, or ``None`` for no agent.
        share: samples of a selected agent as a multiple of those of any other; 0 for no data.

    Returns:
        ``indices`` and ``mask``, ``[S, N, M]``, and ``counts``, ``[S, N]``.
    """
    partitions = []
    total = config.agents * config.samples
    for index, flags in enumerate(selected):
        rng = np.random.default_rng([config.seed, index])
        rows = _alternate_classes(train.labels, total, rng)
        shares = np.ones(config.agents)
        if flags is not None:
            shares[np.asarray(flags)] = share
        ends = np.round(np.cumsum(shares) / shares.sum() * total).astype(int)
        owners = np.searchsorted(ends, np.arange(total), side="right")
        held = [rows[owners == agent] for agent in range(config.agents)]
        overlap = total > len(train.labels)
        partitions.append(
            data.from_rows(held, len(train.labels), overlap=overlap, allow_empty=True)
        )
    width = 4 * config.samples + 1  # the same for all arms, so that they share a program

    def padded(array: np.ndarray) -> np.ndarray:
        return np.pad(np.asarray(array), ((0, 0), (0, width - np.shape(array)[1])))

    return {
        "indices": jnp.stack([padded(part.indices) for part in partitions]),
        "mask": jnp.stack([padded(part.mask) for part in partitions]),
        "counts": jnp.stack([np.asarray(part.counts) for part in partitions]),
    }


def _alternate_classes(labels: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` row numbers in a random order in which the classes take turns."""
    labels = np.asarray(labels)
    rows: list[np.ndarray] = []
    while sum(map(len, rows)) < count:
        order = rng.permutation(len(labels))
        by_class = order[np.argsort(labels[order], kind="stable")]
        starts = np.searchsorted(labels[by_class], labels[by_class])
        turn = np.arange(len(labels)) - starts
        rows.append(by_class[np.lexsort((rng.random(len(labels)), turn))])
    return np.concatenate(rows)[:count]
