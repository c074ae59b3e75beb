"""Mixers: from the agents' values of their own actions to joint values, one per objective.

* *independent*: none; each agent's value is regressed on the team's return.
* *additive*: the sum (value-decomposition networks, VDN).
* *monotonic*: a network of the agents' values whose non-negative weights are functions of the
  global state (QMIX). With several objectives the tracks run in parallel and share nothing
  (MO-MIX).

A joint value that rises with each agent's value has, for one objective, its maximum where each
agent takes its own best action (individual–global maximization, IGM). For a weighted sum of
several objectives this holds for the additive mixer, not for monotonic ones; see
:func:`jaxswarm.rl.value_decomposition.igm_violations`.

Shapes: ``N`` agents, ``m`` objectives, ``D`` numbers of the global state, ``K`` joint values (1, or
``N`` of independent agents), ``H`` hidden units of a track.

References:
    P. Sunehag et al., Value-decomposition networks for cooperative multi-agent learning, 2018.
    T. Rashid et al., QMIX: monotonic value function factorisation for deep multi-agent
    reinforcement learning, 2018. T. Hu et al., MO-MIX, 2023.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.models import layers
from jaxswarm.models.linear import dot_general
from jaxswarm.types import ArrayLike, Key, Params

MIXERS = ("independent", "additive", "monotonic")


class Mixer(NamedTuple):
    """Joint values of a batch of ``B`` team decisions.

    Attributes:
        kind: one of :data:`MIXERS`.
        state_size: ``D``; 0 for mixers that do not look at the global state.
        init: ``init(key) -> params``.
        mix: ``mix(params, chosen [B, N, m], state [B, D], present bool[B, N]) -> (values [B, K, m],
            counts bool[B, K])``. Values of absent agents have no influence; ``counts`` is false
            where a value is of no agent.
    """

    kind: str
    state_size: int
    init: Callable[[Key], Params]
    mix: Callable[[Params, jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


def independent() -> Mixer:
    """No mixing: every agent's value stands alone (independent Q-learning).

    References:
        M. Tan, Multi-agent reinforcement learning: independent vs. cooperative agents, 1993.
    """

    def mix(
        params: Params, chosen: jax.Array, state: jax.Array, present: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        del params, state
        return _of_present(chosen, present), present

    return Mixer("independent", 0, lambda key: {}, mix)


def additive(num_agents: int, agent_weights: ArrayLike | None = None) -> Mixer:
    """The sum of the agents' values (VDN), or a weighted sum.

    Args:
        num_agents: ``N``.
        agent_weights: ``[N]``, at least 0; ones by default.

    Raises:
        ValueError: for a negative weight or another shape.
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    weights = jnp.ones(num_agents)
    if agent_weights is not None:
        checks.real("agent_weights", agent_weights, 0.0, shape=(num_agents,))
        weights = jnp.asarray(agent_weights, jnp.float32)

    def mix(
        params: Params, chosen: jax.Array, state: jax.Array, present: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        del params, state
        total = jnp.einsum("bnm,n->bm", _of_present(chosen, present), weights)
        return total[:, None], jnp.any(present, axis=1, keepdims=True)

    return Mixer("additive", 0, lambda key: {}, mix)


class _Tracks(nn.Module):
    """Parallel monotonic mixing networks, one per objective, with weights made from the state."""

    num_agents: int
    num_objectives: int
    width: int

    @nn.compact
    def __call__(self, values: jax.Array, state: jax.Array) -> jax.Array:
        n, m, h = self.num_agents, self.num_objectives, self.width
        # The hypernetworks of all tracks are linear in the state: one product makes them all.
        sizes = (n * h, h, h, h)
        made: Any = layers.Dense(m * sum(sizes), name="hypernetworks", dot_general=dot_general)(
            state
        )
        made = made.reshape(-1, m, sum(sizes))
        first = jnp.abs(made[..., : n * h]).reshape(-1, m, n, h)
        first_bias, second, features = jnp.split(made[..., n * h :], 3, axis=-1)
        hidden = nn.elu(jnp.einsum("bnm,bmnh->bmh", values, first) + first_bias)
        out = self.param("state_value", layers.lecun_normal, (m, h))
        bias = self.param("state_bias", nn.initializers.zeros, (m,))
        state_value = jnp.einsum("bmh,mh->bm", nn.relu(features), out) + bias[None]
        return jnp.sum(hidden * jnp.abs(second), axis=-1) + state_value


def monotonic(
    num_agents: int, state_size: int, num_objectives: int = 1, *, width: int = 16
) -> Mixer:
    """Monotonic mixing networks (QMIX), one track per objective (MO-MIX).

    A track is ``|w₂(s)| · elu(|W₁(s)| q + b₁(s)) + v(s)``, so that it never falls in any agent's
    value.

    Args:
        num_agents: ``N``.
        state_size: ``D``.
        num_objectives: ``m``.
        width: ``H``.

    Raises:
        ValueError: for sizes below 1.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm.rl import value_decomposition
        >>> mixer = value_decomposition.monotonic(2, 3, width=4)
        >>> params = mixer.init(jax.random.key(0))
        >>> q, state, present = jnp.ones((5, 2, 1)), jnp.ones((5, 3)), jnp.ones((5, 2), bool)
        >>> mixer.mix(params, q, state, present)[0].shape
        (5, 1, 1)
    """
    num_agents = checks.whole("num_agents", num_agents, 1)
    state_size = checks.whole("state_size", state_size, 1)
    num_objectives = checks.whole("num_objectives", num_objectives, 1)
    width = checks.whole("width", width, 1)
    net = _Tracks(num_agents, num_objectives, width)

    def init(key: Key) -> Params:
        values, state = jnp.zeros((1, num_agents, num_objectives)), jnp.zeros((1, state_size))
        return net.init(key, values, state)["params"]

    def mix(
        params: Params, chosen: jax.Array, state: jax.Array, present: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        total: Any = net.apply({"params": params}, _of_present(chosen, present), state)
        return total[:, None], jnp.any(present, axis=1, keepdims=True)

    return Mixer("monotonic", state_size, init, mix)


def _of_present(values: jax.Array, present: jax.Array) -> jax.Array:
    return jnp.where(present[:, :, None], values, 0.0)
