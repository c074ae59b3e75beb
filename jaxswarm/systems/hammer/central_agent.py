"""HAMMER with a central PPO agent whose actions are the messages.

The central agent observes everything, samples one Gaussian number for every number it sends, and
gets the mean of the agents' rewards. A message is data to the local agents: no gradient of theirs
reaches the central agent. Both learn from the same steps, each with its own critic, optimizer and
advantages, by as many updates; both ratios are 1 before the first of them.

The noise of a message is part of the observation (see :class:`HammerEnvironment`), so a message can
be recomputed from the observation: ``mean + std · noise``.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents, ``L`` numbers of a message.

References:
    N. Gupta, G. Srinivasaraghavan, S. Mohalik, N. Kumar, M. Taylor, HAMMER: multi-level
    coordination of reinforcement learning agents via learned messaging, 2021.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm.algorithm import Algorithm
from jaxswarm.rl import (
    Network,
    OnPolicyRunner,
    PPOHyperparameters,
    PPOInfo,
    RunnerState,
    Transition,
    gaussian,
    head_of,
)
from jaxswarm.rl.hyperparameters import check_weights, choice
from jaxswarm.rl.ppo_loss import check_hyperparameters
from jaxswarm.rl.ppo_update import default_optimizer, ppo_update
from jaxswarm.rl.returns import masked_mean
from jaxswarm.systems.hammer.environment import HammerEnvironment
from jaxswarm.systems.hammer.network import Dense, check_scale, make_networks, require_hammer
from jaxswarm.types import Key, Params, PyTree

PARTS = ("local", "central")


class CentralAgentNetworks(NamedTuple):
    """Networks of local and central agents, and the composed policy that acts.

    Attributes:
        composed: the policy that acts; weights are ``{"actor": {"local", "central"}, "critic":
            {…}}``, and its critic gives the values of both parts, ``[2]``.
        local: of a local agent, from its own observation, its identity and the message.
        central: of the central agent, from all observations to ``N L`` Gaussian numbers.
        std: standard deviation of a message around its mean.
        scale: observations are divided by it.
    """

    composed: Network
    local: Network
    central: Network
    std: float
    scale: float


class CentralAgentState(NamedTuple):
    """State of the learner.

    Attributes:
        params: weights of the composed network.
        opt_state: of the optimizer, ``{"local", "central"}``.
        runner: the environments.
    """

    params: Params
    opt_state: dict[str, PyTree]
    runner: RunnerState


class CentralAgentInfo(NamedTuple):
    """``local`` and ``central``: a :class:`jaxswarm.rl.PPOInfo` each."""

    local: PPOInfo
    central: PPOInfo


def central_agent_networks(
    env: HammerEnvironment,
    *,
    widths: Sequence[int] = (64, 64),
    std: float = 0.5,
    executing: bool = False,
    scale: float = 1.0,
    **options: Any,
) -> CentralAgentNetworks:
    """Make the networks, as large as those of :func:`hammer_network`.

    Args:
        env: whose sizes and actions are meant.
        widths: of the message network, the local network and both critics.
        std: standard deviation of a message around its mean, fixed.
        executing: messages are their means; same weights.
        scale: observations are divided by it.
        options: of :func:`jaxswarm.rl.head_of`.

    Raises:
        ValueError: for a standard deviation or a scale that is not positive.
    """
    require_hammer(env)
    check_scale(scale)
    if checks.is_traced(std):
        raise ValueError(f"std: expected a known number, got {checks.shown(std)}")
    checks.real("std", std, above=0.0)
    checks.instance("executing", executing, bool)
    n, length = env.num_agents, env.message_length
    local = _local_network(env, widths, options)
    central = _central_network(env, widths, std)

    def init(key: Key) -> Params:
        local_key, central_key = jax.random.split(key)
        return join(local=local.init(local_key), central=central.init(central_key))

    def actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        everything, identity, noise, own = env.split_features(features)
        mean = central.actor(params["central"], (), everything / scale)[1][: n * length]
        message = identity @ mean.reshape(n, length) + (0.0 if executing else std) * noise
        inputs = jnp.concatenate([own / scale, identity, message])
        return carry, local.actor(params["local"], (), inputs)[1]

    def critic(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        everything, identity, _, own = env.split_features(features)
        inputs = jnp.concatenate([own / scale, identity])
        local_value = local.critic(params["local"], (), inputs)[1]
        central_value = central.critic(params["central"], (), everything / scale)[1]
        return carry, jnp.stack([local_value, central_value])

    composed = Network(local.head, init, _no_carry, actor, critic)
    return CentralAgentNetworks(composed, local, central, std, scale)


def _local_network(env: HammerEnvironment, widths: Sequence[int], options: Any) -> Network:
    """Local network; its actor reads observation, identity and message, its critic no message."""
    head = head_of(env.action_spec, **options)
    _, actor_net, critic_net = make_networks(env, head.num_outputs, widths)
    own = jnp.zeros(env.num_visible + env.num_agents)

    def init(key: Key) -> Params:
        actor_key, critic_key = jax.random.split(key)
        actor_input = jnp.zeros(len(own) + env.message_length)
        actor = {
            "net": actor_net.init(actor_key, actor_input)["params"],
            "log_std": jnp.full(head.num_scales, head.initial_scale),
        }
        return {"actor": actor, "critic": critic_net.init(critic_key, own)["params"]}

    def actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        outputs = jnp.asarray(actor_net.apply({"params": params["net"]}, features))
        return carry, jnp.concatenate([outputs, params["log_std"]])

    def critic(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        return carry, jnp.asarray(critic_net.apply({"params": params}, features))[0]

    return Network(head, init, _no_carry, actor, critic)


def _central_network(env: HammerEnvironment, widths: Sequence[int], std: float) -> Network:
    """Central agent's network, from all observations to messages with a fixed deviation."""
    size = env.num_agents * env.message_length
    actor_net, _, _ = make_networks(env, 1, widths)
    critic_net = Dense(tuple(widths), 1)
    everything = jnp.zeros(env.num_agents * env.num_features)

    def init(key: Key) -> Params:
        actor_key, critic_key = jax.random.split(key)
        return {
            "actor": actor_net.init(actor_key, everything)["params"],
            "critic": critic_net.init(critic_key, everything)["params"],
        }

    def actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        mean = jnp.asarray(actor_net.apply({"params": params}, features))
        return carry, jnp.concatenate([mean, jnp.full(size, math.log(std))])

    def critic(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        return carry, jnp.asarray(critic_net.apply({"params": params}, features))[0]

    return Network(gaussian(size), init, _no_carry, actor, critic)


def _no_carry() -> PyTree:
    return {"actor": (), "critic": ()}


def join(*, local: Params, central: Params) -> Params:
    """Weights of the composed network from those of both parts."""
    both = {"local": local, "central": central}
    return {net: {part: both[part][net] for part in PARTS} for net in ("actor", "critic")}


def part_of(params: Params, part: str) -> Params:
    """Weights of one part, ``"local"`` or ``"central"``, of the composed network.

    Raises:
        ValueError: for another name, or other weights.
    """
    choice("part", part, PARTS)
    if not (isinstance(params, dict) and {"actor", "critic"} <= set(params)):
        raise ValueError(
            f"params: expected weights of central_agent_networks, got {checks.shown(params)}"
        )
    return {net: params[net][part] for net in ("actor", "critic")}


def central_agent_ppo(
    env: HammerEnvironment,
    networks: CentralAgentNetworks,
    *,
    num_envs: int = 16,
    num_steps: int = 64,
    epochs: int = 4,
    minibatches: int = 4,
    optimizer: optax.GradientTransformation | None = None,
    hyperparameters: PPOHyperparameters | None = None,
    normalize: bool = True,
) -> Algorithm:
    """Make the learner: local agents share their network, the central agent is one more learner.

    Args:
        env: with messages.
        networks: from :func:`central_agent_networks`, not executing.
        num_envs: ``E``.
        num_steps: ``T`` per iteration.
        epochs: passes of each part over the collected transitions.
        minibatches: of each part; divides ``T E``.
        optimizer: see :func:`jaxswarm.rl.ppo`.
        hyperparameters: of both parts, used where ``step`` gets ``None`` as inputs; the defaults if
            omitted.
        normalize: see :func:`jaxswarm.rl.ppo`.

    Returns:
        ``init(params, key, env_params=None) -> CentralAgentState`` with ``params`` of
        ``networks.composed``, and ``step(key, state, inputs)`` whose inputs are
        :class:`jaxswarm.rl.PPOHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, minibatches that do not divide, hyper-parameters out of range, or
            networks for another environment.
    """
    require_hammer(env)
    checks.instance("networks", networks, CentralAgentNetworks, "central_agent_networks(env)")
    hp = PPOHyperparameters() if hyperparameters is None else hyperparameters
    check_hyperparameters(hp)
    runner = OnPolicyRunner(env, networks.composed, num_envs, shared=True)
    optimizer = default_optimizer() if optimizer is None else optimizer
    copies = {"central": 1, "local": env.num_agents}
    updates = {
        part: ppo_update(
            getattr(networks, part),
            optimizer,
            num_sequences=num_envs * count,
            num_steps=num_steps,
            epochs=epochs,
            minibatches=minibatches,
            normalize=normalize,
        )
        for part, count in copies.items()
    }

    def init(params: Params, key: Key, env_params: PyTree = None) -> CentralAgentState:
        check_weights(params, networks.composed.init, None)
        opt_state = {part: optimizer.init(part_of(params, part)) for part in PARTS}
        return CentralAgentState(params, opt_state, runner.reset(key, env_params))

    def step(
        key: Key, state: CentralAgentState, inputs: PPOHyperparameters | None = None
    ) -> tuple[CentralAgentState, CentralAgentInfo]:
        checks.instance("state", state, CentralAgentState, "what init returns")
        now = hp if inputs is None else check_hyperparameters(inputs, name="inputs")
        collect_key, *update_keys = jax.random.split(checks.key(key), 3)
        runner_state, transitions, episodes = runner.collect(
            collect_key, state.params, state.runner, num_steps
        )
        reward = masked_mean(transitions.reward, transitions.mask)
        data = split_transitions(env, networks, state.params, transitions)
        params, opt_state, infos = {}, {}, {}
        for part, update_key in zip(PARTS, update_keys, strict=True):
            params[part], opt_state[part], metrics = updates[part](
                update_key,
                part_of(state.params, part),
                state.opt_state[part],
                data[part],
                _no_carry(),
                now,
            )
            infos[part] = PPOInfo(**metrics, reward=reward, episodes=episodes)
        new_state = CentralAgentState(join(**params), opt_state, runner_state)
        return new_state, CentralAgentInfo(**infos)

    return Algorithm(init, step)  # type: ignore[arg-type]


def split_transitions(
    env: HammerEnvironment,
    networks: CentralAgentNetworks,
    params: Params,
    transitions: Transition,
) -> dict[str, Transition]:
    """Transitions of each part: ``[T, E N, …]`` of local agents, ``[T, E, …]`` of the central one.

    Args:
        env: with messages.
        networks: from :func:`central_agent_networks`.
        params: weights that the transitions were collected with.
        transitions: ``[T, E, N, …]`` of the composed policy.
    """
    steps, count, n = transitions.reward.shape
    everything, identity, noise, own = env.split_features(transitions.features)
    everything = everything[:, :, 0] / networks.scale
    central_actor = jax.vmap(jax.vmap(networks.central.actor, (None, None, 0)), (None, None, 0))
    outputs = central_actor(params["actor"]["central"], (), everything)[1]
    mean = outputs[..., : n * env.message_length].reshape(noise.shape)
    messages = mean + networks.std * noise
    own_and_identity = jnp.concatenate([own / networks.scale, identity], axis=3)
    local = transitions._replace(
        features=jnp.concatenate([own_and_identity, messages], axis=3),
        critic_input=own_and_identity,
        value=transitions.value[..., 0],
        next_value=transitions.next_value[..., 0],
    )
    raw = messages.reshape(steps, count, -1)
    first = jax.tree.map(lambda x: x[:, :, 0], transitions)
    central = first._replace(
        features=everything,
        critic_input=everything,
        raw=raw,
        log_prob=jax.vmap(jax.vmap(networks.central.head.log_prob))(outputs, raw),
        value=first.value[..., 1],
        next_value=first.next_value[..., 1],
        reward=_mean_over_agents(transitions.reward, transitions.mask),
        discount=jnp.max(transitions.discount, axis=2),
        mask=jnp.any(transitions.mask, axis=2),
    )
    flat = jax.tree.map(lambda x: x.reshape(steps, -1, *x.shape[3:]), local)
    return {"local": flat, "central": central}


def _mean_over_agents(x: jax.Array, mask: jax.Array) -> jax.Array:
    """``[T, E, N] -> [T, E]``: mean over the agents present, 0 without any."""
    return jnp.sum(jnp.where(mask, x, 0.0), axis=2) / jnp.maximum(jnp.sum(mask, axis=2), 1)
