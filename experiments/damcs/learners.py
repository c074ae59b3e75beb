"""Independent and multi-agent PPO in the same environment, before and after training.

Shapes: ``L`` seeds, ``I`` iterations.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from experiments.damcs.config import IPPO, MAPPO, UNTRAINED, Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import agents, envs, rl, rollout

AGENTS = 6


def learn(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train both learners and play one episode with each network on a world of its own.

    Returns:
        ``{name: {"diamond": [L], "achieved": [L], "reward": [L, I]}}``: whether the team got a
        diamond within the time limit, how many achievements it made, and the mean reward of a step
        in training; ``untrained`` without the rewards.
    """
    env = envs.MultiAgentCrafter(AGENTS, config.size, config.time_limit, as_features=True)
    compiled = partial(jit_fast_compile, level=config.level, plain=True)
    keys = agents.keys(jax.random.key(config.seed + 1), config.learners)
    hyperparameters = rl.PPOHyperparameters(lr=1e-3, entropy=0.01, discount=0.99)

    def score(key: jax.Array, policy: envs.Policy, params: Any) -> tuple[jax.Array, jax.Array]:
        state, episode = envs.unroll(key, env, policy, config.time_limit, params=params)
        achieved = jnp.sum(jnp.any(state.world.achieved, axis=0))
        return jnp.any(episode.timestep.extras["diamond"]), achieved

    found: dict[str, Any] = {}
    for name, critic, make in ((IPPO, "own", rl.ippo), (MAPPO, "global", rl.mappo)):
        progress(name)
        network = rl.network_for(env, critic=critic, widths=(config.width,))
        learner = make(
            env,
            network,
            shared=True,
            num_envs=config.envs,
            num_steps=config.horizon,
            epochs=2,
            minibatches=2,
            hyperparameters=hyperparameters,
        )
        policy = rl.policy(network, shared=True)

        def train(
            key: jax.Array, network: Any = network, learner: Any = learner, policy: Any = policy
        ) -> dict[str, jax.Array]:
            params_key, env_key, run_key, test_key = jax.random.split(key, 4)
            params = rl.initialize(params_key, network, AGENTS, shared=True)
            state = learner.init(params, env_key)
            state, records = rollout(learner.step, state, config.iterations, key=run_key)
            both = jax.tree.map(lambda *leaves: jnp.stack(leaves), params, state.params)
            diamond, achieved = jax.lax.map(lambda p: score(test_key, policy, p), both)
            return {"diamond": diamond, "achieved": achieved, "reward": records.info.reward}

        outcome = compiled(lambda k, train=train: jax.lax.map(train, k))(keys)
        scores = {field: outcome[field] for field in ("diamond", "achieved")}
        found[name] = {field: x[:, 1] for field, x in scores.items()}
        found[name]["reward"] = outcome["reward"]
        if name == IPPO:
            found[UNTRAINED] = {field: x[:, 0] for field, x in scores.items()}
    return found
