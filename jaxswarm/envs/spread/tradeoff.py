"""Cooperative navigation with two objectives: cover the landmarks, and save energy.

Shapes: ``N`` agents and as many landmarks.

References:
    T. Hu, B. Luo, C. Yang, T. Huang, MO-MIX: multi-objective multi-agent cooperative
    decision-making with deep reinforcement learning, 2023 (a particle world with two objectives;
    its own split of the reward is not known here).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm.envs.environment import Outcome, discrete_actions
from jaxswarm.envs.spread.environment import (
    SimpleSpread,
    SpreadObservation,
    SpreadParams,
    SpreadWorld,
)

PUSHES = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], np.float32)
"""Accelerations of the five actions."""


class CoverageEnergyParams(NamedTuple):
    """Physics, traced.

    Attributes:
        spread: of the particles.
        preference: ``[2]``, weights of coverage and energy in the scalar reward.
    """

    spread: Any
    preference: Any


class CoverageEnergy(SimpleSpread):
    """Simple spread with actions ``int32[N]`` (rest, or push left, right, down, up).

    ``extras["objectives"]`` is ``(coverage, energy)``: minus the mean distance of a landmark to its
    nearest agent, and minus the share of agents that push. The reward of all agents is its product
    with the preference in the physics.

    Args:
        num_agents: ``N``, also the number of landmarks.
        time_limit: steps of an episode.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> env = envs.CoverageEnergy(num_agents=3)
        >>> state, timestep = env.reset(jax.random.key(0))
        >>> state, timestep = env.step(state, jnp.array([0, 1, 2]))
        >>> round(float(timestep.extras["objectives"][1]), 3)  # two of three agents push
        -0.667
    """

    @property
    def params(self) -> CoverageEnergyParams:  # type: ignore[override]
        """The physics of simple spread, with equal weights of both objectives."""
        return CoverageEnergyParams(SpreadParams(), np.full(2, 0.5, np.float32))

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]`` below 5."""
        return discrete_actions(self.num_agents, len(PUSHES))

    def start(self, key: jax.Array, params: CoverageEnergyParams) -> SpreadWorld:  # type: ignore[override]
        """As in simple spread."""
        return super().start(key, params.spread)

    def advance(
        self,
        key: jax.Array,
        world: SpreadWorld,
        action: jax.Array,
        params: CoverageEnergyParams,  # type: ignore[override]
    ) -> Outcome:
        """Push, move, and measure both objectives."""
        outcome = super().advance(key, world, jnp.asarray(PUSHES)[action], params.spread)
        coverage = -outcome.metrics["uncovered"] / self.num_agents
        energy = -jnp.mean((action != 0).astype(jnp.float32))
        objectives = jnp.stack([coverage, energy])
        reward = jnp.full(self.num_agents, jnp.sum(objectives * params.preference))
        return outcome._replace(
            reward=reward, metrics={**outcome.metrics, "objectives": objectives}
        )

    def draw(self, world: SpreadWorld, params: CoverageEnergyParams, ax: Any) -> None:  # type: ignore[override]
        """As in simple spread."""
        super().draw(world, params.spread, ax)

    def observe(
        self,
        world: SpreadWorld,
        params: CoverageEnergyParams,  # type: ignore[override]
        step_count: jax.Array,
    ) -> SpreadObservation:
        """As in simple spread."""
        return super().observe(world, params.spread, step_count)
