"""Deep-sea treasure: submarines trade the value of a treasure against the time to reach it.

Each column of the sea has one treasure on its bed; further ones are deeper and worth more. The
Pareto front is known, ten points from ``(1, −1)`` to ``(124, −19)``, and concave: every linear
preference between value and time is best served by one of the two ends.

Shapes: ``N`` submarines, which do not influence each other.

References:
    P. Vamplew et al., Empirical evaluation methods for multiobjective reinforcement learning
    algorithms, 2011. L. Felten et al., A toolkit for reliable benchmarking and research in
    multi-objective reinforcement learning, 2023 (MO-Gymnasium, whose ``concave`` map this is).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import agents
from jaxswarm.envs.deep_sea_treasure import viewer
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, discrete_actions

VALUES = (1.0, 2.0, 3.0, 5.0, 8.0, 16.0, 24.0, 50.0, 74.0, 124.0)
"""Value of the treasure in each column."""

DEPTHS = (1, 2, 3, 4, 4, 4, 7, 7, 9, 10)
"""Row of the treasure in each column; the surface is row 0."""

MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]], np.int32)
"""Up, down, left, right as (row, column)."""


class TreasureParams(NamedTuple):
    """Physics, traced. ``preference [2]``: weights of value and time in the scalar reward."""

    preference: Any


class TreasureWorld(NamedTuple):
    """``position int32[N, 2]``; ``searching bool[N]``, submarines without a treasure yet."""

    position: jax.Array
    searching: jax.Array


class TreasureObservation(NamedTuple):
    """``position [N, 2]``, row and column as shares of the grid; ``agent_mask bool[N]``."""

    position: jax.Array
    agent_mask: jax.Array


def true_front() -> np.ndarray:
    """The Pareto front of one submarine, ``[10, 2]``: value, and minus the time to reach it.

    Example:
        >>> true_front()[[0, -1]].tolist()
        [[1.0, -1.0], [124.0, -19.0]]
    """
    steps = np.arange(len(DEPTHS)) + np.array(DEPTHS)
    return np.stack([np.array(VALUES), -steps.astype(np.float64)], axis=1)


class DeepSeaTreasure(SwarmEnvironment):
    """Deep-sea treasure with moves ``int32[N]``: up, down, left, right.

    A submarine leaves with its treasure; moves out of the sea or into its bed do nothing.
    ``extras["objectives"]`` is the mean over submarines of ``(value found, −1 if still at sea)``.

    Args:
        num_agents: ``N``.
        time_limit: steps of an episode.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> env = envs.DeepSeaTreasure()
        >>> state, _ = env.reset(jax.random.key(0))
        >>> _, timestep = env.step(state, jnp.array([1]))
        >>> timestep.extras["objectives"].tolist(), bool(timestep.last())
        ([1.0, -1.0], True)
    """

    def __init__(self, num_agents: int = 1, time_limit: int = 100):
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> TreasureParams:
        """Physics with equal weights of both objectives."""
        return TreasureParams(np.full(2, 0.5, np.float32))

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]`` below 4."""
        return discrete_actions(self.num_agents, len(MOVES))

    def agent_mask(self, world: TreasureWorld) -> jax.Array:
        """Submarines that are still at sea."""
        return world.searching

    def start(self, key: jax.Array, params: TreasureParams) -> TreasureWorld:
        """All submarines at the surface of the first column."""
        del key, params
        n = self.num_agents
        return TreasureWorld(jnp.zeros((n, 2), jnp.int32), jnp.ones(n, bool))

    def advance(
        self, key: jax.Array, world: TreasureWorld, action: jax.Array, params: TreasureParams
    ) -> Outcome:
        """Move within the water and take the treasures reached."""
        del key
        depths = jnp.asarray(DEPTHS)
        moved = world.position + jnp.asarray(MOVES)[action]
        column = jnp.clip(moved[:, 1], 0, len(DEPTHS) - 1)
        fits = (moved[:, 0] >= 0) & (moved[:, 1] == column) & (moved[:, 0] <= depths[column])
        position = agents.where(fits & world.searching, moved, world.position)
        found = world.searching & (position[:, 0] == depths[position[:, 1]])
        value = jnp.where(found, jnp.asarray(VALUES)[position[:, 1]], 0.0)
        each = jnp.stack([value, -world.searching.astype(jnp.float32)], axis=1)
        searching = world.searching & ~found
        reward = jnp.sum(each * params.preference[None], axis=1)
        return Outcome(
            TreasureWorld(position, searching),
            reward,
            ~jnp.any(searching),
            {"objectives": jnp.mean(each, axis=0)},
        )

    def draw(self, world: TreasureWorld, params: TreasureParams, ax: Any) -> None:
        """Draw the sea; see :mod:`jaxswarm.envs.deep_sea_treasure.viewer`."""
        del params
        viewer.draw(world, VALUES, DEPTHS, ax)

    def observe(
        self, world: TreasureWorld, params: TreasureParams, step_count: jax.Array
    ) -> TreasureObservation:
        """Each submarine's own position."""
        del params, step_count
        scale = jnp.array([max(DEPTHS), len(DEPTHS) - 1], jnp.float32)
        return TreasureObservation(world.position / scale[None], world.searching)
