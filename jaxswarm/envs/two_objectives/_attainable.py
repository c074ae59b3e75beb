"""Enumerate what a team can collect in the two-objective grid, by brute force.

Shapes: ``N`` agents, ``K`` treasures, ``R`` different returns.
"""

import itertools

import numpy as np

from jaxswarm import checks
from jaxswarm.envs.two_objectives.environment import MOVES, TwoObjectiveGrid


def attainable_returns(env: TwoObjectiveGrid) -> np.ndarray:
    """All undiscounted vector returns of an episode, ``[R, 2]`` distinct and sorted.

    Follows every sequence of moves of one agent within the time limit, remembering the cell and
    the set of treasures passed; a team collects the union of its agents' sets. ``rl.pareto.front``
    of the result is the true Pareto front.

    Args:
        env: the game, with at most 20 treasures.

    Raises:
        ValueError: for another environment, or more treasures.

    Example:
        >>> from jaxswarm import envs, rl
        >>> returns = envs.two_objectives.attainable_returns(envs.TwoObjectiveGrid())
        >>> len(rl.pareto.front(returns))
        5
    """
    checks.instance("env", env, TwoObjectiveGrid, "envs.TwoObjectiveGrid()")
    number = len(env.cells)
    if number > 20:
        raise ValueError(f"env: expected at most 20 treasures, got {number}")
    at = {tuple(cell): 1 << index for index, cell in enumerate(env.cells.tolist())}
    reached = {((0, 0), 0)}
    for _ in range(env.time_limit):
        following = set()
        for (row, column), taken in reached:
            for down, right in MOVES.tolist():
                cell = (
                    min(max(row + down, 0), env.size - 1),
                    min(max(column + right, 0), env.size - 1),
                )
                following.add((cell, taken | at.get(cell, 0)))
        reached = following
    alone = {taken for _, taken in reached}
    team = {0}
    for _ in range(env.num_agents):
        team = {one | other for one, other in itertools.product(team, alone)}
    flags = np.array([[taken >> index & 1 for index in range(number)] for taken in team])
    return np.unique(np.round(flags @ env.worths.astype(np.float64), 6), axis=0)
