"""A team as one agent: its action is everybody's, drawn together.

:class:`Team` shows an environment of ``N`` members as one of a single agent, for policies under
which members answer to each other's actions. What a member sees is kept apart. The noise of the
graph drawn in a step is part of the observation: a policy update then meets the same noise again,
and PPO's ratio compares the new policy with the one that acted.

Shapes: ``N`` members with ``A`` actions each, ``F`` numbers seen by one.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm.envs.environment import Outcome, SwarmEnvironment
from jaxswarm.rl.heads import head_of
from jaxswarm.rl.networks import features_of
from jaxswarm.rl.returns import masked_mean
from jaxswarm.systems.bn_actor_critic.sampling import DagNoise, dag_noise

PyTree = Any


class TeamObservation(NamedTuple):
    """Leaves lead with 1, the team.

    Attributes:
        edges: ``[1, N, N, 2]``, noise of the edges.
        features: ``[1, N, F]``, what each member sees.
        permutation: ``[1, N, N]``, noise of the order.
        present: ``float32[1, N]``, 1 for members that are in the world.
        agent_mask: ``bool[1]``, whether anybody is.
    """

    edges: jax.Array
    features: jax.Array
    permutation: jax.Array
    present: jax.Array
    agent_mask: jax.Array


class Seen(NamedTuple):
    """A :class:`TeamObservation` taken apart again: of one team, without the leading 1."""

    features: jax.Array
    present: jax.Array
    noise: DagNoise


class TeamWorld(NamedTuple):
    """``world``: of the environment; ``noise``: of this step's graph."""

    world: PyTree
    noise: DagNoise


class Team(SwarmEnvironment):
    """One agent whose action is ``int32[1, N]`` and whose reward is its present members' mean.

    Args:
        env: any environment of ours with discrete actions, not wrapped.

    Raises:
        ValueError: if members have no, several or different discrete choices.
    """

    def __init__(self, env: SwarmEnvironment):
        spec = env.action_spec
        if not isinstance(spec, specs.MultiDiscreteArray) or len(spec.shape) != 1:
            raise ValueError(f"env: expected discrete actions [N], got {spec}")
        self.env, self.num_members = env, env.num_agents
        self.num_actions = head_of(spec).num_outputs
        _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
        self.num_features = jax.eval_shape(features_of, timestep.observation).shape[1]
        super().__init__(1, env.time_limit)

    @property
    def params(self) -> PyTree:
        """The environment's."""
        return self.env.params

    @cached_property
    def action_spec(self) -> specs.Array:
        """``int32[1, N]``."""
        shape = (1, self.num_members)
        return specs.MultiDiscreteArray(jnp.full(shape, self.num_actions, jnp.int32), name="action")

    def agent_mask(self, world: TeamWorld) -> jax.Array:
        """Whether anybody is left."""
        return jnp.any(self.env.agent_mask(world.world))[None]

    def start(self, key: jax.Array, params: PyTree) -> TeamWorld:
        """The environment's, and noise."""
        world_key, noise_key = jax.random.split(key)
        return TeamWorld(self.env.start(world_key, params), dag_noise(noise_key, self.num_members))

    def advance(
        self, key: jax.Array, world: TeamWorld, action: jax.Array, params: PyTree
    ) -> Outcome:
        """The environment's, and new noise."""
        world_key, noise_key = jax.random.split(key)
        outcome = self.env.advance(world_key, world.world, action[0], params)
        earned = masked_mean(outcome.reward, self.env.agent_mask(world.world))
        noise = dag_noise(noise_key, self.num_members)
        return outcome._replace(world=TeamWorld(outcome.world, noise), reward=earned[None])

    def observe(self, world: TeamWorld, params: PyTree, step_count: jax.Array) -> TeamObservation:
        """What all see, and the noise."""
        seen = self.env.observe(world.world, params, step_count)
        present = self.env.agent_mask(world.world)
        return TeamObservation(
            world.noise.edges[None],
            features_of(seen)[None],
            world.noise.permutation[None],
            present.astype(jnp.float32)[None],
            jnp.any(present)[None],
        )

    def seen(self, features: jax.Array) -> Seen:
        """What :func:`jaxswarm.rl.features_of` laid side by side, ``[D]``, taken apart."""
        n, f = self.num_members, self.num_features
        ends = (2 * n * n, 2 * n * n + n * f, 3 * n * n + n * f)  # in the fields' order
        edges, own, permutation, present = jnp.split(features, ends)
        noise = DagNoise(permutation.reshape(n, n), edges.reshape(n, n, 2))
        return Seen(own.reshape(n, f), present, noise)
