"""An environment whose agents see little, and somebody who sees everything.

Shapes: ``N`` agents, ``F`` numbers of an observation, ``K`` of them seen by agents, messages ``L``.

References:
    N. Gupta, G. Srinivasaraghavan, S. Mohalik, N. Kumar, M. Taylor, HAMMER: multi-level
    coordination of reinforcement learning agents via learned messaging, 2021.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm.envs.environment import Outcome, SwarmEnvironment
from jaxswarm.rl.networks import features_of

PyTree = Any


class MessengerObservation(NamedTuple):
    """What the composed policy of each agent reads.

    Attributes:
        own: ``[N, K]``, what the agent sees.
        identity: ``[N, N]``, who it is.
        everything: ``[N, N F]``, what the messenger sees; the same for all.
        noise: ``[N, L]``, standard normal, kept so that an update meets the same noise again.
        agent_mask: ``bool[N]``.
    """

    own: jax.Array
    identity: jax.Array
    everything: jax.Array
    noise: jax.Array
    agent_mask: jax.Array


class MessengerWorld(NamedTuple):
    """``world``: of the environment; ``noise [N, L]``: of this step."""

    world: PyTree
    noise: jax.Array


class WithMessenger(SwarmEnvironment):
    """An environment whose agents see some fields of their observation, and a messenger all.

    Args:
        env: any environment of ours, not wrapped.
        message_length: ``L``, at least 1; a control without messages is an :class:`Arm`.
        visible: names of the fields that agents see; all if omitted.
        cut: the agents to whom this applies; the others see all fields, and what is hidden from
            some reads 0 to them. Everybody if omitted.

    Raises:
        ValueError: for a field that is not there or nothing visible, an agent that does not exist,
            or a message as long as what the agents cannot see: then it could be passed on whole.
    """

    def __init__(
        self,
        env: SwarmEnvironment,
        message_length: int = 1,
        visible: Sequence[str] | None = None,
        cut: Sequence[int] | None = None,
    ):
        _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
        fields = [name for name in timestep.observation._fields if name != "agent_mask"]
        self.fields = tuple(fields if visible is None else visible)
        if not self.fields or not set(self.fields) <= set(fields):
            raise ValueError(f"visible: expected some of {', '.join(fields)}, got {visible}")
        if cut is not None and not set(cut) <= set(range(env.num_agents)):
            raise ValueError(f"cut: expected agents within [0, {env.num_agents}), got {cut}")
        self.cut = None if cut is None else tuple(cut)
        size = jax.eval_shape(features_of, timestep.observation).shape[1]
        self.env, self.size = env, size
        self.visible = jax.eval_shape(self._own, timestep.observation).shape[1]
        hidden = size * env.num_agents - self.visible
        if not 1 <= message_length < max(hidden, 2):
            raise ValueError(
                f"message_length: expected at least 1 and fewer than the {hidden} hidden numbers, "
                f"got {message_length}"
            )
        self.message_length = message_length
        self.num_agents = env.num_agents
        super().__init__(env.num_agents, env.time_limit)

    @property
    def params(self) -> PyTree:
        """The environment's."""
        return self.env.params

    @cached_property
    def action_spec(self) -> specs.Array:
        """The environment's."""
        return self.env.action_spec

    def agent_mask(self, world: MessengerWorld) -> jax.Array:
        """The environment's."""
        return self.env.agent_mask(world.world)

    def start(self, key: jax.Array, params: PyTree) -> MessengerWorld:
        """The environment's, and noise."""
        world_key, noise_key = jax.random.split(key)
        return MessengerWorld(self.env.start(world_key, params), self._noise(noise_key))

    def advance(
        self, key: jax.Array, world: MessengerWorld, action: jax.Array, params: PyTree
    ) -> Outcome:
        """The environment's, and new noise."""
        world_key, noise_key = jax.random.split(key)
        outcome = self.env.advance(world_key, world.world, action, params)
        return outcome._replace(world=MessengerWorld(outcome.world, self._noise(noise_key)))

    def observe(
        self, world: MessengerWorld, params: PyTree, step_count: jax.Array
    ) -> MessengerObservation:
        """Both sides' views."""
        seen = self.env.observe(world.world, params, step_count)
        features = features_of(seen)
        n = self.num_agents
        return MessengerObservation(
            own=self._own(seen),
            identity=jnp.eye(n),
            everything=jnp.broadcast_to(features.ravel(), (n, features.size)),
            noise=world.noise,
            agent_mask=seen.agent_mask,
        )

    def _own(self, seen: Any) -> jax.Array:
        n = self.env.num_agents
        names = [name for name in seen._fields if name != "agent_mask"]
        shown = self.fields if self.cut is None else names
        parts = [getattr(seen, name).reshape(n, -1).astype(jnp.float32) for name in shown]
        if self.cut is not None:
            whole = ~jnp.isin(jnp.arange(n), jnp.asarray(self.cut, jnp.int32))[:, None]
            kept = [name in self.fields for name in shown]
            parts = [
                jnp.where(whole | keep, part, 0.0) for part, keep in zip(parts, kept, strict=True)
            ]
        return jnp.concatenate(parts, axis=1)

    def _noise(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key, (self.env.num_agents, self.message_length))
