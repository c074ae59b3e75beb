"""Levels of every seed: starting set, held-out levels, the oracle's pool, other and larger ones."""

import jax
import numpy as np

from experiments.dred.config import FAMILIES, OTHER_FAMILIES, Config
from jaxswarm.envs import maze

LARGE = 8  # levels of each family in the set of larger levels


def level_sets(config: Config, seed: int) -> dict[str, maze.Level]:
    """Sets of levels of one seed, numpy arrays ``[B, …]``.

    Args:
        config: sizes.
        seed: number of the repetition, added to the base seed.

    Returns:
        ``starting``, ``held_out``, ``pool``, ``other`` and ``large``.
    """
    base = 100 * (config.seed + seed)
    counts = (config.starting, config.held_out, config.pool)
    ends = np.cumsum((0, *counts))
    made = [
        getattr(maze.families, name)(base + number, int(ends[-1]), config.size)
        for number, name in enumerate(FAMILIES)
    ]

    def part(number: int) -> maze.Level:
        low, high = ends[number], ends[number + 1]
        return maze.levels.join([jax.tree.map(lambda x: x[low:high], each) for each in made])

    # As many levels as above, of which few are used: another number would compile anew.
    other = [
        jax.tree.map(
            lambda x: x[: config.held_out],
            getattr(maze.families, name)(base + 50 + number, int(ends[-1]), config.size),
        )
        for number, name in enumerate(OTHER_FAMILIES)
    ]
    large = [
        getattr(maze.families, name)(base + 60 + number, LARGE, config.large)
        for number, name in enumerate(FAMILIES)
    ]
    return {
        "starting": part(0),
        "held_out": part(1),
        "pool": part(2),
        "other": maze.levels.join(other),
        "large": maze.levels.join(large),
    }


def stacked_sets(config: Config) -> dict[str, maze.Level]:
    """Sets of all seeds, leaves ``[S, B, …]``."""
    sets = [level_sets(config, seed) for seed in range(config.seeds)]
    return {
        name: jax.tree.map(lambda *x: np.stack(x), *(each[name] for each in sets))
        for name in sets[0]
    }
