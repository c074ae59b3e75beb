"""Symphony's networks: an actor of actions, scales and widths, three critics, bounded noise.

Shapes: ``B`` items of a batch, ``A`` numbers of an action, ``n`` nodes of all critics.

References:
    T. Ishuov et al., Symphony, 2025.
"""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.models import layers
from jaxswarm.models.linear import dot_general
from jaxswarm.rl import Head, QNetwork, q_network_for, squashed_gaussian
from jaxswarm.rl.q_networks import check_q_network
from jaxswarm.systems.symphony.losses import split_outputs
from jaxswarm.types import Key, Params, PyTree

CRITICS = 3
NOISE = 1.0 / math.e  # standard deviation of the noise, which is bounded by 1


class _Resine(nn.Module):
    """``y σ(1.5 y/s)`` of ``y = s sin(x/s)``, ``s = σ(learned)``."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        s = jax.nn.sigmoid(self.param("s", nn.initializers.zeros, (x.shape[-1],)))
        s = jnp.broadcast_to(s, x.shape)
        y = s * jnp.sin(x / s)
        return y * jax.nn.sigmoid(1.5 * y / s)


class _Layers(nn.Module):
    """Dense, layer norm, dense, resine, dense."""

    width: int
    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.LayerNorm()(layers.Dense(self.width, dot_general=dot_general)(x))
        x = _Resine()(layers.Dense(self.width, dot_general=dot_general)(x))
        return layers.Dense(self.num_outputs, dot_general=dot_general)(x)


def symphony_network_for(env: SwarmEnvironment, *, width: int = 512, nodes: int = 384) -> QNetwork:
    """Make an actor and three critics whose sizes are read off an environment.

    Args:
        env: environment with bounded continuous actions.
        width: of the hidden layers.
        nodes: ``n``, of all critics together.

    Raises:
        ValueError: sizes below 1, nodes that three do not divide, or what
            :func:`jaxswarm.rl.q_network_for` refuses.
    """
    width, nodes = checks.whole("width", width, 1), checks.whole("nodes", nodes, 1)
    if nodes % CRITICS:
        raise ValueError(f"nodes: expected a multiple of {CRITICS}, got {nodes}")
    plain = q_network_for(env)  # for its checks, sizes and bounds
    size, num_features = plain.num_actions, plain.num_features
    actor_net, critic_net = _Layers(width, 3 * size), _Layers(width, nodes // CRITICS)

    def init(key: Key) -> Params:
        actor_key, critic_key = jax.random.split(key)
        features, action = jnp.zeros((1, num_features)), jnp.zeros((1, size))
        critic_input = jnp.concatenate([features, action], axis=1)
        init_critic = jax.vmap(lambda k: critic_net.init(k, critic_input)["params"])
        return {
            "actor": actor_net.init(actor_key, features)["params"],
            "critic": init_critic(jax.random.split(critic_key, CRITICS)),
        }

    def actor_outputs(params: Params, features: jax.Array, key: Key | None = None) -> jax.Array:
        result: Any = actor_net.apply({"params": params}, features)
        return result

    def q_values(
        params: Params, features: jax.Array, action: jax.Array, key: Key | None = None
    ) -> jax.Array:
        x = jnp.concatenate([features, action], axis=1)
        result: Any = jax.vmap(lambda p: critic_net.apply({"params": p}, x))(params)
        return result

    def actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        return carry, actor_outputs(params, features[None])[0]

    return QNetwork(
        symphony_head(plain.head.action, size),
        num_features,
        size,
        init,
        actor_outputs,
        q_values,
        jnp.tanh,
        lambda: {"actor": ()},
        actor,
    )


def symphony_head(action: Callable[[jax.Array], jax.Array], size: int) -> Head:
    """Make the head ``raw = S A + N`` with noise bounded by 1; it has no density.

    Args:
        action: maps a raw action to the environment's.
        size: ``A``.
    """

    def mode(outputs: jax.Array) -> jax.Array:
        center, scale, _ = split_outputs(outputs)
        return center * scale

    def sample(key: Key, outputs: jax.Array) -> jax.Array:
        noise = jnp.clip(jax.random.normal(key, (size,)), -math.e, math.e)
        return mode(outputs) + NOISE * noise

    def no_density(*args: Any) -> jax.Array:
        raise NotImplementedError("Symphony's actor is deterministic: it has no log-probability")

    return squashed_gaussian(size)._replace(
        num_outputs=3 * size,
        num_scales=0,
        sample=sample,
        log_prob=no_density,
        entropy=no_density,
        mode=mode,
        action=action,
    )


def check_symphony_network(network: Any, env: SwarmEnvironment | None = None) -> QNetwork:
    """Check that a network is Symphony's, for ``env`` if that is given, and return it.

    Raises:
        ValueError: naming what differs.
    """
    maker = "symphony.symphony_network_for(env)"
    checks.instance("network", network, QNetwork, maker)
    if env is not None:
        check_q_network(network, env, has_density=False, maker=maker)
    if network.head.num_outputs != 3 * network.num_actions:
        raise ValueError(
            f"network: expected an actor of {3 * network.num_actions} outputs (actions, scales and "
            f"widths), got {network.head.num_outputs}; {maker} makes such networks"
        )
    return network
