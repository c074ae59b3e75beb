"""Proximal policy optimisation as a pair of pure functions.

``step`` is one iteration: collect ``T`` steps in ``E`` environments, then some epochs of clipped
updates over shuffled minibatches. Agents share one set of parameters, or each has its own and
learns from its own experience (independent learners: the same update, ``vmap``ped). Seeds and
hyper-parameters are outer ``vmap``s.

Shapes: ``T`` steps, ``E`` environments, ``N`` agents, ``B`` sequences of one learner (``E N`` if
shared, else ``E``), ``M`` minibatches.

References:
    J. Schulman et al., Proximal policy optimization algorithms, 2017.
    C. S. de Witt et al., Is independent learning all you need in the StarCraft multi-agent
    challenge?, 2020 (IPPO). C. Yu et al., The surprising effectiveness of PPO in cooperative
    multi-agent games, 2022 (MAPPO: a critic that sees the global state).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer

from jaxswarm.algorithm import Algorithm
from jaxswarm.rl.collect import Acting, Finished, Worlds
from jaxswarm.rl.networks import Network
from jaxswarm.rl.returns import masked_mean
from jaxswarm.rl.updates import updates

PyTree = Any


class PPOHyperparameters(NamedTuple):
    """Numbers of the learner; all may be traced, and ``[N]`` each for independent learners.

    Attributes:
        lr: step size.
        discount: ``γ``.
        gae_lambda: ``λ`` of the advantages.
        clip: ``ε``, how far the ratio of probabilities may move.
        value_clip: how far a value may move; infinite for no limit.
        entropy: weight of the entropy bonus.
        value_weight: weight of the critic's loss.
    """

    lr: Any = 3e-4
    discount: Any = 0.99
    gae_lambda: Any = 0.95
    clip: Any = 0.2
    value_clip: Any = np.inf
    entropy: Any = 0.0
    value_weight: Any = 0.5


class PPOState(NamedTuple):
    """``params``: networks; ``optimiser``: its state; ``acting``: the environments."""

    params: PyTree
    optimizer: PyTree
    acting: Acting


class PPOInfo(NamedTuple):
    """Looked at only; means over the last epoch, ``[]`` if parameters are shared, else ``[N]``.

    Attributes:
        policy_loss: clipped surrogate, negated.
        value_loss: half the squared error.
        entropy: of the policy.
        kl: estimated divergence of the new policy from the collecting one.
        clipped: share of ratios outside the clip.
        reward: ``[]``, mean reward per agent and step of this iteration.
        finished: episodes that ended in this iteration.
    """

    policy_loss: jax.Array
    value_loss: jax.Array
    entropy: jax.Array
    kl: jax.Array
    clipped: jax.Array
    reward: jax.Array
    finished: Finished


def ppo(
    env: Any,
    network: Network,
    *,
    num_envs: int = 16,
    num_steps: int = 64,
    epochs: int = 4,
    minibatches: int = 4,
    shared: bool = True,
    optimizer: optax.GradientTransformation | None = None,
    parameters: PPOHyperparameters = PPOHyperparameters(),  # noqa: B008
    normalize: bool = True,
) -> Algorithm:
    """Make the learner.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment`, not wrapped.
        network: from :func:`jaxswarm.rl.network_for`, for instance. With a memory, minibatches are
            of whole sequences; without, of single steps.
        num_envs: ``E``.
        num_steps: ``T`` per iteration.
        epochs: passes over what was collected.
        minibatches: ``M``; divides ``B`` (with memory) or ``T B`` (without).
        shared: one set of parameters for all agents, else independent learners.
        optimizer: gives the direction, which is then scaled by ``-lr``; Adam behind a clip of
            the gradient's norm at 0.5 if omitted.
        parameters: used where ``step`` gets ``None`` as inputs.
        normalise: bring the advantages of one iteration to mean 0 and deviation 1.

    Returns:
        ``init(params, key, physics=None) -> PPOState``, with ``params`` from
        :func:`jaxswarm.rl.initialize`, and ``step(key, state, inputs) -> (state, PPOInfo)`` where
        ``inputs`` is a :class:`PPOHyperparameters` or ``None``.

    Raises:
        ValueError: sizes below 1, minibatches that do not divide the batch, or numbers out of
            range in ``parameters``.
    """
    sizes = {"num_steps": num_steps, "epochs": epochs, "minibatches": minibatches}
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"{name}: expected at least 1, got {size}")
    worlds = Worlds(env, network, num_envs, shared)
    sequences = num_envs * (env.num_agents if shared else 1)
    items = sequences if network.recurrent else sequences * num_steps
    if items % minibatches:
        raise ValueError(f"minibatches: expected a divisor of {items}, got {minibatches}")
    check_parameters(parameters)
    if optimizer is None:
        optimizer = optax.chain(optax.clip_by_global_norm(0.5), optax.scale_by_adam(eps=1e-5))

    learn = updates(
        network, optimizer, items=items, epochs=epochs, minibatches=minibatches, normalize=normalize
    )

    def init(params: PyTree, key: jax.Array, physics: PyTree = None) -> PPOState:
        start = optimizer.init if shared else jax.vmap(optimizer.init)
        return PPOState(params, start(params), worlds.begin(key, physics))

    def step(key: jax.Array, state: PPOState, inputs: Any = None) -> tuple[PPOState, PPOInfo]:
        p = parameters if inputs is None else inputs
        acting_key, learning_key = jax.random.split(key)
        before = state.acting.carry
        acting, done, finished = worlds.collect(acting_key, state.params, state.acting, num_steps)
        if shared:
            flat = jax.tree.map(lambda x: x.reshape(num_steps, -1, *x.shape[3:]), done)
            carry = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), before)
            result = learn(learning_key, state.params, state.optimizer, flat, carry, p)
        else:
            apart = jax.tree.map(lambda x: jnp.moveaxis(x, 2, 0), done)
            carry = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), before)
            numbers = jax.tree.map(lambda x: jnp.broadcast_to(x, (env.num_agents,)), p)
            keys = jax.random.split(learning_key, env.num_agents)
            result = jax.vmap(learn)(keys, state.params, state.optimizer, apart, carry, numbers)
        params, optimizer, seen = result
        reward = masked_mean(done.reward, done.mask)
        info = PPOInfo(**seen, reward=reward, finished=finished)
        return PPOState(params, optimizer, acting), info

    return Algorithm(init, step)  # type: ignore[arg-type]


def check_parameters(p: PPOHyperparameters) -> None:
    """Refuse known numbers out of their range; traced ones pass.

    Raises:
        ValueError: naming the number.
    """
    ranges = {
        "lr": (0.0, np.inf),
        "discount": (0.0, 1.0),
        "gae_lambda": (0.0, 1.0),
        "clip": (0.0, np.inf),
        "value_clip": (0.0, np.inf),
        "entropy": (0.0, np.inf),
        "value_weight": (0.0, np.inf),
    }
    for name, (low, high) in ranges.items():
        given = getattr(p, name)
        if isinstance(given, Tracer):
            continue
        if not np.all((np.asarray(given) >= low) & (np.asarray(given) <= high)):
            raise ValueError(f"{name}: expected within [{low}, {high}], got {given}")
