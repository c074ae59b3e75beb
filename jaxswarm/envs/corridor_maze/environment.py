"""Corridor maze: a long winding corridor with a sparse reward at its end.

Rows of floor are joined at alternating ends, so that the path from start to goal visits every cell:
the horizon grows with the grid. With ``slip`` above zero a step sometimes repeats the previous move
(sticky actions), so that long open-loop plans fail. Agents do not interact.

Shapes: ``N`` agents, a grid ``[2R − 1, C]`` for ``R`` rows of floor.

References:
    Q. Li, S. Park, S. Levine, Decoupled Q-chunking, 2025 (the kind of task: long horizons where
    open-loop chunks help and reactivity matters).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs.corridor_maze import viewer
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, discrete_actions

MOVES = np.array([[-1, 0], [1, 0], [0, -1], [0, 1]], np.int32)
"""Up, down, left, right as (row, column)."""


class CorridorParams(NamedTuple):
    """Physics, traced. ``slip``: probability that the previous move is repeated."""

    slip: Any = 0.0


class CorridorWorld(NamedTuple):
    """``position int32[N, 2]``; ``last int32[N]``, the previous move; ``arrived bool[N]``."""

    position: jax.Array
    last: jax.Array
    arrived: jax.Array


class CorridorObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        position: ``[N, 2]``, row and column as shares of the grid.
        walls: ``[N, 4]``, 1 where the neighbouring cell is blocked.
        agent_mask: ``bool[N]``, false from arrival on.
    """

    position: jax.Array
    walls: jax.Array
    agent_mask: jax.Array


class CorridorMaze(SwarmEnvironment):
    """Corridor maze with moves ``int32[N]``: up, down, left, right; reward 1 on arrival, else 0.

    Args:
        num_agents: independent agents.
        rows: rows of floor, at least 1.
        columns: cells of a row, at least 2.
        time_limit: steps of an episode; four times the corridor's length if omitted.

    Raises:
        ValueError: if the grid is smaller.
    """

    def __init__(
        self,
        num_agents: int = 1,
        rows: int = 5,
        columns: int = 12,
        time_limit: int | None = None,
    ):
        rows, columns = checks.whole("rows", rows, 1), checks.whole("columns", columns, 2)
        floor = np.zeros((2 * rows - 1, columns), bool)
        floor[::2] = True
        for gap in range(rows - 1):
            floor[2 * gap + 1, -1 if gap % 2 == 0 else 0] = True
        self.floor = floor
        self.goal = np.array([2 * rows - 2, -1 % columns if rows % 2 else 0], np.int32)
        self.length = rows * columns + rows - 2
        super().__init__(num_agents, 4 * self.length if time_limit is None else time_limit)

    @property
    def params(self) -> CorridorParams:
        """Physics without slipping."""
        return CorridorParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]`` below 4."""
        return discrete_actions(self.num_agents, 4)

    def start(self, key: jax.Array, params: CorridorParams) -> CorridorWorld:
        """All agents in the first cell."""
        del key, params
        n = self.num_agents
        return CorridorWorld(
            jnp.zeros((n, 2), jnp.int32), jnp.full(n, 3, jnp.int32), jnp.zeros(n, bool)
        )

    def agent_mask(self, world: CorridorWorld) -> jax.Array:
        """Agents that have not arrived, ``bool[N]``."""
        return ~world.arrived

    def advance(
        self, key: jax.Array, world: CorridorWorld, action: jax.Array, params: CorridorParams
    ) -> Outcome:
        """Move, unless a wall blocks the way."""
        draws = jax.vmap(lambda k: jax.random.uniform(k))(agents.keys(key, self.num_agents))
        move = jnp.where(draws < params.slip, world.last, action).astype(jnp.int32)
        there = world.position + jnp.asarray(MOVES)[move]
        moves = self._free(there) & ~world.arrived
        position = jnp.where(moves[:, None], there, world.position)
        at_goal = jnp.all(position == jnp.asarray(self.goal)[None, :], axis=1)
        arrived = world.arrived | at_goal
        reward = (at_goal & ~world.arrived).astype(jnp.float32)
        metrics = {"arrived": jnp.sum(arrived).astype(jnp.int32)}
        return Outcome(CorridorWorld(position, move, arrived), reward, jnp.all(arrived), metrics)

    def draw(self, world: CorridorWorld, params: CorridorParams, ax: Any) -> None:
        """Draw the maze; see :mod:`jaxswarm.envs.corridor_maze.viewer`."""
        del params
        viewer.draw(world, self.floor, self.goal, ax)

    def observe(
        self, world: CorridorWorld, params: CorridorParams, step_count: jax.Array
    ) -> CorridorObservation:
        """Each agent's position and the walls around it."""
        del params, step_count
        size = jnp.maximum(jnp.array(self.floor.shape, jnp.float32) - 1.0, 1.0)
        around = world.position[:, None, :] + jnp.asarray(MOVES)[None, :, :]
        return CorridorObservation(
            position=world.position / size[None, :],
            walls=(~self._free(around)).astype(jnp.float32),
            agent_mask=~world.arrived,
        )

    def _free(self, cell: jax.Array) -> jax.Array:
        """Whether cells ``[..., 2]`` are floor."""
        padded = jnp.asarray(np.pad(self.floor, 1))
        return padded[cell[..., 0] + 1, cell[..., 1] + 1]
