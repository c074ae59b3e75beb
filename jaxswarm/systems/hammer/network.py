"""The composed policy of HAMMER: messenger, message, local network; and which message arms get.

Shapes: ``N`` agents, ``F`` numbers of an observation, ``K`` of them seen by agents, messages ``L``.

References:
    N. Gupta, G. Srinivasaraghavan, S. Mohalik, N. Kumar, M. Taylor, HAMMER: multi-level
    coordination of reinforcement learning agents via learned messaging, 2021.
    J. Foerster et al., Learning to communicate with deep multi-agent reinforcement learning, 2016
    (the discretise–regularise unit).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm.rl.heads import head_of
from jaxswarm.rl.networks import Network
from jaxswarm.systems.hammer.world import WithMessenger

PyTree = Any


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


class Dense(nn.Module):
    """Tanh layers and a linear output, which starts small."""

    widths: Sequence[int]
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """``[F] -> [num_outputs]``."""
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
    check_scale(scale)
    n, length = env.num_agents, env.message_length
    head = head_of(env.action_spec, **options)
    messenger, local, judge = parts(env, head.num_outputs, widths)
    cut = ends(env)

    def init(key: jax.Array) -> PyTree:
        one, two, three = jax.random.split(key, 3)
        actor = {
            "messenger": messenger.init(one, jnp.zeros(n * env.size))["params"],
            "local": local.init(two, jnp.zeros(env.visible + n + length))["params"],
            "log_std": jnp.full(head.num_scales, head.initial_scale),
            "arm": jax.tree.map(jnp.float32, Arm()),
        }
        critic = judge.init(three, jnp.zeros(env.visible + n))["params"]
        return {"actor": actor, "critic": critic}

    def act(params: PyTree, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        everything, identity, drawn, own = jnp.split(features, cut)
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
        _, identity, _, own = jnp.split(seen, cut)
        found = judge.apply({"params": params}, jnp.concatenate([own / scale, identity]))
        return carry, jnp.asarray(found)[0]

    blank = {"actor": (), "critic": ()}
    return Network(head, init, lambda: blank, act, value, False, "own")


def parts(
    env: WithMessenger, num_outputs: int, widths: Sequence[int]
) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Messenger, local network and local critic, the same in all variants."""
    wide = tuple(widths)
    return (
        Dense(wide, env.num_agents * env.message_length),
        Dense(wide, num_outputs),
        Dense(wide, 1),
    )


def ends(env: WithMessenger) -> tuple[int, int, int]:
    """Where :func:`jaxswarm.rl.features_of` cuts everything, identity, noise and own apart."""
    n = env.num_agents
    return n * env.size, n * env.size + n, n * env.size + n + env.message_length


def check_scale(scale: float) -> None:
    """Refuse what observations cannot be divided by.

    Raises:
        ValueError: saying what came.
    """
    if not scale > 0:
        raise ValueError(f"scale: expected a positive number, got {scale}")


def with_arm(params: PyTree, arm: Arm) -> PyTree:
    """The same parameters under another arm."""
    held = jax.tree.map(jnp.float32, arm)
    return {**params, "actor": {**params["actor"], "arm": held}}
