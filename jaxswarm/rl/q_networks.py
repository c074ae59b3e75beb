"""Actor and ensemble of action-value critics (Q-networks) of one agent, for off-policy learners.

Critics get actions scaled to ``[-1, 1]``, whatever the environment's bounds.

Shapes: ``B`` items of a batch, ``F`` features, ``A`` numbers of an action, ``O`` outputs of the
actor, ``K`` critics with ``H`` outputs each.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.models.linear import dense
from jaxswarm.models.networks import ACTIVATIONS
from jaxswarm.rl.features import features_of
from jaxswarm.rl.heads import Head, squashed_gaussian
from jaxswarm.rl.hyperparameters import choice, layer_widths
from jaxswarm.types import Key, Params, PyTree

_T = TypeVar("_T")


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
            x = dense(width, 2.0**0.5)(x)
            if self.dropout and not deterministic:
                x = _dropout(self.make_rng("dropout"), x, self.dropout)
            if self.layer_norm:
                x = nn.LayerNorm()(x)
            x = ACTIVATIONS[self.activation](x)
        return dense(self.num_outputs, self.gain)(x)


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
    checks.instance("head", head, Head, "rl.squashed_gaussian(2, state_dependent=True)")
    num_features = checks.whole("num_features", num_features, 1)
    num_actions = checks.whole("num_actions", num_actions, 1)
    num_critics = checks.whole("num_critics", num_critics, 1)
    critic_outputs = checks.whole("critic_outputs", critic_outputs, 1)
    widths = layer_widths("widths", widths)
    choice("activation", activation, ACTIVATIONS)
    checks.instance("layer_norm", layer_norm, bool)
    for name, rate in (("actor_dropout", actor_dropout), ("critic_dropout", critic_dropout)):
        if checks.is_traced(rate):
            raise ValueError(f"{name}: expected a known number, got {checks.shown(rate)}")
        checks.real(name, rate, 0.0, below=1.0)
    shape = (widths, activation, layer_norm)
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
    require_environment(env)
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


def check_q_network(
    network: Any,
    env: SwarmEnvironment,
    *,
    critic_outputs: int | None = None,
    has_density: bool = True,
    maker: str = "rl.q_network_for(env)",
) -> QNetwork:
    """Check that a network is one that a learner can train in an environment, and return it.

    Args:
        network: what the caller gave.
        env: the environment.
        critic_outputs: ``H``, outputs that each critic must have; any number if ``None``.
        has_density: whether the head's log-probability is needed.
        maker: what makes such networks, for the message.

    Raises:
        ValueError: naming what differs.
    """
    require_environment(env)
    checks.instance("network", network, QNetwork, maker)
    num_features = _num_features(env)
    if network.num_features != num_features:
        raise ValueError(
            f"network: expected one for observations of {num_features} features, got one for "
            f"{network.num_features}; {maker} makes one of the right size"
        )
    shape = env.action_spec.shape
    if len(shape) != 2 or jnp.issubdtype(env.action_spec.dtype, jnp.integer):
        raise ValueError(f"env: expected bounded continuous actions [N, A], got {env.action_spec}")
    if network.num_actions != shape[1]:
        raise ValueError(
            f"network: expected one for actions of {shape[1]} numbers, got one for "
            f"{network.num_actions}; {maker} makes one of the right size"
        )
    num_critics, _, outputs = critic_shape(network)
    if critic_outputs is not None and outputs != critic_outputs:
        raise ValueError(
            f"network: expected critics of {critic_outputs} output{'s' * (critic_outputs > 1)}, got"
            f" {num_critics} of {outputs}; {maker} makes such networks"
        )
    if has_density and not _has_density(network):
        raise ValueError(
            "network: expected a head with a log-probability of a single action, got one without; "
            f"{maker} makes such networks"
        )
    return network


def _once_per_network(function: Callable[[QNetwork], _T]) -> Callable[[QNetwork], _T]:
    """Remember the results of a function that traces a network."""
    kept = functools.lru_cache(maxsize=64)(function)

    @functools.wraps(function)
    def call(network: QNetwork) -> _T:
        try:
            hash(network)
        except TypeError:  # a network of one's own that holds arrays
            return function(network)
        return kept(network)

    return call


@_once_per_network
def critic_shape(network: QNetwork) -> tuple[int, ...]:
    """Shape ``(K, 1, H)`` of the critics' values of one item."""

    def q_values(key: Key) -> jax.Array:
        features, action = jnp.zeros((1, network.num_features)), jnp.zeros((1, network.num_actions))
        return network.q_values(network.init(key)["critic"], features, action)

    return jax.eval_shape(q_values, jax.random.key(0)).shape


@_once_per_network
def _has_density(network: QNetwork) -> bool:
    def log_prob(key: Key) -> jax.Array:
        actor = network.init(key)["actor"]
        outputs = network.actor_outputs(actor, jnp.zeros((1, network.num_features)))[0]
        return network.head.log_prob(outputs, network.head.sample(key, outputs))

    try:
        return jax.eval_shape(log_prob, jax.random.key(0)).shape == ()
    except NotImplementedError:
        return False
