"""Predator and prey (simple tag): slow hunters share the reward of a catch, fast prey flee.

All agents learn. Roles are data, ``is_prey`` in the world, so that hunters and prey are one program
for any numbers of them.

Shapes: ``N`` agents (hunters first, then prey), ``K`` obstacles.

References:
    R. Lowe et al., Multi-agent actor-critic for mixed cooperative-competitive environments, 2017.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.envs import particles
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.envs.tag import viewer


class TagParams(NamedTuple):
    """Physics, traced; pairs are (hunter, prey). Units: the arena's half width, seconds.

    Attributes:
        time_step: seconds.
        damping: share of the velocity lost in a step.
        acceleration: of a full action, ``[2]``.
        top_speed: ``[2]``.
        radius: of an agent, ``[2]``.
        obstacle_radius: of an obstacle.
        contact_force: stiffness of a contact.
        contact_margin: softness of a contact.
        catch: reward of a catch for every hunter, and its cost for the prey.
    """

    time_step: Any = 0.1
    damping: Any = 0.25
    acceleration: Any = (3.0, 4.0)
    top_speed: Any = (1.0, 1.3)
    radius: Any = (0.075, 0.05)
    obstacle_radius: Any = 0.2
    contact_force: Any = 100.0
    contact_margin: Any = 1e-3
    catch: Any = 10.0


class TagWorld(NamedTuple):
    """``position``, ``velocity``: ``[N, 2]``; ``is_prey bool[N]``; ``obstacles [K, 2]``."""

    position: jax.Array
    velocity: jax.Array
    is_prey: jax.Array
    obstacles: jax.Array


class TagObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        velocity: ``[N, 2]``, its own.
        position: ``[N, 2]``, its own.
        is_prey: ``[N, 1]``, its role.
        obstacles: ``[N, K, 2]`` relative to it.
        others: ``[N, N − 1, 5]``: position and velocity relative to it, role; in order after it.
        agent_mask: ``bool[N]``.
    """

    velocity: jax.Array
    position: jax.Array
    is_prey: jax.Array
    obstacles: jax.Array
    others: jax.Array
    agent_mask: jax.Array


class SimpleTag(SwarmEnvironment):
    """Predator and prey with accelerations ``float32[N, 2]`` in ``[-1, 1]`` as actions.

    Args:
        num_hunters: number of hunters, which are slow.
        num_prey: number of prey, which are fast.
        num_obstacles: ``K``.
        time_limit: steps of an episode.

    Raises:
        ValueError: if there is no hunter or no prey, or a negative number of obstacles.
    """

    def __init__(
        self,
        num_hunters: int = 3,
        num_prey: int = 1,
        num_obstacles: int = 2,
        time_limit: int = 25,
    ):
        self._num_hunters = checks.whole("num_hunters", num_hunters, 1)
        self._num_obstacles = checks.whole("num_obstacles", num_obstacles)
        super().__init__(self._num_hunters + checks.whole("num_prey", num_prey, 1), time_limit)

    @property
    def params(self) -> TagParams:
        """The physics of the original."""
        return TagParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``float32[N, 2]`` in ``[-1, 1]``."""
        return continuous_actions(self.num_agents, 2)

    def start(self, key: jax.Array, params: TagParams) -> TagWorld:
        """Agents uniform in the arena, at rest; obstacles nearer to the centre."""
        del params
        agent_key, obstacle_key = jax.random.split(key)
        draw = jax.vmap(lambda k: jax.random.uniform(k, (2,), minval=-1.0, maxval=1.0))
        position = draw(agents.keys(agent_key, self.num_agents))
        return TagWorld(
            position,
            jnp.zeros_like(position),
            jnp.arange(self.num_agents) >= self._num_hunters,
            0.9 * draw(agents.keys(obstacle_key, self._num_obstacles)),
        )

    def advance(
        self, key: jax.Array, world: TagWorld, action: jax.Array, params: TagParams
    ) -> Outcome:
        """Forces, clipped velocities, positions; then catches and the penalty for leaving."""
        del key
        acceleration, top_speed, radius = (
            jnp.where(world.is_prey, prey, hunter)
            for hunter, prey in (params.acceleration, params.top_speed, params.radius)
        )
        reach = radius[:, None] + radius[None, :]
        to_obstacle = radius[:, None] + jnp.full((1, self._num_obstacles), params.obstacle_radius)
        contact = (params.contact_force, params.contact_margin)
        force = acceleration[:, None] * jnp.clip(action, -1.0, 1.0)
        force = force + particles.repulsion(world.position, world.position, reach, *contact)
        force = force + particles.repulsion(world.position, world.obstacles, to_obstacle, *contact)
        velocity = world.velocity * (1.0 - params.damping) + params.time_step * force
        speed = particles.distances(velocity, jnp.zeros((1, 2)))[:, 0]
        slower = jnp.where(speed > top_speed, top_speed / jnp.where(speed > 0.0, speed, 1.0), 1.0)
        velocity = velocity * slower[:, None]
        position = world.position + params.time_step * velocity
        world = world._replace(position=position, velocity=velocity)
        touches = particles.distances(position, position) < reach
        caught = touches & ~world.is_prey[:, None] & world.is_prey[None, :]
        catches = jnp.sum(caught)
        hunted = params.catch * catches
        lost = params.catch * jnp.sum(caught, axis=0) + jnp.sum(_outside(position), axis=1)
        reward = jnp.where(world.is_prey, -lost, hunted)
        return Outcome(world, reward, jnp.zeros((), bool), {"catches": catches})

    def draw(self, world: TagWorld, params: TagParams, ax: Any) -> None:
        """Draw agents and obstacles; see :mod:`jaxswarm.envs.tag.viewer`."""
        viewer.draw(world, params, ax)

    def observe(self, world: TagWorld, params: TagParams, step_count: jax.Array) -> TagObservation:
        """Own motion and role; obstacles and others relative to each agent."""
        del params, step_count
        n = self.num_agents
        state = jnp.concatenate([world.position, world.velocity], axis=1)
        relative = state[None, :, :] - state[:, None, :]
        role = jnp.broadcast_to(world.is_prey.astype(jnp.float32)[None, :, None], (n, n, 1))
        after = (jnp.arange(n)[:, None] + jnp.arange(1, n)[None, :]) % n
        others = jnp.concatenate([relative, role], axis=2)
        return TagObservation(
            velocity=world.velocity,
            position=world.position,
            is_prey=world.is_prey.astype(jnp.float32)[:, None],
            obstacles=world.obstacles[None, :, :] - world.position[:, None, :],
            others=jnp.take_along_axis(others, after[:, :, None], axis=1),
            agent_mask=jnp.ones(n, bool),
        )


def _outside(position: jax.Array) -> jax.Array:
    """Penalty of coordinates beyond 0.9: linear up to 1, then exponential, at most 10."""
    x = jnp.abs(position)
    near = (x - 0.9) * 10.0
    far = jnp.minimum(jnp.exp(2.0 * jnp.minimum(x, 3.0) - 2.0), 10.0)
    return jnp.where(x < 0.9, 0.0, jnp.where(x < 1.0, near, far))
