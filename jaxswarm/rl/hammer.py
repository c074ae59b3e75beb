"""HAMMER: one who sees everything whispers a few numbers to many who see little.

A central messenger reads all observations and sends every agent a short private message; each
agent still chooses its own action from what it sees itself and the message. The message is
differentiable: in PPO's epochs it is computed anew, and the agents' actor losses teach the
messenger (critics do not; they see what the agent sees). Two variants: the plain number, or a
*discretised* one, a sigmoid under noise in training and a hard bit when executed.

:class:`WithMessenger` puts what the messenger sees beside what an agent sees, so the composed
policy is a :class:`jaxswarm.rl.Network` of one agent, and ``ppo(env, network)`` trains it with an
exact ratio. Agents share their local network, which is told who they are. Not here: the variant in
which the messenger is an agent of its own with random messages and the mean reward.

Shapes: ``N`` agents, ``F`` numbers of an observation, ``K`` of them seen by agents, messages ``L``.

References:
    N. Gupta, G. Srinivasaraghavan, S. Mohalik, N. Kumar, M. Taylor, HAMMER: multi-level
    coordination of reinforcement learning agents via learned messaging, 2021.
    J. Foerster et al., Learning to communicate with deep multi-agent reinforcement learning, 2016
    (the discretise–regularise unit).
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jumanji import specs

from jaxswarm.envs.environment import Outcome, SwarmEnvironment
from jaxswarm.rl.heads import head_of
from jaxswarm.rl.networks import Network, features_of

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

    Raises:
        ValueError: for a field that is not there or nothing visible, or a message as long as what
            the agents cannot see: then it could be passed on whole.
    """

    def __init__(
        self,
        env: SwarmEnvironment,
        message_length: int = 1,
        visible: Sequence[str] | None = None,
    ):
        _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
        fields = [name for name in timestep.observation._fields if name != "agent_mask"]
        self.fields = tuple(fields if visible is None else visible)
        if not self.fields or not set(self.fields) <= set(fields):
            raise ValueError(f"visible: expected some of {', '.join(fields)}, got {visible}")
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
        parts = [getattr(seen, name).reshape(n, -1) for name in self.fields]
        return jnp.concatenate([part.astype(jnp.float32) for part in parts], axis=1)

    def _noise(self, key: jax.Array) -> jax.Array:
        return jax.random.normal(key, (self.env.num_agents, self.message_length))


class Arm(NamedTuple):
    """Which message agents get: 0 or 1 each, traced, so that one program runs all arms.

    Attributes:
        learned: the messenger's.
        discrete: squeezed to a bit; only with ``learned``.
        random: noise instead.
    """

    learned: Any = 1.0
    discrete: Any = 0.0
    random: Any = 0.0


ARMS = {
    "learned": Arm(),
    "discretised": Arm(1.0, 1.0, 0.0),
    "random": Arm(0.0, 0.0, 1.0),
    "none": Arm(0.0, 0.0, 0.0),
}


class _Dense(nn.Module):
    """Tanh layers and a linear output, which starts small."""

    widths: Sequence[int]
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for width in self.widths:
            x = nn.tanh(nn.Dense(width)(x))
        small = nn.initializers.variance_scaling(0.01, "fan_in", "normal")
        return nn.Dense(self.num_outputs, kernel_init=small)(x)


def hammer_network(
    env: WithMessenger,
    *,
    widths: Sequence[int] = (64, 64),
    noise: float = 2.0,
    executing: bool = False,
    scale: float = 1.0,
    **options: Any,
) -> Network:
    """The composed policy of one agent: messenger, message, local network.

    Args:
        env: whose sizes and actions are meant.
        widths: of the messenger, the local network and the critic.
        noise: standard deviation of the discretised message's noise in training.
        executing: discretised messages are hard bits without noise; same parameters.
        scale: observations are divided by it.
        options: of :func:`jaxswarm.rl.head_of`.

    Returns:
        A network whose parameters hold the :class:`Arm`; see :func:`with_arm`.

    Raises:
        ValueError: for negative noise or a scale that is not positive.
    """
    if noise < 0:
        raise ValueError(f"noise: expected at least 0, got {noise}")
    if not scale > 0:
        raise ValueError(f"scale: expected a positive number, got {scale}")
    n, length, visible = env.num_agents, env.message_length, env.visible
    head = head_of(env.action_spec, **options)
    messenger = _Dense(tuple(widths), n * length)
    local = _Dense(tuple(widths), head.num_outputs)
    judge = _Dense(tuple(widths), 1)
    ends = (n * env.size, n * env.size + n, n * env.size + n + length)

    def init(key: jax.Array) -> PyTree:
        one, two, three = jax.random.split(key, 3)
        actor = {
            "messenger": messenger.init(one, jnp.zeros(n * env.size))["params"],
            "local": local.init(two, jnp.zeros(visible + n + length))["params"],
            "log_std": jnp.full(head.num_scales, head.initial_scale),
            "arm": jax.tree.map(jnp.float32, Arm()),
        }
        return {"actor": actor, "critic": judge.init(three, jnp.zeros(visible + n))["params"]}

    def act(params: PyTree, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        everything, identity, drawn, own = jnp.split(features, ends)  # as features_of has them
        arm = jax.lax.stop_gradient(params["arm"])
        table = messenger.apply({"params": params["messenger"]}, everything / scale)
        said = identity @ jnp.reshape(jnp.asarray(table), (n, length))
        soft = jax.nn.sigmoid(said + noise * drawn)
        bit = (said > 0).astype(jnp.float32) if executing else soft
        message = arm.learned * jnp.where(arm.discrete > 0, bit, said) + arm.random * drawn
        inputs = jnp.concatenate([own / scale, identity, message])
        outputs = jnp.asarray(local.apply({"params": params["local"]}, inputs))
        return carry, jnp.concatenate([outputs, params["log_std"]])

    def value(params: PyTree, carry: PyTree, seen: jax.Array) -> tuple[PyTree, jax.Array]:
        _, identity, _, own = jnp.split(seen, ends)
        found = judge.apply({"params": params}, jnp.concatenate([own / scale, identity]))
        return carry, jnp.asarray(found)[0]

    blank = {"actor": (), "critic": ()}
    return Network(head, init, lambda: blank, act, value, False, "own")


def with_arm(params: PyTree, arm: Arm) -> PyTree:
    """The same parameters under another arm."""
    held = jax.tree.map(jnp.float32, arm)
    return {**params, "actor": {**params["actor"], "arm": held}}
