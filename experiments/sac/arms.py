"""Runs of the SAC experiment: learners on one pendulum, on a bandit, and in a network of pendula.

Three parts:

* **Pendulum.** SAC with a learned temperature, with its actor reading the minimum or the mean of
  the two critics; SAC with two fixed temperatures; and a deterministic ablation (twin critics,
  targets smoothed by small constant noise before squashing, no entropy bonus: TD3 without its
  delayed updates). Returns are undiscounted, over 200 steps, of the deterministic policies.
* **Bandit.** One step with reward ``-a²``, where the temperature that attains a target entropy has
  a closed form (computed by quadrature).
* **Network** (an extension, not in the paper). Pendula of different masses learn in a network with
  private rewards: every second agent is charged twice the true cost, the others nothing, so the
  mean reward is the true one. Critics, target critics and reward models are gossiped after every
  step; actors stay local. The arm without reward models averages critics that were each trained on
  their own reward: Adam takes steps of equal size for agents without any reward, so the average is
  not the critic of the team's reward.

Limits: each seed has its own five evaluation starts, which dominate the range of final returns
over seeds (for SAC and the deterministic ablation alike).

Shapes: ``S`` seeds, ``T`` records (evaluations during learning).

References:
    T. Haarnoja et al., Soft Actor-Critic Algorithms and Applications, 2018.
    K. Zhang, Z. Yang, H. Liu, T. Zhang, T. Başar, Fully Decentralized Multi-Agent Reinforcement
    Learning with Networked Agents, 2018 (consensus of critics).
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.sac.bandit import run_bandit
from experiments.sac.config import Config
from experiments.sac.worlds import PrivatePendula
from jaxswarm import envs, gossip, rl, rollout, topology
from jaxswarm.rl import networked

DETERMINISTIC_STD = 0.1  # noise of the deterministic ablation, before squashing


class PendulumArm(NamedTuple):
    """A variant of SAC on the pendulum.

    Attributes:
        initial_temperature: entropy weight at the start.
        learn_temperature: whether it is adjusted towards the target entropy.
        pessimism: 1 for the minimum of the critics in the actor's loss, 0 for their mean.
        deterministic: whether the policy's noise is small and constant.
    """

    initial_temperature: float
    learn_temperature: bool = False
    pessimism: float = 1.0
    deterministic: bool = False


class NetworkArm(NamedTuple):
    """Communication and rewards of a network of learners.

    Attributes:
        graph: index into no edges, ring, complete graph.
        true_reward: whether all agents receive the true reward instead of private ones.
        reward_model: whether critics learn from a gossiped model of the team's mean reward.
    """

    graph: int
    true_reward: bool = False
    reward_model: bool = True


PENDULUM_ARMS = {
    "learned temperature": PendulumArm(1.0, learn_temperature=True),
    "mean of the critics": PendulumArm(1.0, learn_temperature=True, pessimism=0.0),
    "temperature 0.01": PendulumArm(0.01),
    "temperature 1": PendulumArm(1.0),
    "deterministic": PendulumArm(1e-8, deterministic=True),
}
NETWORK_ARMS = {
    "no gossip": NetworkArm(0),
    "ring": NetworkArm(1),
    "complete graph": NetworkArm(2),
    "no reward models": NetworkArm(2, reward_model=False),
    "true reward": NetworkArm(2, true_reward=True),
}


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run all three parts.

    Returns:
        ``return``, ``entropy`` and ``temperature`` (pendulum) and ``network`` (true team return):
        ``{arm: [S, T]}``; ``bandit``, see :func:`experiments.sac.bandit.run_bandit`; ``steps`` and
        ``network_steps``, the environment steps ``[T]`` of the records.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    progress("pendulum: all arms")
    results: dict[str, Any] = run_pendulum(config, keys)
    progress("bandit: all target entropies")
    results["bandit"] = run_bandit(config, keys)
    progress("network of pendula: all arms")
    results["network"] = run_network(config, keys)
    share = np.arange(1, config.records + 1) / config.records
    results["steps"] = config.warm_up + share * config.steps
    results["network_steps"] = config.warm_up + share * config.network_steps
    return results


def with_constant_noise(network: rl.QNetwork, enabled: Any) -> rl.QNetwork:
    """The network with its policy's noise replaced by a small constant where ``enabled``."""
    size, head = network.num_actions, network.head

    def fixed_std(outputs: jax.Array) -> jax.Array:
        log_std = jnp.where(enabled, math.log(DETERMINISTIC_STD), outputs[size:])
        return jnp.concatenate([outputs[:size], log_std])

    return network._replace(
        head=head._replace(
            sample=lambda key, outputs: head.sample(key, fixed_std(outputs)),
            log_prob=lambda outputs, raw: head.log_prob(fixed_std(outputs), raw),
        )
    )


def run_pendulum(config: Config, keys: jax.Array) -> dict[str, dict[str, np.ndarray]]:
    """Returns, entropies and temperatures of every arm on one pendulum, ``[S, T]`` each."""
    env = envs.Pendulum()
    plain = rl.q_network_for(env, widths=(config.width,) * 2)
    every = config.steps // config.records

    def run_seed(
        temperature: jax.Array,
        learn_temperature: jax.Array,
        pessimism: jax.Array,
        deterministic: jax.Array,
        key: jax.Array,
    ) -> Any:
        network = with_constant_noise(plain, deterministic)
        learner = rl.sac(
            env,
            network,
            batch_size=config.batch,
            capacity=config.steps + config.warm_up,
            warm_up=config.warm_up,
            hyperparameters=rl.SACHyperparameters(
                config.lr,
                config.lr,
                jnp.where(learn_temperature, config.lr, 0.0),
                pessimism=pessimism,
            ),
        )
        policy = rl.policy(network, shared=True, deterministic=True)
        network_key, world_key, run_key, test_key = jax.random.split(key, 4)
        state = learner.init(network.init(network_key), world_key, temperature=temperature)

        def evaluate(state: Any) -> jax.Array:
            params = state.learner.params
            return jnp.mean(rl.evaluate(test_key, env, policy, config.episodes, params=params))

        def step(key: jax.Array, state: Any, inputs: Any) -> Any:
            state, info = learner.step(key, state, None)
            return state, (info.learning["entropy"], info.learning["temperature"])

        _, records = rollout(step, state, config.steps, key=run_key, every=every, evaluate=evaluate)
        return records.evaluation, *records.info

    columns = [jnp.array(column) for column in zip(*PENDULUM_ARMS.values(), strict=True)]
    over_seeds = jax.vmap(run_seed, (None, None, None, None, 0))
    over_arms = jax.vmap(over_seeds, (0, 0, 0, 0, None))
    measured = jit_fast_compile(over_arms)(*columns, keys)
    tables = dict(zip(("return", "entropy", "temperature"), map(np.asarray, measured), strict=True))
    return {name: dict(zip(PENDULUM_ARMS, table, strict=True)) for name, table in tables.items()}


def run_network(config: Config, keys: jax.Array) -> dict[str, np.ndarray]:
    """True team returns of pendula with private rewards, ``{arm: [S, T]}``."""
    n = config.agents
    env = PrivatePendula(n)
    network = rl.q_network_for(env, widths=(config.network_width,) * 2)
    no_edges = topology.from_edges(np.zeros((0, 2), int), n)
    graphs = topology.stack([no_edges, topology.ring(n), topology.complete(n)])
    W = gossip.mixing(graphs, "metropolis", layout="dense", connected=False)
    policy = rl.policy(network, shared=False, deterministic=True)
    physics = jax.tree.map(jnp.asarray, env.params)

    def run_seed(
        graph: jax.Array, true_reward: jax.Array, reward_model: jax.Array, key: jax.Array
    ) -> jax.Array:
        learner = networked.networked_sac(
            env,
            network,
            gossip.averaging(W[graph]),
            batch_size=config.network_batch,
            capacity=config.network_steps + config.warm_up,
            warm_up=config.warm_up,
            team_reward=reward_model,
            hyperparameters=rl.SACHyperparameters(*(config.network_lr,) * 3),
        )
        network_key, world_key, run_key, test_key = jax.random.split(key, 4)
        params = networked.initial_params(network_key, network, n)
        training_physics = physics._replace(true_reward=true_reward.astype(jnp.float32))
        state = learner.init(params, world_key, training_physics)
        test_physics = physics._replace(true_reward=jnp.ones(()))

        def evaluate(state: Any) -> jax.Array:
            params = state.agents.learner.sac.params
            returns = rl.evaluate(
                test_key, env, policy, config.episodes, params=params, env_params=test_physics
            )
            return jnp.mean(returns)

        every = config.network_steps // config.records
        _, records = rollout(
            learner.step, state, config.network_steps, key=run_key, every=every, evaluate=evaluate
        )
        return records.evaluation

    columns = [jnp.array(column) for column in zip(*NETWORK_ARMS.values(), strict=True)]
    over_seeds = jax.vmap(run_seed, (None, None, None, 0))
    over_arms = jax.vmap(over_seeds, (0, 0, 0, None))
    returns = jit_fast_compile(over_arms)(*columns, keys)
    return dict(zip(NETWORK_ARMS, np.asarray(returns), strict=True))
