"""Reward models of networked agents: predict the team's reward, exchanged by gossip.

Every agent fits a model to its own rewards and averages it with its neighbours' models; the average
predicts the mean reward of the team without any reward being sent. The second moments of the
models' Adam are exchanged as well: otherwise steps would be as large for agents whose rewards are
small as for the others.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents, ``B`` items, ``F`` inputs of the model.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018 (consensus of reward functions).
    X. Chen, B. Karimi, W. Zhao, P. Li, On the convergence of decentralized adaptive gradient
    methods, 2022 (consensus of second moments).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks, models
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.rl.actor_critic import apply_gradients
from jaxswarm.rl.hyperparameters import layer_widths
from jaxswarm.rl.networks import Network
from jaxswarm.rl.on_policy import OnPolicyRunner, Transition
from jaxswarm.rl.returns import keep_unless, masked_mean, select_valid
from jaxswarm.types import Key, Params, PyTree

JOINT_ACTIONS = ("all", "mean")


class RewardModelState(NamedTuple):
    """Reward model of one agent.

    Attributes:
        params: weights.
        opt_state: of Adam; its second moments are exchanged.
    """

    params: Params
    opt_state: optax.ScaleByAdamState


class RewardModel(NamedTuple):
    """A reward model as functions of one agent.

    Attributes:
        init: ``init(key) -> RewardModelState``.
        predict: ``predict(params, inputs [B, F]) -> rewards [B]``.
        step: ``step(state, inputs, rewards, mask) -> (state, squared error [], predictions [B])``:
            one gradient step; error and predictions are those before it. Items that the mask
            excludes mean nothing, and without any other the state stays as it is.
        fit: ``fit(state, inputs, rewards, mask, num_steps) -> (state, squared error [])``: several
            gradient steps on the same data; the error is that before them.
    """

    init: Callable[[Key], RewardModelState]
    predict: Callable[[Params, jax.Array], jax.Array]
    step: Callable[..., tuple[RewardModelState, jax.Array, jax.Array]]
    fit: Callable[..., tuple[RewardModelState, jax.Array]]


def reward_model(num_inputs: int, *, widths: Sequence[int], lr: float | jax.Array) -> RewardModel:
    """Make a dense network that regresses rewards, trained by Adam.

    Args:
        num_inputs: ``F``.
        widths: of the hidden layers.
        lr: step size, positive; may be traced.

    Raises:
        ValueError: for a step size that is not positive and finite.
    """
    checks.real("reward_lr", lr, above=0.0)
    widths = layer_widths("reward_widths", widths)
    network = models.functional(models.mlp(*widths, 1), jnp.zeros((1, num_inputs)))
    optimizer = optax.scale_by_adam()

    def init(key: Key) -> RewardModelState:
        params = network.init(key)
        return RewardModelState(params, optimizer.init(params))  # type: ignore[arg-type]

    def predict(params: Params, inputs: jax.Array) -> jax.Array:
        return network.apply(params, inputs)[:, 0]

    def loss(
        params: Params, inputs: jax.Array, rewards: jax.Array, mask: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        predicted = predict(params, inputs)
        return masked_mean(jnp.square(predicted - rewards), mask), predicted

    def step(
        state: RewardModelState, inputs: jax.Array, rewards: jax.Array, mask: jax.Array
    ) -> tuple[RewardModelState, jax.Array, jax.Array]:
        loss_and_grads = jax.value_and_grad(loss, has_aux=True)
        inputs, rewards = select_valid((inputs, rewards), mask)
        (error, predicted), grads = loss_and_grads(state.params, inputs, rewards, mask)
        params, opt_state = apply_gradients(optimizer, grads, state.opt_state, state.params, lr)
        updated = RewardModelState(params, opt_state)
        return keep_unless(jnp.any(mask), updated, state), error, predicted

    def fit(
        state: RewardModelState,
        inputs: jax.Array,
        rewards: jax.Array,
        mask: jax.Array,
        num_steps: int,
    ) -> tuple[RewardModelState, jax.Array]:
        def one_step(state: RewardModelState, _: None) -> tuple[RewardModelState, jax.Array]:
            return step(state, inputs, rewards, mask)[:2]

        state, errors = jax.lax.scan(one_step, state, length=num_steps)
        return state, errors[0]

    return RewardModel(init, predict, step, fit)


def messages(state: RewardModelState) -> dict[str, PyTree]:
    """What an agent sends of its reward model: weights and second moments."""
    return {"reward_model": state.params, "second_moments": state.opt_state.nu}


def with_received(state: RewardModelState, received: dict[str, PyTree]) -> RewardModelState:
    """The model after an exchange; Byzantine messages cannot make second moments negative."""
    moments = jax.tree.map(lambda x: jnp.maximum(x, 0.0), received["second_moments"])
    return RewardModelState(received["reward_model"], state.opt_state._replace(nu=moments))


def encode_actions(network: Network, raw: jax.Array) -> jax.Array:
    """Encode actions ``[T, E, N, …]`` as ``[T, E, N, A]``: discrete ones one-hot, others as is."""
    head = network.head
    if not head.num_options:
        return jax.vmap(jax.vmap(jax.vmap(head.action)))(raw)
    choices = raw.reshape(*raw.shape[:3], len(head.num_options))
    one_hot = [jax.nn.one_hot(choices[..., i], k) for i, k in enumerate(head.num_options)]
    return jnp.concatenate(one_hot, axis=-1)


def reward_inputs(network: Network, transitions: Transition, joint: str) -> jax.Array:
    """Inputs of the agents' models, ``[N, T E, F]``: what all agents share, and the joint action.

    Averages of models predict the team's reward only if all models are functions of the same
    inputs. With a critic of the global state these are that state, without the agent's own
    features; else the own features, of which the average is then an average agent's reward.

    Actions of absent agents are 0, and do not count in the mean.

    Args:
        network: of every agent.
        transitions: ``[T, E, N, …]``.
        joint: ``"all"`` actions, or their ``"mean"``, as ``√N`` times its deviation from the mean
            over all steps.
    """
    actions = encode_actions(network, transitions.raw)  # [T, E, N, A]
    actions = select_valid(actions, transitions.mask)
    steps, count, n, _ = actions.shape
    if joint == "all":
        joint_action = actions.reshape(steps, count, 1, -1)
    else:
        present = jnp.maximum(jnp.sum(transitions.mask, axis=2), 1)[:, :, None, None]
        mean = jnp.sum(actions, axis=2, keepdims=True) / present
        joint_action = jnp.sqrt(n) * (mean - jnp.mean(mean, axis=(0, 1), keepdims=True))
    joint_action = jnp.broadcast_to(joint_action, (steps, count, n, joint_action.shape[-1]))
    seen = transitions.critic_input
    if network.centralized:
        seen = seen[..., : seen.shape[-1] - transitions.features.shape[-1]]
    inputs = jnp.concatenate([seen, joint_action], axis=3)
    return jnp.moveaxis(inputs, 2, 0).reshape(n, steps * count, -1)


def num_reward_inputs(env: SwarmEnvironment, network: Network, joint: str) -> int:
    """``F`` of :func:`reward_inputs`, found by tracing a single step."""
    runner = OnPolicyRunner(env, network, 1, shared=False)

    def inputs(key: Key) -> jax.Array:
        params = agents.initialize(key, network.init, env.num_agents)
        _, transitions, _ = runner.collect(key, params, runner.reset(key), 1)
        return reward_inputs(network, transitions, joint)

    return jax.eval_shape(inputs, jax.random.key(0)).shape[-1]
