"""The games: treasures on two diagonals, with convex and concave curves of values.

Shapes: ``P`` points, ``F`` points of a front, ``W`` preferences.
"""

import math
from functools import cache
from typing import Any

import numpy as np

from experiments.mo_mix.config import DIVISIONS, FINE_DIVISIONS
from jaxswarm import envs, rl
from jaxswarm.envs.two_objectives import attainable_returns
from jaxswarm.rl import value_decomposition

BANDS = ((2, 1.0), (5, 3.0))
"""Distance of each diagonal from the start, and the size of its values."""

REFERENCE = np.full(2, -0.1, np.float32)
"""Below every return of the games, whose values are at least 0."""

PREFERENCES = value_decomposition.preference_grid(DIVISIONS)
FINE_PREFERENCES = value_decomposition.preference_grid(FINE_DIVISIONS)
EVERY = FINE_DIVISIONS // DIVISIONS  # PREFERENCES are every tenth of FINE_PREFERENCES


def treasures(curve: str) -> tuple:
    """Cells and values of the treasures, ``curve`` of the values ``"convex"`` or ``"concave"``."""
    placed = []
    for distance, size in BANDS:
        for row in range(distance + 1):
            angle = 0.5 * math.pi * row / distance
            value = (math.cos(angle), math.sin(angle))
            if curve == "concave":
                value = (1.0 - math.sin(angle), 1.0 - math.cos(angle))
            placed.append(((row, distance - row), tuple(round(size * x, 2) for x in value)))
    return tuple(placed)


@cache
def game(num_agents: int = 2, curve: str = "convex") -> envs.TwoObjectiveGrid:
    """The grid game."""
    return envs.TwoObjectiveGrid(num_agents, 6, 6, treasures(curve))


@cache
def attainable(num_agents: int = 2, curve: str = "convex") -> np.ndarray:
    """All attainable returns, ``[R, 2]``."""
    return attainable_returns(game(num_agents, curve))


@cache
def true_front(num_agents: int = 2, curve: str = "convex") -> np.ndarray:
    """The true Pareto front, ``[F, 2]``."""
    return rl.pareto.front(attainable(num_agents, curve))


def best_for(front: np.ndarray, preferences: np.ndarray) -> np.ndarray:
    """Points of a front that are best for some of the preferences, ``[S, 2]``."""
    best = np.argmax(preferences @ front.T, axis=1)
    return front[np.unique(best)]


def hypervolume(points: Any, reference: np.ndarray = REFERENCE) -> float:
    """Hypervolume of points ``[P, 2]``; those that do not dominate the reference count nothing."""
    points = np.asarray(points, np.float32)
    above = (points > reference).all(axis=1)
    return float(rl.pareto.hypervolume(points, reference, above)) if above.any() else 0.0


def share_of_front(points: Any, curve: str = "convex") -> float:
    """Hypervolume of points as a share of the true front's."""
    return hypervolume(points) / hypervolume(true_front(2, curve))


def is_among(points: Any, others: np.ndarray) -> np.ndarray:
    """Flag points ``[P, 2]`` that equal one of the others up to rounding."""
    apart = np.abs(np.asarray(points)[:, None] - others[None]).max(axis=-1)
    return (apart < 1e-3).any(axis=1)
