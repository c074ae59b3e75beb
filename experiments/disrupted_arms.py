"""What the arms of :mod:`experiments.disrupted` are made of: deals, and agents on their own.

Shapes: ``S`` seeds, ``N`` agents, ``M`` slots for an agent's samples.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import data


def alone(W: Any) -> Any:
    """The operator of agents that hear nobody: the same pytree with all weight at home."""
    restricted = jax.vmap(lambda w: w.restrict(jnp.zeros(w.num_agents, bool), None))(W)
    return replace(restricted, stochasticity=W.stochasticity)


def deals(config: Any, train: data.Dataset, bare: Any, heavier: int = 0) -> dict[str, jax.Array]:
    """Every seed's class-balanced deal: ``indices``, ``mask`` ``[S, N, M]`` and ``counts``.

    ``bare [S, N]`` (or ``None`` per seed) get nothing and the others their share; with ``heavier``
    they get that many times the others' share instead. The total is the same. Where it is more
    than the data set has, agents hold the same samples as others.
    """
    parts = []
    total = config.agents * config.samples
    for index, who in enumerate(bare):
        rng = np.random.default_rng([config.seed, index])
        rows = shuffled(train.labels, total, rng)
        share = np.ones(config.agents)
        if who is not None:
            share[np.asarray(who)] = heavier
        ends = np.round(np.cumsum(share) / share.sum() * total).astype(int)
        owners = np.searchsorted(ends, np.arange(total), side="right")
        dealt = [rows[owners == agent] for agent in range(config.agents)]
        repeats = total > len(train.labels)
        parts.append(data.from_rows(dealt, len(train.labels), overlap=repeats, allow_empty=True))
    width = 4 * config.samples + 1  # the same for all arms, so that they share a program

    def widened(array: Any) -> np.ndarray:
        return np.pad(np.asarray(array), ((0, 0), (0, width - np.shape(array)[1])))

    return {
        "indices": jnp.stack([widened(part.indices) for part in parts]),
        "mask": jnp.stack([widened(part.mask) for part in parts]),
        "counts": jnp.stack([np.asarray(part.counts) for part in parts]),
    }


def shuffled(labels: Any, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` rows in an order in which classes take turns."""
    labels = np.asarray(labels)
    rows: list[np.ndarray] = []
    while sum(map(len, rows)) < count:
        order = rng.permutation(len(labels))
        by_class = order[np.argsort(labels[order], kind="stable")]
        starts = np.searchsorted(labels[by_class], labels[by_class])
        turn = np.arange(len(labels)) - starts
        rows.append(by_class[np.lexsort((rng.random(len(labels)), turn))])
    return np.concatenate(rows)[:count]
