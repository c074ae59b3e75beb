"""Cooperative navigation (simple spread): ``N`` agents cover ``N`` landmarks without collisions.

The physics of the multi-agent particle environments: point masses with damping, soft contact
forces, accelerations as actions. Each agent's reward is the team's
``−Σ_landmarks min_agents distance``, mixed with ``−1`` per collision of its own.

Shapes: ``N`` agents and as many landmarks.

References:
    R. Lowe et al., Multi-agent actor-critic for mixed cooperative-competitive environments, 2017.
    I. Mordatch, P. Abbeel, Emergence of grounded compositional language in multi-agent
    populations, 2018 (the physics).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm import agents
from jaxswarm.envs import particles
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, continuous_actions
from jaxswarm.envs.spread import viewer


class SpreadParams(NamedTuple):
    """Physics, in units of the arena's half width and of one second; traced.

    Attributes:
        time_step: seconds.
        damping: share of the velocity lost in a step.
        acceleration: of a full action.
        agent_radius: two agents collide when closer than twice this.
        contact_force: stiffness of a contact.
        contact_margin: softness of a contact, a distance.
        team_share: weight of the team's reward, in ``[0, 1]``; collisions get the rest.
    """

    time_step: Any = 0.1
    damping: Any = 0.25
    acceleration: Any = 5.0
    agent_radius: Any = 0.15
    contact_force: Any = 100.0
    contact_margin: Any = 1e-3
    team_share: Any = 0.5


class SpreadWorld(NamedTuple):
    """``position``, ``velocity`` and ``landmarks``, each ``[N, 2]``."""

    position: jax.Array
    velocity: jax.Array
    landmarks: jax.Array


class SpreadObservation(NamedTuple):
    """Observation of each agent.

    Attributes:
        velocity: ``[N, 2]``, its own.
        position: ``[N, 2]``, its own.
        landmarks: ``[N, N, 2]``, all landmarks, relative to it.
        others: ``[N, N − 1, 2]``, the other agents relative to it, in order after it.
        agent_mask: ``bool[N]``, always true.
    """

    velocity: jax.Array
    position: jax.Array
    landmarks: jax.Array
    others: jax.Array
    agent_mask: jax.Array


class SimpleSpread(SwarmEnvironment):
    """Cooperative navigation with accelerations ``float32[N, 2]`` in ``[-1, 1]``.

    Args:
        num_agents: ``N``, also the number of landmarks.
        time_limit: steps of an episode.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> env = envs.SimpleSpread(num_agents=3)
        >>> state, timestep = env.reset(jax.random.key(0))
        >>> state, timestep = env.step(state, jnp.zeros((3, 2)))
        >>> timestep.reward.shape
        (3,)
    """

    def __init__(self, num_agents: int = 3, time_limit: int = 25):
        super().__init__(num_agents, time_limit)

    @property
    def params(self) -> SpreadParams:
        """The physics of the original."""
        return SpreadParams()

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``float32[N, 2]`` in ``[-1, 1]``."""
        return continuous_actions(self.num_agents, 2)

    def start(self, key: jax.Array, params: SpreadParams) -> SpreadWorld:
        """Agents and landmarks uniform in the square ``[-1, 1]²``, at rest."""
        del params
        draws = jax.vmap(lambda k: jax.random.uniform(k, (2, 2), minval=-1.0, maxval=1.0))(
            agents.keys(key, self.num_agents)
        )
        return SpreadWorld(draws[:, 0], jnp.zeros_like(draws[:, 0]), draws[:, 1])

    def advance(
        self, key: jax.Array, world: SpreadWorld, action: jax.Array, params: SpreadParams
    ) -> Outcome:
        """Forces, then velocities, then positions, then the reward where they arrive."""
        del key
        force = params.acceleration * jnp.clip(action, -1.0, 1.0)
        force = force + particles.repulsion(
            world.position,
            world.position,
            2.0 * jnp.asarray(params.agent_radius),
            params.contact_force,
            params.contact_margin,
        )
        velocity = world.velocity * (1.0 - params.damping) + params.time_step * force
        position = world.position + params.time_step * velocity
        world = SpreadWorld(position, velocity, world.landmarks)
        to_agents = particles.squared_distances(world.landmarks, position)
        # An agent that is nowhere covers none.
        uncovered = jnp.sum(particles.root(jnp.nanmin(to_agents, axis=1)))
        reach = 2.0 * jnp.asarray(params.agent_radius)
        touching = particles.squared_distances(position, position) < reach * jnp.abs(reach)
        itself = jnp.eye(self.num_agents, dtype=bool)
        collisions = jnp.sum(touching & ~itself, axis=1)
        reward = params.team_share * -uncovered - (1.0 - params.team_share) * collisions
        reward = jnp.where(particles.is_nowhere(position), jnp.nan, reward)
        metrics = {"uncovered": uncovered, "collisions": jnp.sum(collisions).astype(jnp.int32) // 2}
        return Outcome(world, reward.astype(jnp.float32), jnp.zeros((), bool), metrics)

    def draw(self, world: SpreadWorld, params: SpreadParams, ax: Any) -> None:
        """Draw agents and landmarks; see :mod:`jaxswarm.envs.spread.viewer`."""
        viewer.draw(world, params, ax)

    def observe(
        self, world: SpreadWorld, params: SpreadParams, step_count: jax.Array
    ) -> SpreadObservation:
        """Own motion, landmarks and others relative to each agent."""
        del params, step_count
        n = self.num_agents
        # Rows of n + 1 cut from repetitions of n begin one agent later each: row i holds agents
        # i, i + 1, … without a gather, which would compute all positions anew for every entry.
        repeated = jnp.broadcast_to(world.position[None], (n + 1, n, 2)).reshape(n, n + 1, 2)
        return SpreadObservation(
            velocity=world.velocity,
            position=world.position,
            landmarks=world.landmarks[None, :, :] - world.position[:, None, :],
            others=repeated[:, 1:n] - world.position[:, None, :],
            agent_mask=jnp.ones(n, bool),
        )
