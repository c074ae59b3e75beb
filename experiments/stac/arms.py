"""Runs of the STAC experiment: all pessimism weights on a point mass and on a chain.

Two parts, each with all pessimism weights ``β`` from the same random keys:

* **Point mass.** On RiskyPointMass the straight path to the goal crosses a disc in which large
  losses are rare. After learning, episodes of the evaluation policy (mean of ten sampled actions)
  give the share of steps inside the disc, of those episodes that start outside it, and the share
  that reach the goal. (The published code intends to redraw starts inside the disc but never does;
  a pilot counted those episodes too, although no policy can avoid their first steps.)
* **Chain.** On a chain of states with rewards of known noise, the exact standard deviation of
  STAC's one-step target is compared with the critic's. Actions have no effect on the chain, so
  whatever the critic's mean exceeds the true value by is overestimation.

One ``β`` is fixed beforehand for each arm; the paper's table reports the best of five per task.

Limits: 8,000 updates at small scale, one per eight environment steps, where the paper makes
100,000; the pilot's 24,000 environment steps became 64,000 before the recorded run. The share of
steps inside the disc is a coarse measure of risk, because losses are rare near the disc's rim.

Shapes: ``B`` pessimism weights, ``S`` seeds, ``K`` states of the chain, ``T`` records.

References:
    U. Özalp, Stochastic Actor-Critic: Mitigating Overestimation via Temporal Aleatoric
    Uncertainty, 2026.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.stac.config import Config
from experiments.stac.worlds import REWARD_STD, NoisyChain, exact_values_and_spread
from jaxswarm import agents, envs, rl, rollout
from jaxswarm.envs.environment import SwarmEnvironment
from jaxswarm.systems import stac
from jaxswarm.systems.stac import critic_distribution

CELLS = 24  # cells per side of the map of visits
DISCOUNT = 0.99  # of the point mass
CHAIN_DISCOUNT = 0.9


def run(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Run both parts.

    Returns:
        ``mass``, see :func:`run_point_mass`; ``chain``, see :func:`run_chain`; ``steps [T]``, steps
        of each point-mass environment at the records.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.seeds)
    progress("point mass: all pessimism weights")
    results: dict[str, Any] = {"mass": run_point_mass(config, keys)}
    progress("chain: all pessimism weights")
    results["chain"] = run_chain(config, keys)
    results["steps"] = np.arange(1, config.records + 1) * config.steps // config.records
    return results


def run_chain(config: Config, keys: jax.Array) -> dict[str, np.ndarray]:
    """Learn a critic on the chain for each pessimism weight.

    Returns:
        ``deviation [B, S, K]``, the critic's standard deviations; ``value_error [B, S]``, its mean
        minus the true value, averaged over states; ``exact [B, K]``, exact standard deviations of
        the one-step target.
    """
    env = NoisyChain()
    network = stac.stac_network_for(env, widths=(32, 32))
    states = jnp.eye(len(REWARD_STD))
    values = jnp.asarray(exact_values_and_spread(CHAIN_DISCOUNT)[0], jnp.float32)

    def run_seed(beta: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        learner = stac.stac(
            env,
            network,
            num_envs=2,
            batch_size=min(config.batch, 64),
            capacity=config.chain_capacity,
            warm_up=config.warm_up,
            hyperparameters=stac.STACHyperparameters(1e-3, 1e-3, 0.0, CHAIN_DISCOUNT, beta=beta),
        )
        network_key, world_key, run_key = jax.random.split(key, 3)
        state = learner.init(network.init(network_key), world_key, temperature=1e-4)

        def evaluate(state: Any) -> tuple[jax.Array, jax.Array]:
            params = state.learner.params
            raw = jax.vmap(network.head.mode)(network.actor_outputs(params["actor"], states))
            mean, std = critic_distribution(network, params["critic"], states, raw)
            return std, jnp.mean(mean - values)

        # Averaged over ten evaluations of the last half: a single one depends on the last batches.
        every = max(config.chain_steps // 20, 1)
        _, records = rollout(
            learner.step, state, config.chain_steps, key=run_key, every=every, evaluate=evaluate
        )
        std, error = records.evaluation
        half = std.shape[0] // 2
        return jnp.mean(std[half:], axis=0), jnp.mean(error[half:])

    betas = jnp.array(config.betas)
    over_betas = jax.vmap(jax.vmap(run_seed, (None, 0)), (0, None))
    deviation, value_error = jit_fast_compile(over_betas)(betas, keys)
    exact = [exact_values_and_spread(CHAIN_DISCOUNT, beta)[1] for beta in config.betas]
    return {
        "deviation": np.asarray(deviation),
        "value_error": np.asarray(value_error),
        "exact": np.stack(exact),
    }


def run_point_mass(config: Config, keys: jax.Array) -> dict[str, np.ndarray]:
    """Learn on RiskyPointMass for each pessimism weight and audit the final policies.

    Returns:
        ``return [B, S, T]``, evaluation returns during learning, and the entries of
        :func:`audit_episodes`, ``[B, S, ...]``.
    """
    env = envs.RiskyPointMass()
    network = stac.stac_network_for(env, widths=(config.width,) * 2)
    policy = rl.policy(stac.mean_action_network(network), shared=True)

    def run_seed(beta: jax.Array, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        learner = stac.stac(
            env,
            network,
            num_envs=config.envs,
            batch_size=config.batch,
            capacity=config.envs * (config.steps + config.warm_up),
            warm_up=config.warm_up,
            hyperparameters=stac.STACHyperparameters(
                config.lr, config.lr, config.lr, DISCOUNT, beta=beta
            ),
        )
        network_key, world_key, run_key, test_key = jax.random.split(key, 4)
        state = learner.init(network.init(network_key), world_key, temperature=config.temperature)

        def evaluate(state: Any) -> jax.Array:
            params = state.learner.params
            return jnp.mean(rl.evaluate(test_key, env, policy, 10, params=params))

        every = config.steps // config.records
        state, records = rollout(
            learner.step, state, config.steps, key=run_key, every=every, evaluate=evaluate
        )
        params = state.learner.params
        return records.evaluation, audit_episodes(config, env, network, policy, params, test_key)

    betas = jnp.array(config.betas)
    over_betas = jax.vmap(jax.vmap(run_seed, (None, 0)), (0, None))
    returns, audit = jit_fast_compile(over_betas)(betas, keys)
    return {"return": np.asarray(returns)} | {k: np.asarray(x) for k, x in audit.items()}


def audit_episodes(
    config: Config,
    env: SwarmEnvironment,
    network: rl.QNetwork,
    policy: Any,
    params: Any,
    key: jax.Array,
) -> dict[str, jax.Array]:
    """Measure risk, success and value error over episodes of the evaluation policy.

    Args:
        config: number of episodes.
        env: the point mass.
        network: of the learner.
        policy: of :func:`jaxswarm.rl.policy`.
        params: network weights, ``{"actor", "critic"}``.
        key: of starts, actions and noise.

    Returns:
        ``inside``, share of steps inside the disc, of episodes that start outside it; ``goal``,
        share of episodes that reach the goal; ``value_error``, mean of the critic's first value
        minus the discounted return; ``final_return``, mean undiscounted return; ``visits
        [CELLS, CELLS]``, steps in each cell of the unit square.
    """

    def run_episode(key: jax.Array) -> Any:
        _, steps = envs.unroll(key, env, policy, env.time_limit, params=params)
        present = steps.observation.agent_mask[:, 0]
        position = steps.observation.position[:, 0]
        timestep: Any = steps.timestep
        reward = timestep.reward[:, 0]
        raw = jnp.arctanh(jnp.clip(steps.action[:1, 0], -1.0 + 1e-6, 1.0 - 1e-6))
        value, _ = critic_distribution(network, params["critic"], position[:1], raw)
        discounts = DISCOUNT ** jnp.arange(env.time_limit)
        discounted_return = jnp.sum(reward * present * discounts)
        cell = jnp.clip((position * CELLS).astype(jnp.int32), 0, CELLS - 1)
        visits = jnp.zeros((CELLS, CELLS)).at[cell[:, 0], cell[:, 1]].add(present)
        starts_outside = jnp.linalg.norm(position[0] - 0.5) >= env.params.disc_radius
        inside = starts_outside * jnp.sum(timestep.extras["inside"])
        counted = starts_outside * jnp.sum(present)
        arrived = timestep.extras["arrived"][-1]
        value_error = value[0] - discounted_return
        return inside, counted, arrived, value_error, jnp.sum(reward), visits

    inside, counted, arrived, value_error, total, visits = jax.vmap(run_episode)(
        agents.keys(key, config.episodes)
    )
    return {
        "inside": jnp.sum(inside) / jnp.maximum(jnp.sum(counted), 1),
        "goal": jnp.mean(arrived > 0),
        "value_error": jnp.mean(value_error),
        "final_return": jnp.mean(total),
        "visits": jnp.sum(visits, axis=0),
    }
