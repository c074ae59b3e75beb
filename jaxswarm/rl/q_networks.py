"""Actor and an ensemble of action-value critics of one agent, for learners that replay.

Critics see actions in units of half their range, ``[-1, 1]``, whatever the environment's bounds.

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

from jaxswarm.errors import unknown
from jaxswarm.models.linear import dot_general
from jaxswarm.models.networks import ACTIVATIONS
from jaxswarm.rl.heads import Head, squashed_gaussian
from jaxswarm.rl.networks import features_of

PyTree = Any


class QNetwork(NamedTuple):
    """Networks of one agent; :func:`jaxswarm.rl.policy` takes them too.

    ``key`` of a function draws dropout; without one the network is deterministic.

    Attributes:
        head: turns the actor's outputs into actions.
        num_features: ``F``.
        num_actions: ``A``.
        init: ``init(key) -> {"actor": …, "critic": …}``, the critics' leaves ``[K, …]``.
        outputs: ``outputs(params["actor"], features [B, F], key=None) -> [B, O]``.
        values: ``values(params["critic"], features [B, F], action [B, A], key=None) -> [K, B, H]``,
            actions in ``[-1, 1]``.
        unit: ``unit(raw) -> action`` in ``[-1, 1]``.
        start: ``start() -> carry``: no memory.
        actor: ``actor(params["actor"], carry, features [F]) -> (carry, outputs [O])``.
    """

    head: Head
    num_features: int
    num_actions: int
    init: Callable[[jax.Array], PyTree]
    outputs: Callable[..., jax.Array]
    values: Callable[..., jax.Array]
    unit: Callable[[jax.Array], jax.Array]
    start: Callable[[], PyTree]
    actor: Callable[[PyTree, PyTree, jax.Array], tuple[PyTree, jax.Array]]


class _Layers(nn.Module):
    """Dense, dropout, layer norm, activation; and a dense output of a given gain."""

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
                x = _silenced(self.make_rng("dropout"), x, self.dropout)
            if self.layer_norm:
                x = nn.LayerNorm()(x)
            x = ACTIVATIONS[self.activation](x)
        return self._dense(self.num_outputs, self.gain)(x)

    def _dense(self, width: int, gain: float) -> nn.Dense:
        start = nn.initializers.variance_scaling(gain**2, "fan_in", "normal")
        return nn.Dense(width, kernel_init=start, dot_general=dot_general)


def _silenced(key: jax.Array, x: jax.Array, share: float) -> jax.Array:
    """Dropout from 16 random bits a unit: drawing 32 took longer than the products around it."""
    kept = jax.random.bits(key, x.shape, jnp.uint16) >= round(share * 2**16)
    return jnp.where(kept, x / (1.0 - share), 0.0)


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
    """Dense layers for the actor and for each of the critics.

    Args:
        head: of the actions, such as a state-dependent :func:`jaxswarm.rl.squashed_gaussian`.
        num_features: ``F``.
        num_actions: ``A``.
        widths: of the hidden layers.
        num_critics: ``K``.
        critic_outputs: ``H``.
        activation: name in ``models.ACTIVATIONS``.
        layer_norm: normalise before each activation.
        actor_dropout: probability in ``[0, 1)`` that a hidden unit is silenced while learning.
        critic_dropout: likewise.

    Raises:
        ValueError: sizes below 1, probabilities out of range, or an unknown name.
    """
    if min(num_features, num_actions, num_critics, critic_outputs, *widths) < 1 or not widths:
        raise ValueError(
            "expected positive sizes, got num_features, num_actions, num_critics, critic_outputs, "
            f"widths = {num_features}, {num_actions}, {num_critics}, {critic_outputs}, {widths}"
        )
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    for name, share in (("actor_dropout", actor_dropout), ("critic_dropout", critic_dropout)):
        if not 0.0 <= share < 1.0:
            raise ValueError(f"{name}: expected in [0, 1), got {share}")
    shape = (tuple(widths), activation, layer_norm)
    acting = _Layers(shape[0], head.num_outputs, 0.01, *shape[1:], actor_dropout)
    judging = _Layers(shape[0], critic_outputs, 1.0, *shape[1:], critic_dropout)

    def init(key: jax.Array) -> PyTree:
        one, two = jax.random.split(key)
        seen = jnp.zeros((1, num_features + num_actions))
        return {
            "actor": acting.init(one, seen[:, :num_features], True)["params"],
            "critic": jax.vmap(lambda k: judging.init(k, seen, True)["params"])(
                jax.random.split(two, num_critics)
            ),
        }

    def apply(module: nn.Module, params: PyTree, x: jax.Array, key: jax.Array | None) -> Any:
        rngs = None if key is None else {"dropout": key}
        return module.apply({"params": params}, x, key is None, rngs=rngs)

    def outputs(params: PyTree, features: jax.Array, key: jax.Array | None = None) -> jax.Array:
        return apply(acting, params, features, key)

    def values(
        params: PyTree, features: jax.Array, action: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        x = jnp.concatenate([features, action], axis=1)
        if key is None or not critic_dropout:
            return jax.vmap(lambda p: apply(judging, p, x, None))(params)
        keys = jax.random.split(key, num_critics)
        return jax.vmap(lambda p, k: apply(judging, p, x, k))(params, keys)

    def actor(params: PyTree, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        return carry, outputs(params, features[None])[0]

    return QNetwork(
        head,
        num_features,
        num_actions,
        init,
        outputs,
        values,
        jnp.tanh,
        lambda: {"actor": ()},
        actor,
    )


def q_network_for(
    env: Any, *, initial_std: float = 1.0, std: str = "exp", **options: Any
) -> QNetwork:
    """A :func:`q_network` whose sizes and squashed Gaussian head are read off an environment.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment` with bounded actions.
        initial_std: see :func:`jaxswarm.rl.squashed_gaussian`.
        std: likewise.
        options: of :func:`q_network`.

    Raises:
        ValueError: discrete or unbounded actions, bounds that differ between agents, or integers
            among the observations.
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


def _num_features(env: Any) -> int:
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    for name, field in timestep.observation._asdict().items():
        for leaf in jax.tree.leaves(field):
            if name != "agent_mask" and jnp.issubdtype(leaf.dtype, jnp.integer):
                raise ValueError(f"env: expected observations of floats, got {leaf.dtype} {name}")
    return jax.eval_shape(features_of, timestep.observation).shape[1]
