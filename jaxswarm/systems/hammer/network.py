"""Composed policy of HAMMER: central agent's message network and local network as one network.

Shapes: ``N`` agents, ``F`` features of an observation, ``K`` of them visible to local agents, ``L``
numbers of a message.

References:
    N. Gupta, G. Srinivasaraghavan, S. Mohalik, N. Kumar, M. Taylor, HAMMER: multi-level
    coordination of reinforcement learning agents via learned messaging, 2021.
    J. Foerster et al., Learning to communicate with deep multi-agent reinforcement learning, 2016
    (the discretize–regularize unit).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models import layers
from jaxswarm.rl import Network, head_of
from jaxswarm.rl.hyperparameters import layer_widths
from jaxswarm.systems.hammer.environment import HammerEnvironment
from jaxswarm.types import Key, Params, PyTree


class MessageKind(NamedTuple):
    """Which message local agents receive: 0 or 1 each, traced, so that one program runs all kinds.

    Attributes:
        learned: the central agent's.
        discrete: reduced to a bit; only with ``learned``.
        random: noise instead.
    """

    learned: Any = 1.0
    discrete: Any = 0.0
    random: Any = 0.0


MESSAGE_KINDS = {
    "learned": MessageKind(),
    "discretised": MessageKind(1.0, 1.0, 0.0),
    "random": MessageKind(0.0, 0.0, 1.0),
    "none": MessageKind(0.0, 0.0, 0.0),
}


class Dense(nn.Module):
    """Tanh layers and a linear output with small initial weights."""

    widths: Sequence[int]
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[F] -> [num_outputs]``."""
        for width in self.widths:
            x = nn.tanh(layers.Dense(width)(x))
        small = layers.variance_scaling(0.01, "fan_in", "normal")
        return layers.Dense(self.num_outputs, kernel_init=small)(x)


def hammer_network(
    env: HammerEnvironment,
    *,
    widths: Sequence[int] = (64, 64),
    noise: float = 2.0,
    executing: bool = False,
    scale: float = 1.0,
    **options: Any,
) -> Network:
    """Make the composed policy of one agent: central agent, message, local network.

    Messages are differentiable, so PPO's actor loss of the local agents trains the central agent.

    Args:
        env: whose sizes and actions are meant.
        widths: of the message network, the local network and the critic.
        noise: standard deviation of the discretized message's noise in training.
        executing: discretized messages are bits without noise; same weights.
        scale: observations are divided by it.
        options: of :func:`jaxswarm.rl.head_of`.

    Returns:
        A network whose weights hold the :class:`MessageKind`; see :func:`with_message_kind`.

    Raises:
        ValueError: for negative noise or a scale that is not positive.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> from jaxswarm.systems import hammer
        >>> env = hammer.HammerEnvironment(envs.SumGuessing(4), message_length=1)
        >>> network = hammer.hammer_network(env, widths=(8,))
        >>> params = jax.jit(network.init)(jax.random.key(0))
        >>> params = hammer.with_message_kind(params, hammer.MESSAGE_KINDS["discretised"])
        >>> learner = rl.ppo(env, network, num_envs=2, num_steps=4)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
    """
    require_hammer(env)
    checks.real("noise", noise, 0.0)
    checks.instance("executing", executing, bool)
    check_scale(scale)
    n, length = env.num_agents, env.message_length
    head = head_of(env.action_spec, **options)
    message_net, local_net, critic_net = make_networks(env, head.num_outputs, widths)

    def init(key: Key) -> Params:
        message_key, local_key, critic_key = jax.random.split(key, 3)
        own = jnp.zeros(env.num_visible + n)
        actor = {
            "message_network": message_net.init(message_key, jnp.zeros(n * env.num_features))[
                "params"
            ],
            "local": local_net.init(local_key, jnp.zeros(len(own) + length))["params"],
            "log_std": jnp.full(head.num_scales, head.initial_scale),
            "kind": jax.tree.map(jnp.float32, MessageKind()),
        }
        return {"actor": actor, "critic": critic_net.init(critic_key, own)["params"]}

    def actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        everything, identity, drawn, own = env.split_features(features)
        kind = jax.lax.stop_gradient(params["kind"])
        table = message_net.apply({"params": params["message_network"]}, everything / scale)
        message = identity @ jnp.reshape(jnp.asarray(table), (n, length))
        noisy_bit = jax.nn.sigmoid(message + noise * drawn)
        bit = (message > 0).astype(jnp.float32) if executing else noisy_bit
        learned = jnp.where(kind.discrete > 0, bit, message)
        received = kind.learned * learned + kind.random * drawn
        inputs = jnp.concatenate([own / scale, identity, received])
        outputs = jnp.asarray(local_net.apply({"params": params["local"]}, inputs))
        return carry, jnp.concatenate([outputs, params["log_std"]])

    def critic(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        _, identity, _, own = env.split_features(features)
        inputs = jnp.concatenate([own / scale, identity])
        return carry, jnp.asarray(critic_net.apply({"params": params}, inputs))[0]

    return Network(head, init, lambda: {"actor": (), "critic": ()}, actor, critic)


def make_networks(
    env: HammerEnvironment, num_outputs: int, widths: Sequence[int]
) -> tuple[Dense, Dense, Dense]:
    """Message network, local network and local critic, the same in all variants."""
    widths = layer_widths("widths", widths)
    return (
        Dense(widths, env.num_agents * env.message_length),
        Dense(widths, num_outputs),
        Dense(widths, 1),
    )


def check_scale(scale: float) -> None:
    """Refuse a scale by which observations cannot be divided.

    Raises:
        ValueError: unless it is positive and finite.
    """
    checks.real("scale", scale, above=0.0)


def require_hammer(env: Any) -> HammerEnvironment:
    """Check that a value is a :class:`HammerEnvironment` and return it.

    Raises:
        ValueError: naming what came.
    """
    return checks.instance("env", env, HammerEnvironment, "hammer.HammerEnvironment(env)")


def with_message_kind(params: Params, kind: MessageKind) -> Params:
    """The same weights with another kind of message.

    Args:
        params: weights of :func:`hammer_network`.
        kind: one of :data:`MESSAGE_KINDS`, or another.

    Raises:
        ValueError: for other weights, or a kind whose known numbers are not 0 or 1.
    """
    if not (isinstance(params, dict) and "kind" in dict(params.get("actor", {}))):
        raise ValueError(f"params: expected weights of hammer_network, got {checks.shown(params)}")
    checks.instance("kind", kind, MessageKind, 'hammer.MESSAGE_KINDS["learned"]')
    for name, value in kind._asdict().items():
        checks.probability(f"kind.{name}", value)
    return {**params, "actor": {**params["actor"], "kind": jax.tree.map(jnp.float32, kind)}}
