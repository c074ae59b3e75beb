"""Independent and multi-agent PPO on the same worlds, and random actions.

Shapes: ``L`` seeds, ``I`` iterations.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from experiments.damcs.config import IPPO, MAPPO, RANDOM, Config
from experiments.harness.compile import jit_fast_compile
from jaxswarm import agents, envs, rl, rollout

AGENTS = 6


def learn(config: Config, progress: Callable[[str], None]) -> dict[str, Any]:
    """Train both learners and play one episode with each network on a world of its own.

    Returns:
        ``{name: {"diamond": [L], "achieved": [L], "reward": [L, I]}}``: whether the team got a
        diamond within the time limit, how many achievements it made, and the mean reward of a step
        in training.
    """
    env = envs.MultiAgentCrafter(AGENTS, config.size, config.time_limit, as_features=True)
    compiled = partial(jit_fast_compile, level=1, plain=True)
    keys = agents.keys(jax.random.key(config.seed + 1), config.learners)
    hyperparameters = rl.PPOHyperparameters(lr=1e-3, entropy=0.01, discount=0.99)

    def score(key: jax.Array, policy: envs.Policy, params: Any) -> tuple[jax.Array, jax.Array]:
        state, episode = envs.unroll(key, env, policy, config.time_limit, params=params)
        achieved = jnp.sum(jnp.any(state.world.achieved, axis=0))
        return jnp.any(episode.timestep.extras["diamond"]), achieved

    found = {}
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
            diamond, achieved = score(test_key, policy, state.params)
            return {"diamond": diamond, "achieved": achieved, "reward": records.info.reward}

        found[name] = compiled(lambda k, train=train: jax.lax.map(train, k))(keys)
    progress(RANDOM)
    policy = envs.random_policy(env.action_spec)
    play = compiled(lambda k: jax.lax.map(lambda key: score(key, policy, ()), k))
    diamond, achieved = play(keys)
    return found | {RANDOM: {"diamond": diamond, "achieved": achieved}}
