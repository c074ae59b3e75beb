"""Networked PPO on the donation game.

Shapes: ``N`` agents, ``S`` seeds.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.networked_actor_critic.config import Config
from experiments.networked_actor_critic.donations import TeamDonationParams, TeamDonations
from experiments.networked_actor_critic.graphs import COMPLETE, NO_EDGES, SPARSE, stacked_mixing
from jaxswarm import envs, gossip, rl, rollout, topology
from jaxswarm.rl import networked

PPO_ARMS = {
    "isolated": (NO_EDGES, 0.0, True),
    "network": (SPARSE, 0.0, True),
    "complete graph": (COMPLETE, 0.0, True),
    "critics only": (SPARSE, 0.0, False),
    "team reward": (NO_EDGES, 1.0, False),
    "team reward, own model": (NO_EDGES, 1.0, True),
}
"""Arm -> graph, share of the mean reward in what agents receive, whether PPO's advantages use the
exchanged reward model (else the agent's own reward)."""

REWARD_LR = 3e-3  # step size of reward models; √N times that where agents average

LARGE = 64  # beyond this many agents, one arm alone occupies the machine


def ppo_team_returns(
    config: Config, keys: jax.Array, progress: Callable[[str], None]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Team returns as shares of always giving's, in training and of the learned policies.

    Returns:
        ``{arm: [S, iterations]}``, and ``{arm: [S]}`` on evaluation episodes, in which agents take
        the likeliest actions.
    """
    n = config.ppo_agents
    env = TeamDonations(n)
    shuffled_half = jax.random.permutation(jax.random.key(config.seed), n) < n // 2
    worth = jnp.where(shuffled_half, 1.0 + config.taste_gap, 1.0 - config.taste_gap)
    network = rl.network_for(env, critic="global", widths=(32,))
    W = stacked_mixing(n, sparse_graph(config))
    best = return_of_always_giving(env, config.seed)

    def train(
        graph: jax.Array, mean_pay: jax.Array, modeled: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        averages = jnp.where(graph == NO_EDGES, 1.0, jnp.sqrt(n))
        learner = networked.networked_ppo(
            env,
            network,
            gossip.averaging(W[graph], steps=config.exchanges),
            num_envs=config.envs,
            num_steps=config.horizon,
            epochs=config.epochs,
            minibatches=config.minibatches,
            team_reward=modeled,
            joint=config.joint,
            reward_lr=REWARD_LR * averages,
            hyperparameters=rl.PPOHyperparameters(lr=config.lr, discount=config.discount),
        )
        params_key, env_key, run_key, test_key = jax.random.split(key, 4)
        params = networked.initial_params(params_key, network, n)
        physics = TeamDonationParams(mean_pay=mean_pay, worth=worth)
        state = learner.init(params, env_key, physics)
        state, records = rollout(learner.step, state, config.iterations, key=run_key)
        returns = rl.evaluate(
            test_key,
            env,
            rl.policy(network, shared=False, deterministic=True),
            config.tests,
            params=state.learner.params,
            env_params=physics,
        )
        return records.info.ppo.reward, jnp.mean(returns) / env.time_limit

    progress("PPO: all arms")
    graph, mean_pay, modeled = (
        jnp.array(column) for column in zip(*PPO_ARMS.values(), strict=True)
    )

    def train_arms(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        if n > LARGE:
            arms = (graph, mean_pay, modeled)
            return jax.lax.map(lambda arm: train(arm[0], arm[1], arm[2], key), arms)
        return jax.vmap(train, (0, 0, 0, None))(graph, mean_pay, modeled, key)

    # One compilation; seed by seed, so that the states of a seed stay in the cache.
    train_seeds = jit_fast_compile(lambda keys: jax.lax.map(train_arms, keys))
    curves, final = (
        dict(zip(PPO_ARMS, np.moveaxis(np.asarray(x) / best, 1, 0), strict=True))
        for x in train_seeds(keys)
    )
    return curves, final


def sparse_graph(config: Config) -> topology.Topology:
    """The network of the donation game's agents: a ring or a random regular graph."""
    n = config.ppo_agents
    if config.ppo_degree == 2:
        return topology.ring(n)
    return topology.random_regular(n, config.ppo_degree, seed=config.seed)


def return_of_always_giving(env: TeamDonations, seed: int) -> float:
    """Mean reward per step and agent if every agent gives whenever it can."""
    give = envs.scripted(lambda key, seen: jnp.ones(env.num_agents, jnp.int32))
    returns = rl.evaluate(jax.random.key(seed), env, give, 64)
    return float(jnp.mean(returns)) / env.time_limit
