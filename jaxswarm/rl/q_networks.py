"""Actor and ensemble of action-value critics (Q-networks) of one agent, for off-policy learners.

Critics get actions scaled to ``[-1, 1]``, whatever the environment's bounds.

Shapes: ``B`` items of a batch, ``F`` features, ``A`` numbers of an action, ``O`` outputs of the
actor, ``K`` critics with ``H`` outputs each.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm.envs import SwarmEnvironment
from jaxswarm.errors import unknown
from jaxswarm.models.linear import dot_general
from jaxswarm.models.networks import ACTIVATIONS
from jaxswarm.rl.heads import Head, squashed_gaussian
from jaxswarm.rl.networks import features_of
from jaxswarm.types import Key, Params, PyTree


class QNetwork(NamedTuple):
    """Networks of one agent; :func:`jaxswarm.rl.policy` takes them too.

    ``key`` of a function draws dropout; without one the network is deterministic.

    Attributes:
        head: turns the actor's outputs into actions.
        num_features: ``F``.
        num_actions: ``A``.
        init: ``init(key) -> {"actor": …, "critic": …}``, the critics' leaves ``[K, …]``.
        actor_outputs: ``actor_outputs(params["actor"], features [B, F], key=None) -> [B, O]``.
        q_values: ``q_values(params["critic"], features [B, F], action [B, A], key=None) ->
            [K, B, H]``, actions in ``[-1, 1]``.
        unit_action: ``unit_action(raw) -> action`` in ``[-1, 1]``, the critics' input.
        initial_carry: ``initial_carry() -> carry``: there is no recurrent state.
        actor: ``actor(params["actor"], carry, features [F]) -> (carry, outputs [O])``, of a single
            observation, as of a :class:`jaxswarm.rl.Network`.
    """

    head: Head
    num_features: int
    num_actions: int
    init: Callable[[Key], Params]
    actor_outputs: Callable[..., jax.Array]
    q_values: Callable[..., jax.Array]
    unit_action: Callable[[jax.Array], jax.Array]
    initial_carry: Callable[[], PyTree]
    actor: Callable[[Params, PyTree, jax.Array], tuple[PyTree, jax.Array]]


class _Layers(nn.Module):
    """Dense, dropout, layer norm and activation, repeated; and a dense output of a given gain."""

    widths: Sequence[int]
    num_outputs: int
    gain: float
    activation: str
    layer_norm: bool
    dropout: float

    @nn.compact
    def __call__(self, x: jax.Array, deterministic: bool) -> jax.Array:
        for width in self.widths:
            x = self._dense(width, 2.0**0.5)(x)
            if self.dropout and not deterministic:
                x = _dropout(self.make_rng("dropout"), x, self.dropout)
            if self.layer_norm:
                x = nn.LayerNorm()(x)
            x = ACTIVATIONS[self.activation](x)
        return self._dense(self.num_outputs, self.gain)(x)

    def _dense(self, width: int, gain: float) -> nn.Dense:
        init = nn.initializers.variance_scaling(gain**2, "fan_in", "normal")
        return nn.Dense(width, kernel_init=init, dot_general=dot_general)


def _dropout(key: Key, x: jax.Array, rate: float) -> jax.Array:
    """Dropout from 16 random bits a unit: drawing 32 took longer than the products around it."""
    kept = jax.random.bits(key, x.shape, jnp.uint16) >= round(rate * 2**16)
    return jnp.where(kept, x / (1.0 - rate), 0.0)


def q_network(
    head: Head,
    num_features: int,
    num_actions: int,
    *,
    widths: Sequence[int] = (256, 256),
    num_critics: int = 2,
    critic_outputs: int = 1,
    activation: str = "relu",
    layer_norm: bool = False,
    actor_dropout: float = 0.0,
    critic_dropout: float = 0.0,
) -> QNetwork:
    """Make an actor and ``K`` critics of dense layers.

    Args:
        head: of the actions, such as a state-dependent :func:`jaxswarm.rl.squashed_gaussian`.
        num_features: ``F``.
        num_actions: ``A``.
        widths: of the hidden layers.
        num_critics: ``K``.
        critic_outputs: ``H``.
        activation: name in ``models.ACTIVATIONS``.
        layer_norm: layer normalization before each activation.
        actor_dropout: probability in ``[0, 1)`` that a hidden unit of the actor is zeroed while
            learning.
        critic_dropout: likewise of the critics.

    Raises:
        ValueError: sizes below 1, probabilities out of range, or an unknown name.
    """
    if min(num_features, num_actions, num_critics, critic_outputs, *widths) < 1 or not widths:
        raise ValueError(
            "num_features, num_actions, num_critics, critic_outputs, widths: expected positive "
            f"sizes, got {num_features}, {num_actions}, {num_critics}, {critic_outputs}, {widths}"
        )
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    for name, rate in (("actor_dropout", actor_dropout), ("critic_dropout", critic_dropout)):
        if not 0.0 <= rate < 1.0:
            raise ValueError(f"{name}: expected in [0, 1), got {rate}")
    shape = (tuple(widths), activation, layer_norm)
    actor_net = _Layers(shape[0], head.num_outputs, 0.01, *shape[1:], actor_dropout)
    critic_net = _Layers(shape[0], critic_outputs, 1.0, *shape[1:], critic_dropout)

    def init(key: Key) -> Params:
        actor_key, critic_key = jax.random.split(key)
        features, action = jnp.zeros((1, num_features)), jnp.zeros((1, num_actions))
        critic_input = jnp.concatenate([features, action], axis=1)
        init_critic = jax.vmap(lambda k: critic_net.init(k, critic_input, True)["params"])
        return {
            "actor": actor_net.init(actor_key, features, True)["params"],
            "critic": init_critic(jax.random.split(critic_key, num_critics)),
        }

    def apply(module: nn.Module, params: Params, x: jax.Array, key: Key | None) -> Any:
        rngs = None if key is None else {"dropout": key}
        return module.apply({"params": params}, x, key is None, rngs=rngs)

    def actor_outputs(params: Params, features: jax.Array, key: Key | None = None) -> jax.Array:
        return apply(actor_net, params, features, key)

    def q_values(
        params: Params, features: jax.Array, action: jax.Array, key: Key | None = None
    ) -> jax.Array:
        x = jnp.concatenate([features, action], axis=1)
        if key is None or not critic_dropout:
            return jax.vmap(lambda p: apply(critic_net, p, x, None))(params)
        keys = jax.random.split(key, num_critics)
        return jax.vmap(lambda p, k: apply(critic_net, p, x, k))(params, keys)

    def actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        return carry, actor_outputs(params, features[None])[0]

    return QNetwork(
        head,
        num_features,
        num_actions,
        init,
        actor_outputs,
        q_values,
        jnp.tanh,
        lambda: {"actor": ()},
        actor,
    )


def q_network_for(
    env: SwarmEnvironment, *, initial_std: float = 1.0, std: str = "exp", **options: Any
) -> QNetwork:
    """Make a :func:`q_network` whose sizes and action head are read off an environment.

    The head is a squashed Gaussian with state-dependent standard deviations.

    Args:
        env: environment with bounded continuous actions.
        initial_std: see :func:`jaxswarm.rl.squashed_gaussian`.
        std: likewise.
        options: of :func:`q_network`, such as ``widths`` and ``num_critics``.

    Raises:
        ValueError: discrete or unbounded actions, bounds that differ between agents, or integers
            among the observations.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs, rl
        >>> network = rl.q_network_for(envs.Pendulum(2), widths=(16, 16))
        >>> params = jax.jit(network.init)(jax.random.key(0))
        >>> network.q_values(params["critic"], jnp.zeros((5, 3)), jnp.zeros((5, 1))).shape
        (2, 5, 1)
    """
    spec = env.action_spec
    num_features = _num_features(env)
    if not isinstance(spec, specs.BoundedArray) or len(spec.shape) != 2:
        raise ValueError(f"env: expected bounded continuous actions [N, A], got {spec}")
    if jnp.issubdtype(spec.dtype, jnp.integer):
        raise ValueError(f"env: expected bounded continuous actions [N, A], got {spec}")
    low = np.broadcast_to(np.asarray(spec.minimum), spec.shape)
    high = np.broadcast_to(np.asarray(spec.maximum), spec.shape)
    if (low != low[:1]).any() or (high != high[:1]).any():
        raise ValueError(f"env: expected the same bounds for all agents, got {spec}")
    head = squashed_gaussian(
        spec.shape[1], low[0], high[0], initial_std=initial_std, state_dependent=True, std=std
    )
    return q_network(head, num_features, spec.shape[1], **options)


def _num_features(env: SwarmEnvironment) -> int:
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    for name, field in timestep.observation._asdict().items():
        for leaf in jax.tree.leaves(field):
            if name != "agent_mask" and jnp.issubdtype(leaf.dtype, jnp.integer):
                raise ValueError(f"env: expected observations of floats, got {leaf.dtype} {name}")
    return jax.eval_shape(features_of, timestep.observation).shape[1]
