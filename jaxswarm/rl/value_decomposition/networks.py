"""Recurrent agents with vector action values, conditioned on a preference, and a mixer on top.

All agents run one network on their own observations, their id and a preference between objectives;
a GRU keeps the history. Each action gets one value per objective.

Shapes: ``B`` episodes, ``T`` steps, ``N`` agents, ``F`` features, ``A`` actions, ``m`` objectives,
``H`` units of the GRU.

References:
    M. Hausknecht, P. Stone, Deep recurrent Q-learning for partially observable MDPs, 2015.
    T. Hu et al., MO-MIX, 2023 (the conditioned agent network; its sizes are not known here).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.models import layers
from jaxswarm.models.linear import dot_general
from jaxswarm.rl.features import action_mask_slice, features_of, only_legal
from jaxswarm.rl.hyperparameters import choice
from jaxswarm.rl.value_decomposition.mixers import MIXERS, Mixer, additive, independent, monotonic
from jaxswarm.types import ArrayLike, Key, Params

OBJECTIVES = "objectives"
"""The name in an environment's ``extras`` of its vector reward ``[m]``."""


class ValueNetwork(NamedTuple):
    """Value networks of a team: one agent's network, and a mixer.

    Attributes:
        num_agents: ``N``.
        num_features: ``F``.
        num_actions: ``A``.
        num_objectives: ``m``; 1 for the plain reward.
        hidden_size: ``H``.
        mixer: joint values from the agents' own.
        init: ``init(key) -> {"agent": …, "mixer": …}``.
        step: ``step(params["agent"], carry [B, H], inputs [B, I]) -> (carry, q [B, A, m])`` of one
            agent.
        sequence: ``sequence(params["agent"], inputs [T, B, I]) -> q [T, B, A, m]``: all steps of
            episodes from their beginning.
        legal: part of the features that is above 0 for legal actions, of which alone values and
            choices are; ``None`` if all are legal.
    """

    num_agents: int
    num_features: int
    num_actions: int
    num_objectives: int
    hidden_size: int
    mixer: Mixer
    init: Callable[[Key], Params]
    step: Callable[[Params, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
    sequence: Callable[[Params, jax.Array], jax.Array]
    legal: slice | None = None


class _Agent(nn.Module):
    """A dense layer, a GRU and a dense output; what does not depend on the past in one product."""

    hidden_size: int
    num_outputs: int

    def setup(self) -> None:
        dense = lambda size: layers.Dense(size, dot_general=dot_general)  # noqa: E731
        self.encoder = dense(self.hidden_size)
        self.input_gates = dense(3 * self.hidden_size)
        self.recurrent_gates = dense(3 * self.hidden_size)
        self.values = dense(self.num_outputs)

    def __call__(self, carry: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        carry = self.recur(carry, self.gates(x))
        return carry, self.values(carry)

    def gates(self, x: jax.Array) -> jax.Array:
        return self.input_gates(nn.relu(self.encoder(x)))

    def recur(self, carry: jax.Array, gates: jax.Array) -> jax.Array:
        own = jnp.split(gates, 3, axis=-1)
        past = jnp.split(self.recurrent_gates(carry), 3, axis=-1)
        reset, update = nn.sigmoid(own[0] + past[0]), nn.sigmoid(own[1] + past[1])
        new = jnp.tanh(own[2] + reset * past[2])
        return (1.0 - update) * new + update * carry

    def outputs(self, carry: jax.Array) -> jax.Array:
        return self.values(carry)


def value_network(
    num_agents: int,
    num_features: int,
    num_actions: int,
    mixer: Mixer,
    *,
    num_objectives: int = 1,
    hidden_size: int = 32,
    legal: slice | None = None,
) -> ValueNetwork:
    """Make a recurrent agent network with a mixer; :func:`value_network_for` reads the sizes.

    Args:
        num_agents: ``N``.
        num_features: ``F``.
        num_actions: ``A``.
        mixer: of ``N`` agents and ``m`` objectives.
        num_objectives: ``m``.
        hidden_size: ``H``, also the width of the layer before the GRU.
        legal: part of the features that is above 0 for legal actions; values of the others are
            -1e9. All are legal if omitted.

    Raises:
        ValueError: for sizes below 1, something that is no mixer, or as many legal actions as
            there are not.
    """
    n = checks.whole("num_agents", num_agents, 1)
    num_features = checks.whole("num_features", num_features, 1)
    num_actions = checks.whole("num_actions", num_actions, 1)
    m = checks.whole("num_objectives", num_objectives, 1)
    hidden_size = checks.whole("hidden_size", hidden_size, 1)
    checks.instance("mixer", mixer, Mixer, "value_decomposition.additive(2)")
    if legal is not None:
        checks.instance("legal", legal, slice, "rl.feature_slices(observation)['action_mask']")
        if len(range(num_features)[legal]) != num_actions:
            raise ValueError(f"legal: expected a part of {num_actions} features, got {legal}")
    net = _Agent(hidden_size, num_actions * m)
    num_inputs = num_features + n + (m if m > 1 else 0)

    def init(key: Key) -> Params:
        agent_key, mixer_key = jax.random.split(key)
        carry, x = jnp.zeros((1, hidden_size)), jnp.zeros((1, num_inputs))
        agent = net.init(agent_key, carry, x)["params"]
        return {"agent": agent, "mixer": mixer.init(mixer_key)}

    def apply(params: Params, *args: jax.Array, method: str | None = None) -> Any:
        return net.apply({"params": params}, *args, method=method)

    def masked(q: jax.Array, inputs: jax.Array) -> jax.Array:
        if legal is None:
            return q
        return only_legal(q, inputs[..., :num_features][..., legal], (num_actions,))

    def step(params: Params, carry: jax.Array, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        carry, q = apply(params, carry, inputs)
        return carry, masked(q.reshape(len(q), num_actions, m), inputs)

    def sequence(params: Params, inputs: jax.Array) -> jax.Array:
        num_steps, batch, size = inputs.shape
        gates = apply(params, inputs.reshape(-1, size), method="gates")
        gates = gates.reshape(num_steps, batch, -1)

        def recur(carry: jax.Array, gates: jax.Array) -> tuple[jax.Array, jax.Array]:
            carry = apply(params, carry, gates, method="recur")
            return carry, carry

        _, carries = jax.lax.scan(recur, jnp.zeros((batch, hidden_size)), gates)
        q = apply(params, carries.reshape(-1, hidden_size), method="outputs")
        return masked(q.reshape(num_steps, batch, num_actions, m), inputs)

    return ValueNetwork(
        n, num_features, num_actions, m, hidden_size, mixer, init, step, sequence, legal
    )


def value_network_for(
    env: SwarmEnvironment,
    mixer: str = "monotonic",
    *,
    objectives: int | None = None,
    hidden_size: int = 32,
    mixer_width: int = 16,
    agent_weights: ArrayLike | None = None,
    mask_actions: bool = True,
) -> ValueNetwork:
    """Make value networks whose sizes are read off an environment.

    If observations have a leaf ``action_mask``, illegal actions are never taken.

    Args:
        env: discrete actions, as many for every agent.
        mixer: ``"monotonic"`` (QMIX, MO-MIX), ``"additive"`` (VDN) or ``"independent"``.
        objectives: ``m``, at least 2, to learn from the vector ``extras["objectives"]``; ``None``
            to learn from the mean reward of the agents.
        hidden_size: ``H``.
        mixer_width: hidden units of each monotonic track.
        agent_weights: ``[N]``, at least 0, of the additive mixer.
        mask_actions: false takes the observation's ``action_mask`` for a feature like any other.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> env = envs.TwoObjectiveGrid(num_agents=2)
        >>> network = rl.value_network_for(env, "monotonic", objectives=2, hidden_size=8)
        >>> sorted(network.init(jax.random.key(0)))
        ['agent', 'mixer']
        >>> network.num_actions, network.num_objectives, network.mixer.kind
        (5, 2, 'monotonic')

    Raises:
        ValueError: for something that is no environment, continuous actions, numbers of actions
            that differ, a vector reward of another length, or an unknown mixer.
    """
    require_environment(env)
    choice("mixer", mixer, MIXERS)
    checks.whole("mixer_width", mixer_width, 1)
    checks.instance("mask_actions", mask_actions, bool)
    spec = env.action_spec
    counts = np.unique(np.asarray(getattr(spec, "num_values", ())))
    if not isinstance(spec, specs.MultiDiscreteArray) or len(spec.shape) != 1 or len(counts) != 1:
        raise ValueError(f"env: expected discrete actions [N], as many for every agent, got {spec}")
    state, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    m = 1
    if objectives is not None:
        m = checks.whole("objectives", objectives, 2)
        vector: Any = timestep.extras
        found = vector[OBJECTIVES].shape if OBJECTIVES in vector else None
        if found != (m,):
            raise ValueError(
                f"objectives: expected {m} in the environment's extras[{OBJECTIVES!r}], got "
                f"{'none' if found is None else f'shape {found}'}"
            )
    n = env.num_agents
    if mixer != "additive" and agent_weights is not None:
        raise ValueError(f"agent_weights: expected none for mixer={mixer!r}, got some")
    if mixer == "monotonic":
        state_size = jax.eval_shape(env.global_state, state).shape[0]
        made = monotonic(n, state_size, m, width=mixer_width)
    else:
        made = additive(n, agent_weights) if mixer == "additive" else independent()
    num_features = jax.eval_shape(features_of, timestep.observation).shape[1]
    size = int(counts[0])
    legal = action_mask_slice(timestep.observation, (size,)) if mask_actions else None
    return value_network(
        n, num_features, size, made, num_objectives=m, hidden_size=hidden_size, legal=legal
    )


def initial_params(key: Key, network: ValueNetwork, *, shared: bool = True) -> Params:
    """Draw initial weights of a team.

    Args:
        key: consumed.
        network: from :func:`value_network_for`.
        shared: agents share one network; otherwise each has its own, leaves ``[N, …]``. They start
            from the same weights, because averages of different ones perform badly.

    Raises:
        ValueError: for a legacy key, no network, or a flag that is not ``bool``.
    """
    checks.key(key)
    checks.instance("network", network, ValueNetwork, "rl.value_network_for(env)")
    checks.instance("shared", shared, bool)
    params: Any = network.init(key)
    if shared:
        return params
    n = network.num_agents
    own = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), params["agent"])
    return {**params, "agent": own}


def agent_inputs(network: ValueNetwork, features: jax.Array, preference: jax.Array) -> jax.Array:
    """Inputs of the agents' networks, ``[…, N, I]``: features, id, and preference if ``m > 1``.

    Args:
        network: of the team.
        features: ``[…, N, F]``.
        preference: ``[…, N, m]``.
    """
    ids = jnp.broadcast_to(jnp.eye(network.num_agents), (*features.shape[:-1], network.num_agents))
    parts = [features, ids]
    if network.num_objectives > 1:
        parts.append(jnp.broadcast_to(preference, (*features.shape[:-1], preference.shape[-1])))
    return jnp.concatenate(parts, axis=-1)


def team_step(
    network: ValueNetwork,
    params: Params,
    carry: jax.Array,
    features: jax.Array,
    preference: jax.Array,
    *,
    shared: bool,
) -> tuple[jax.Array, jax.Array]:
    """One step of all agents: ``carry [E, N, H]`` and values ``[E, N, A, m]``."""
    inputs = agent_inputs(network, features, preference)
    if not shared:
        return jax.vmap(network.step, (0, 1, 1), 1)(params, carry, inputs)
    flat = [x.reshape(-1, x.shape[-1]) for x in (carry, inputs)]
    carry, q = network.step(params, *flat)
    lead = features.shape[:-1]
    return carry.reshape(*lead, -1), q.reshape(*lead, *q.shape[1:])


def team_sequence(
    network: ValueNetwork,
    params: Params,
    features: jax.Array,
    preference: jax.Array,
    *,
    shared: bool,
) -> jax.Array:
    """Values of all steps of all agents, ``[T, B, N, A, m]``, from ``features [T, B, N, F]``.

    ``preference`` is ``[B, N, m]``, the same in all steps.
    """
    inputs = agent_inputs(network, features, preference[None])
    if not shared:
        return jax.vmap(network.sequence, (0, 2), 2)(params, inputs)
    num_steps, batch, n, size = inputs.shape
    q = network.sequence(params, inputs.reshape(num_steps, batch * n, size))
    return q.reshape(num_steps, batch, n, *q.shape[2:])
