"""RiskyPointMass: the straight path to the goal crosses a disc with rare, large losses.

Points in the unit square move to the origin. Every step costs ``distance + 0.1``; inside the disc
a step costs 10 more with a small probability, largest at its centre. A risk-neutral policy can be
indifferent to the disc; a risk-averse one goes around it. Agents do not interact.

The published code intends to redraw starts inside the disc, but its test is always true, so it
never does; here starts may lie anywhere as well.

Shapes: ``N`` agents.

References:
    U. Özalp, STAC: stochastic actor-critic, 2026.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.envs.risky_point_mass import viewer


class RiskyParams(NamedTuple):
    """Physics, traced; lengths are shares of the square's side.

    Attributes:
        speed: length of the step of a full action.
        noise: half width of the uniform noise on each step.
        goal_radius: an agent nearer to the origin has arrived and leaves.
        disc_center: both coordinates of the disc's centre.
        disc_radius: of the disc.
        risk: probability of the loss at the disc's centre.
        loss: cost of the loss.
    """

    speed: Any = 0.1
    noise: Any = 0.02
    goal_radius: Any = 0.05
    disc_center: Any = 0.5
    disc_radius: Any = 0.3
    risk: Any = 0.1
    loss: Any = 10.0


class RiskyWorld(NamedTuple):
    """``position [N, 2]`` in ``[0, 1]``, ``arrived bool[N]``."""

    position: jax.Array
    arrived: jax.Array


class RiskyObservation(NamedTuple):
    """``position [N, 2]``, ``agent_mask bool[N]`` (false from arrival on)."""

    position: jax.Array
    agent_mask: jax.Array


class RiskyPointMass(SwarmEnvironment):
    """Risky point mass with actions ``float32[N, 2]`` in ``[-1, 1]``, steps in units of the speed.

    Args:
        num_agents: independent agents.
        time_limit: steps of an episode.
    """

    def __init__(self, num_agents: int = 1, time_limit: int = 200):
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> RiskyParams:
        """The paper's physics."""
        return RiskyParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``float32[N, 2]`` in ``[-1, 1]``."""
        return continuous_actions(self.num_agents, 2)

    def start(self, key: jax.Array, params: RiskyParams) -> RiskyWorld:
        """Agents at uniform positions in ``[0.3, 1]²``."""
        del params
        draw = jax.vmap(lambda k: jax.random.uniform(k, (2,), minval=0.3, maxval=1.0))
        position = draw(agents.keys(key, self.num_agents))
        return RiskyWorld(position, jnp.zeros(self.num_agents, bool))

    def agent_mask(self, world: RiskyWorld) -> jax.Array:
        """Agents that have not arrived, ``bool[N]``."""
        return ~world.arrived

    def advance(
        self, key: jax.Array, world: RiskyWorld, action: jax.Array, params: RiskyParams
    ) -> Outcome:
        """Step, noise, cost; the episode ends when all have arrived."""

        def draws(k: jax.Array) -> tuple[jax.Array, jax.Array]:
            move, luck = jax.random.split(k)
            return jax.random.uniform(move, (2,), minval=-1.0, maxval=1.0), jax.random.uniform(luck)

        wind, luck = jax.vmap(draws)(agents.keys(key, self.num_agents))
        moved = world.position + params.speed * jnp.clip(action, -1.0, 1.0) + params.noise * wind
        moved = jnp.where(world.arrived[:, None], world.position, jnp.clip(moved, 0.0, 1.0))
        to_goal = jnp.linalg.norm(moved, axis=1)
        to_center = jnp.linalg.norm(moved - params.disc_center, axis=1)
        inside = to_center < params.disc_radius
        chance = params.risk * jnp.exp(-4.0 * jnp.square(to_center / params.disc_radius))
        struck = inside & (luck < chance)
        reward = -to_goal - 0.1 - params.loss * struck
        arrived = world.arrived | (to_goal < params.goal_radius)
        acting = ~world.arrived
        metrics = {
            "inside": jnp.sum(inside & acting).astype(jnp.int32),
            "struck": jnp.sum(struck & acting).astype(jnp.int32),
            "arrived": jnp.sum(arrived).astype(jnp.int32),
        }
        return Outcome(RiskyWorld(moved, arrived), reward, jnp.all(arrived), metrics)

    def draw(self, world: RiskyWorld, params: RiskyParams, ax: Any) -> None:
        """Draw the square and its disc; see :mod:`jaxswarm.envs.risky_point_mass.viewer`."""
        viewer.draw(world, params, ax)

    def observe(
        self, world: RiskyWorld, params: RiskyParams, step_count: jax.Array
    ) -> RiskyObservation:
        """Each agent's own position."""
        del params, step_count
        return RiskyObservation(world.position, ~world.arrived)
