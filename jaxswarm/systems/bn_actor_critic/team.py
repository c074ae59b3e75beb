"""A team as one agent: an environment whose single action is the joint action of all members.

:class:`Team` wraps an environment of ``N`` members as one of a single agent, for policies under
which a member's action depends on other members' actions. Members' observations are kept apart. The
noise of the graph sampled in a step is part of the observation: a policy update then uses the same
noise again, and PPO's ratio compares the new policy with the one that acted.

Shapes: ``N`` members with ``A`` actions each, ``F`` features observed by one.
"""

from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxswarm.envs import Outcome
from jaxswarm.rl import JointAgent, feature_slices
from jaxswarm.systems.bn_actor_critic.sampling import DagNoise, dag_noise
from jaxswarm.types import Key, PyTree


class TeamObservation(NamedTuple):
    """Observation of the team; leaves lead with 1.

    Attributes:
        edge_noise: ``[1, N, N, 2]``, noise of the graph's edges.
        features: ``[1, N, F]``, observations of the members.
        permutation_noise: ``[1, N, N]``, noise of the graph's order.
        present: ``float32[1, N]``, 1 for members that are present.
        agent_mask: ``bool[1]``, whether any member is.
    """

    edge_noise: jax.Array
    features: jax.Array
    permutation_noise: jax.Array
    present: jax.Array
    agent_mask: jax.Array


class MemberFeatures(NamedTuple):
    """Parts of a flattened :class:`TeamObservation`, of one team, without the leading 1."""

    features: jax.Array
    present: jax.Array
    noise: DagNoise


class TeamWorld(NamedTuple):
    """``world``: of the wrapped environment; ``noise``: of this step's graph."""

    world: PyTree
    noise: DagNoise


class Team(JointAgent):
    """A :class:`jaxswarm.rl.JointAgent` that also observes the noise of its graph's sample.

    Args:
        env: any :class:`jaxswarm.envs.SwarmEnvironment` with discrete actions, not wrapped.

    Raises:
        ValueError: if members have no, several or different discrete choices.
    """

    def agent_mask(self, world: TeamWorld) -> jax.Array:
        """``bool[1]``, whether any member is present."""
        return super().agent_mask(world.world)

    def start(self, key: Key, params: PyTree) -> TeamWorld:
        """Start an episode, and draw the graph's noise."""
        world_key, noise_key = jax.random.split(key)
        return TeamWorld(super().start(world_key, params), dag_noise(noise_key, self.num_members))

    def advance(self, key: Key, world: TeamWorld, action: jax.Array, params: PyTree) -> Outcome:
        """Advance the wrapped environment, and draw new noise."""
        world_key, noise_key = jax.random.split(key)
        outcome = super().advance(world_key, world.world, action, params)
        noise = dag_noise(noise_key, self.num_members)
        return outcome._replace(world=TeamWorld(outcome.world, noise))

    def observe(self, world: TeamWorld, params: PyTree, step_count: jax.Array) -> TeamObservation:
        """Observations of all members, and the noise."""
        joint = super().observe(world.world, params, step_count)
        return TeamObservation(
            world.noise.edges[None],
            joint.features,
            world.noise.permutation[None],
            joint.present,
            joint.agent_mask,
        )

    def split_features(self, features: jax.Array) -> MemberFeatures:
        """Split :func:`jaxswarm.rl.features_of` an observation, ``[D]``, into its parts.

        Raises:
            ValueError: for another number of features.
        """
        n, f = self.num_members, self.num_features
        if jnp.shape(features) != (3 * n * n + n * f + n,):
            raise ValueError(
                f"features: expected shape {(3 * n * n + n * f + n,)}, got {jnp.shape(features)}"
            )
        part = {name: features[where] for name, where in self._slices.items()}
        noise = DagNoise(
            part["permutation_noise"].reshape(n, n), part["edge_noise"].reshape(n, n, 2)
        )
        return MemberFeatures(part["features"].reshape(n, f), part["present"], noise)

    @cached_property
    def _slices(self) -> dict[str, slice]:
        _, timestep = jax.eval_shape(self.reset, jax.random.key(0))
        return feature_slices(timestep.observation)
