"""Environment wrapper of HAMMER: local agents with limited views, a central agent that sees all.

Shapes: ``N`` agents, ``F`` features of an observation, ``K`` of them visible to local agents, ``L``
numbers of a message.

References:
    N. Gupta, G. Srinivasaraghavan, S. Mohalik, N. Kumar, M. Taylor, HAMMER: multi-level
    coordination of reinforcement learning agents via learned messaging, 2021.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs import Outcome, SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.rl import feature_slices, features_of
from jaxswarm.types import Key, PyTree


class HammerObservation(NamedTuple):
    """Input of the composed policy (central agent, message, local network) of each agent.

    Attributes:
        own: ``[N, K]``, what the local agent observes.
        identity: ``[N, N]``, one-hot ids.
        all_observations: ``[N, N F]``, what the central agent observes; the same for all.
        noise: ``[N, L]``, standard normal noise of the messages, kept so that an update uses the
            same noise again.
        agent_mask: ``bool[N]``.
    """

    own: jax.Array
    identity: jax.Array
    all_observations: jax.Array
    noise: jax.Array
    agent_mask: jax.Array


class HammerFeatures(NamedTuple):
    """Parts of a flattened :class:`HammerObservation`, of one agent or of many."""

    all_observations: jax.Array
    identity: jax.Array
    noise: jax.Array
    own: jax.Array


class HammerWorld(NamedTuple):
    """``world``: of the wrapped environment; ``noise [N, L]``: of this step's messages."""

    world: PyTree
    noise: jax.Array


class HammerEnvironment(SwarmEnvironment):
    """Wrap an environment: local agents see some fields of their observation, a central agent all.

    Args:
        env: any :class:`jaxswarm.envs.SwarmEnvironment`, not wrapped.
        message_length: ``L``, at least 1; a control without messages is a :class:`MessageKind`.
        visible: names of the fields of the observation that local agents see; all if omitted.
        limited_agents: ids of the agents with a limited view; the others observe all fields, and
            hidden fields of the limited ones are 0. All agents if omitted.

    Raises:
        ValueError: for a field that does not exist or nothing visible, an agent that does not
            exist, or messages as long as the hidden observations, which could then be copied.
    """

    def __init__(
        self,
        env: SwarmEnvironment,
        message_length: int = 1,
        visible: Sequence[str] | None = None,
        limited_agents: Sequence[int] | None = None,
    ):
        require_environment(env)
        _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
        fields = [name for name in timestep.observation._fields if name != "agent_mask"]
        known = visible is None or not (isinstance(visible, str) or np.ndim(visible) != 1)
        self.visible = tuple(fields if visible is None else visible) if known else ()
        if not self.visible or not set(self.visible) <= set(fields):
            raise ValueError(f"visible: expected some of {', '.join(fields)}, got {visible}")
        if limited_agents is not None:
            ids = checks.wholes(
                "limited_agents", limited_agents, 0, env.num_agents - 1, shape=(None,)
            )
            limited_agents = tuple(int(i) for i in ids)
        self.limited_agents = limited_agents
        self.env = env
        self.num_features = jax.eval_shape(features_of, timestep.observation).shape[1]
        self.num_visible = jax.eval_shape(self._own, timestep.observation).shape[1]
        message_length = checks.whole("message_length", message_length)
        hidden = self.num_features * env.num_agents - self.num_visible
        if not 1 <= message_length < max(hidden, 2):
            raise ValueError(
                f"message_length: expected at least 1 and fewer than the {hidden} hidden features, "
                f"got {message_length}"
            )
        self.message_length = message_length
        super().__init__(env.num_agents, env.time_limit)

    @property
    def params(self) -> PyTree:
        """Physics of the wrapped environment."""
        return self.env.params

    @cached_property
    def action_spec(self) -> specs.Array:
        """Action spec of the wrapped environment."""
        return self.env.action_spec

    def split_features(self, features: jax.Array) -> HammerFeatures:
        """Split :func:`jaxswarm.rl.features_of` an observation, ``[…, D]``, into its parts."""
        return HammerFeatures(**{name: features[..., part] for name, part in self._slices.items()})

    @cached_property
    def _slices(self) -> dict[str, slice]:
        _, timestep = jax.eval_shape(self.reset, jax.random.key(0))
        return feature_slices(timestep.observation)

    def agent_mask(self, world: HammerWorld) -> jax.Array:
        """Agents present in the wrapped environment, ``bool[N]``."""
        return self.env.agent_mask(world.world)

    def start(self, key: Key, params: PyTree) -> HammerWorld:
        """Start an episode, and draw the messages' noise."""
        world_key, noise_key = jax.random.split(key)
        return HammerWorld(self.env.start(world_key, params), self._noise(noise_key))

    def advance(self, key: Key, world: HammerWorld, action: jax.Array, params: PyTree) -> Outcome:
        """Advance the wrapped environment, and draw new noise."""
        world_key, noise_key = jax.random.split(key)
        outcome = self.env.advance(world_key, world.world, action, params)
        return outcome._replace(world=HammerWorld(outcome.world, self._noise(noise_key)))

    def observe(
        self, world: HammerWorld, params: PyTree, step_count: jax.Array
    ) -> HammerObservation:
        """Observations of local agents and of the central agent."""
        observation = self.env.observe(world.world, params, step_count)
        features = features_of(observation)
        n = self.num_agents
        return HammerObservation(
            own=self._own(observation),
            identity=jnp.eye(n),
            all_observations=jnp.broadcast_to(features.ravel(), (n, features.size)),
            noise=world.noise,
            agent_mask=observation.agent_mask,
        )

    def _own(self, observation: PyTree) -> jax.Array:
        """``[N, K]``: visible fields; with limited agents all fields, theirs partly 0."""
        n = self.env.num_agents
        names = [name for name in observation._fields if name != "agent_mask"]
        shown = self.visible if self.limited_agents is None else names
        parts = [getattr(observation, name).reshape(n, -1).astype(jnp.float32) for name in shown]
        if self.limited_agents is not None:
            limited = jnp.isin(jnp.arange(n), jnp.asarray(self.limited_agents, jnp.int32))
            visible = [~limited[:, None] | (name in self.visible) for name in shown]
            parts = [jnp.where(mask, x, 0.0) for mask, x in zip(visible, parts, strict=True)]
        return jnp.concatenate(parts, axis=1)

    def _noise(self, key: Key) -> jax.Array:
        return jax.random.normal(key, (self.env.num_agents, self.message_length))
