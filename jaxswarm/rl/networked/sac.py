"""SAC among networked agents: own buffers and actors; critics and reward models that gossip.

One iteration of an agent: act, remember; fit its reward model to its own rewards, take what the
model says as the *team's* reward, update; exchange critics, targets and reward models. Nobody is
told another's reward. Actors and temperatures stay at home unless asked for; the optimisers'
moments always do.

Averaged critics alone are the team's in the limit of small steps; with Adam's, which are as large
for an agent that is paid nothing as for the others, they are not (experiment ``sac``). Hence the
reward model, the λ of the published algorithm, whose own Adam has a common second moment: it is
exchanged too.

Shapes: ``N`` agents, ``B`` items of a batch.

References:
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully decentralized multi-agent reinforcement
    learning with networked agents, 2018 (critic and reward consensus).
    X. Chen, B. Karimi, W. Zhao, P. Li, On the convergence of decentralized adaptive gradient
    methods, 2022 (consensus of second moments).
    T. Haarnoja et al., Soft actor-critic algorithms and applications, 2018.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxswarm import models
from jaxswarm.algorithm import Algorithm
from jaxswarm.gossip.traffic import Ledger, Traffic
from jaxswarm.gossip.types import Exchange, GossipTransformation
from jaxswarm.rl._off_policy import Learner, OffPolicyInfo, OffPolicyState, off_policy
from jaxswarm.rl._sac import SACHyperparameters, SACLearner, check_parameters, sac_learner
from jaxswarm.rl.q_networks import QNetwork
from jaxswarm.rl.replay import Experience, uniform
from jaxswarm.rl.returns import masked_mean

PyTree = Any


class NetworkedLearner(NamedTuple):
    """Of one agent.

    Attributes:
        sac: actor, critics, temperature.
        rewards: parameters of the reward model.
        reward_optimiser: its optimiser's state.
    """

    sac: SACLearner
    rewards: PyTree
    reward_optimizer: PyTree


class NetworkedSACState(NamedTuple):
    """Of all agents; leaves lead with ``N``.

    Attributes:
        agents: learners, buffers and environments.
        gossip: the rule's memory.
        round: ``int32[]``, iterations so far.
        ledger: messages and bytes so far.
    """

    agents: OffPolicyState
    gossip: PyTree
    round: jax.Array
    ledger: Ledger


class NetworkedSACInfo(NamedTuple):
    """``sac``: an :class:`OffPolicyInfo`; ``traffic`` of the iteration."""

    sac: OffPolicyInfo
    traffic: Traffic


def networked_sac(
    env: Any,
    network: QNetwork,
    gossip: GossipTransformation,
    *,
    num_envs: int = 1,
    num_steps: int = 1,
    updates: int = 1,
    batch_size: int = 256,
    capacity: int = 100_000,
    warm_up: int = 1000,
    team_reward: bool | jax.Array = True,
    average_actors: bool = False,
    average_temperatures: bool = False,
    reward_widths: Sequence[int] = (32,),
    reward_lr: float = 3e-3,
    optimizer: optax.GradientTransformation | None = None,
    parameters: SACHyperparameters = SACHyperparameters(),  # noqa: B008
) -> Algorithm:
    """Make the learner.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment` with bounded actions, not wrapped; rewards
            or physics may differ between agents.
        network: from :func:`jaxswarm.rl.q_network_for`.
        gossip: how critics and reward models are exchanged after each iteration: any rule, also
            compressed, delayed, robust or attacked.
        num_envs: see :func:`jaxswarm.rl`, as all sizes.
        num_steps: environment steps between updates.
        updates: gradient steps after them.
        batch_size: ``B``, of each agent.
        capacity: items of each agent's buffer.
        warm_up: random steps before learning.
        team_reward: false leaves every agent with its own reward, and only critics gossip; may be
            traced.
        average_actors: exchange actors too, which only makes sense where agents are alike.
        average_temperatures: exchange ``log α`` too.
        reward_widths: hidden layers of the reward models, of what an agent sees and does.
        reward_lr: of their Adam, a step per update.
        optimizer: see :func:`jaxswarm.rl`.
        parameters: used where ``step`` gets ``None`` as inputs.

    Returns:
        ``init(params, key, physics=None, temperature=1.0) -> NetworkedSACState`` with ``params``
        from :func:`jaxswarm.rl.networked.networked_parameters`, and ``step(key, state, inputs)``.

    Raises:
        ValueError: as :func:`jaxswarm.rl`; a rate that is not positive; while mixing, what the
            rule refuses.
    """
    check_parameters(parameters)
    if not 0.0 < reward_lr < np.inf:
        raise ValueError(f"reward_lr: expected a positive number, got {reward_lr}")
    inner = sac_learner(env, network, optimizer=optimizer)
    width = network.num_features + network.num_actions
    model = models.functional(models.mlp(*reward_widths, 1), jnp.zeros((1, width)))
    fitting = optax.scale_by_adam()
    start = model.init(jax.random.key(0))  # common: averages of apart starts are worth little

    def begin(params: PyTree, temperature: Any = 1.0) -> NetworkedLearner:
        return NetworkedLearner(
            inner.init(params, temperature=temperature), start, fitting.init(start)
        )

    def update(
        key: jax.Array, state: NetworkedLearner, batch: Experience, p: SACHyperparameters
    ) -> tuple[NetworkedLearner, dict[str, jax.Array]]:
        x = jnp.concatenate([batch.features, network.unit(batch.raw)], axis=1)

        def error(params: PyTree) -> tuple[jax.Array, jax.Array]:
            said = model.apply(params, x)[:, 0]
            return masked_mean(jnp.square(said - batch.reward), batch.mask), said

        (wrong, said), slope = jax.value_and_grad(error, has_aux=True)(state.rewards)
        change, fitted = fitting.update(slope, state.reward_optimizer, state.rewards)
        earned = jnp.where(jnp.asarray(team_reward), said, batch.reward)
        learner, info = inner.update(key, state.sac, batch._replace(reward=earned), p)
        change = jax.tree.map(lambda x: -reward_lr * x, change)
        rewards = optax.apply_updates(state.rewards, change)
        return NetworkedLearner(learner, rewards, fitted), {**info, "reward_error": wrong}

    def act(key: jax.Array, state: NetworkedLearner, features: jax.Array) -> jax.Array:
        return inner.act(key, state.sac, features)

    alone = off_policy(
        env,
        network,
        Learner(begin, act, update),
        uniform(capacity, batch_size),
        num_envs=num_envs,
        num_steps=num_steps,
        updates=updates,
        warm_up=warm_up,
        shared=False,
        parameters=parameters,
    )

    def told(learner: NetworkedLearner) -> PyTree:
        held = learner.sac
        parts = {
            "critic": held.params["critic"],
            "target": held.target,
            "rewards": learner.rewards,
            "squares": learner.reward_optimizer.nu,
        }
        if average_actors:
            parts["actor"] = held.params["actor"]
        if average_temperatures:
            parts["temperature"] = held.log_temperature
        return parts

    def heard(learner: NetworkedLearner, parts: PyTree) -> NetworkedLearner:
        held = learner.sac
        own = {"actor": held.params["actor"], "temperature": held.log_temperature} | parts
        held = held._replace(
            params={"actor": own["actor"], "critic": own["critic"]},
            target=own["target"],
            log_temperature=own["temperature"],
        )
        told = jax.tree.map(lambda x: jnp.maximum(x, 0.0), own["squares"])  # despite liars
        squares = learner.reward_optimizer._replace(nu=told)
        return NetworkedLearner(held, own["rewards"], squares)

    def init(
        params: PyTree, key: jax.Array, physics: PyTree = None, temperature: Any = 1.0
    ) -> NetworkedSACState:
        state: Any = alone.init(params, key, physics, temperature=temperature)
        memory = gossip.init(told(state.learner))
        return NetworkedSACState(state, memory, jnp.int32(0), Ledger.empty())

    def step(
        key: jax.Array, state: NetworkedSACState, inputs: SACHyperparameters | None = None
    ) -> tuple[NetworkedSACState, NetworkedSACInfo]:
        own_key, gossip_key = jax.random.split(key)
        held, info = alone.step(own_key, state.agents, inputs)
        parts, memory, traffic = gossip.mix(
            gossip_key, told(held.learner), state.gossip, Exchange(state.round)
        )
        held = held._replace(learner=heard(held.learner, parts))
        after = NetworkedSACState(held, memory, state.round + 1, state.ledger.add(traffic))
        return after, NetworkedSACInfo(info, traffic)

    return Algorithm(init, step)  # type: ignore[arg-type]
