"""Two-objective grid: treasures with two values each, and a Pareto front that can be enumerated.

Agents collect treasures before the time limit; each has a value in two objectives, and the first
agent that reaches it takes it for the team. ``extras["objectives"]`` is the vector reward; the
scalar reward of all agents is its product with the preference in the physics. The values are
physics too, so that batches of preferences and of games are batches of environments.

Shapes: ``N`` agents, ``K`` treasures, ``S`` × ``S`` cells.

References:
    T. Hu, B. Luo, C. Yang, T. Huang, MO-MIX: multi-objective multi-agent cooperative
    decision-making with deep reinforcement learning, 2023 (the setting; not this game).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, discrete_actions
from jaxswarm.envs.two_objectives import viewer

MOVES = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], np.int32)
"""Stay, up, down, left, right as (row, column)."""

TREASURES = (
    ((0, 3), (2.0, 0.0)),
    ((3, 0), (0.0, 2.0)),
    ((0, 5), (4.0, 0.2)),
    ((5, 0), (0.2, 4.0)),
    ((2, 2), (0.8, 0.8)),
    ((3, 3), (1.0, 1.0)),
)
"""Cells and values of the default game: of its five Pareto-optimal returns, two are best for no
linear preference."""


class TwoObjectiveParams(NamedTuple):
    """Physics, traced.

    Attributes:
        preference: ``[2]``, weight of each objective in the scalar reward.
        worths: ``[K, 2]``, values of the treasures.
    """

    preference: Any
    worths: Any


class TwoObjectiveWorld(NamedTuple):
    """``position int32[N, 2]``; ``left bool[K]``, treasures not yet taken."""

    position: jax.Array
    left: jax.Array


class TwoObjectiveObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        position: ``[N, 2]``, its own, as shares of the grid.
        others: ``[N, N − 1, 2]``, the other agents relative to it, in order after it.
        left: ``[N, K]``, 1 for treasures not yet taken.
        agent_mask: ``bool[N]``.
    """

    position: jax.Array
    others: jax.Array
    left: jax.Array
    agent_mask: jax.Array


class TwoObjectiveGrid(SwarmEnvironment):
    """Two-objective grid with moves ``int32[N]``: stay, up, down, left, right.

    Args:
        num_agents: ``N``, all start in the first cell.
        size: ``S``.
        time_limit: steps of an episode.
        treasures: pairs of cell and values ``((row, column), (first, second))``.

    Raises:
        ValueError: if a treasure lies outside, two share a cell, its values are not two finite
            numbers, or there is none.
    """

    def __init__(
        self,
        num_agents: int = 2,
        size: int = 6,
        time_limit: int = 6,
        treasures: tuple = TREASURES,
    ):
        size = checks.whole("size", size, 1)
        try:
            pairs = [(cell, worth) for cell, worth in treasures]
        except (TypeError, ValueError):
            pairs = []
        if not pairs:
            raise ValueError(
                "treasures: expected pairs of a cell and two finite values, got "
                f"{checks.shown(treasures)}"
            )
        cells = checks.wholes("treasures", [cell for cell, _ in pairs], -1, shape=(None, 2))
        try:
            worths = np.array([worth for _, worth in pairs], np.float32)
        except (TypeError, ValueError):
            worths = np.zeros(0, np.float32)
        if worths.shape != (len(cells), 2) or not np.isfinite(worths).all():
            raise ValueError(f"treasures: expected cells with two finite values, got {treasures}")
        if (cells < 0).any() or (cells >= size).any():
            raise ValueError(f"treasures: expected cells within {size} x {size}, got {cells}")
        if len(np.unique(cells, axis=0)) < len(cells):
            raise ValueError("treasures: expected one per cell, got two in the same")
        self.cells, self.worths, self.size = cells, worths, size
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> TwoObjectiveParams:
        """Physics with equal weights of both objectives and the treasures' own values."""
        return TwoObjectiveParams(np.full(2, 0.5, np.float32), self.worths)

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]`` below 5."""
        return discrete_actions(self.num_agents, 5)

    def start(self, key: jax.Array, params: TwoObjectiveParams) -> TwoObjectiveWorld:
        """All agents in the first cell, no treasure taken."""
        del key, params
        return TwoObjectiveWorld(
            jnp.zeros((self.num_agents, 2), jnp.int32), jnp.ones(len(self.cells), bool)
        )

    def advance(
        self,
        key: jax.Array,
        world: TwoObjectiveWorld,
        action: jax.Array,
        params: TwoObjectiveParams,
    ) -> Outcome:
        """Move within the grid and take the treasures reached."""
        del key
        moved = world.position + jnp.asarray(MOVES)[action]
        position = jnp.clip(moved, 0, self.size - 1)
        on = jnp.all(position[:, None, :] == jnp.asarray(self.cells)[None, :, :], axis=-1)
        taken = jnp.any(on, axis=0) & world.left
        objectives = taken.astype(jnp.float32) @ jnp.asarray(params.worths)
        left = world.left & ~taken
        reward = jnp.full(self.num_agents, jnp.sum(objectives * params.preference))
        return Outcome(
            TwoObjectiveWorld(position, left), reward, ~jnp.any(left), {"objectives": objectives}
        )

    def draw(self, world: TwoObjectiveWorld, params: TwoObjectiveParams, ax: Any) -> None:
        """Draw the grid; see :mod:`jaxswarm.envs.two_objectives.viewer`."""
        viewer.draw(world, self.size, self.cells, params.worths, ax)

    def observe(
        self, world: TwoObjectiveWorld, params: TwoObjectiveParams, step_count: jax.Array
    ) -> TwoObjectiveObservation:
        """Each agent's position, the others' relative to it, and the treasures left."""
        del params, step_count
        n = self.num_agents
        scale = max(self.size - 1, 1)
        relative = (world.position[None, :, :] - world.position[:, None, :]) / scale
        after = (jnp.arange(n)[:, None] + jnp.arange(1, n)[None, :]) % n
        return TwoObjectiveObservation(
            position=world.position / scale,
            others=jnp.take_along_axis(relative, after[:, :, None], axis=1),
            left=jnp.broadcast_to(world.left.astype(jnp.float32), (n, len(self.cells))),
            agent_mask=jnp.ones(n, bool),
        )
