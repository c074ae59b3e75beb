"""Recurrent policies with messages, trained by PPO on one task.

The dense reward is potential-based (A. Y. Ng, D. Harada, S. Russell, Policy invariance under reward
transformations, 1999): it leaves the order of policies as it is.

Shapes: ``L`` networks, ``I`` iterations, ``K`` looks.
"""

from typing import Any

import jax
import jax.numpy as jnp

from experiments.harness.compile import jit_fast_compile
from experiments.swarmbench.config import DISCOUNT, Config
from experiments.swarmbench.episodes import options
from jaxswarm import agents, envs, rl, rollout
from jaxswarm.envs import swarmbench
from jaxswarm.envs.swarmbench import SwarmBenchParams

TESTS = 4  # fresh episodes that the score of a trained network is the mean of
UNLIMITED = 1_000  # sight beyond every view


def train_and_score(config: Config, task: str) -> dict[str, Any]:
    """Train networks on a task and score them on fresh episodes.

    Returns:
        ``learned [L]``, scores without the dense reward; ``curve [L, K]``, the same while learning;
        and ``reward [L, I]`` in training.
    """
    env = swarmbench.make(
        task,
        view=config.learner_view,
        message_length=1,
        vocabulary=4,
        as_features=True,
        **options(config),
    )
    network = rl.network_for(env, widths=(config.width,), hidden_size=config.width)
    learner = rl.ppo(
        env,
        network,
        num_envs=config.envs,
        num_steps=config.horizon,
        epochs=config.epochs,
        minibatches=config.minibatches,
        hyperparameters=rl.PPOHyperparameters(lr=config.lr, entropy=0.01, discount=DISCOUNT),
    )
    policy = rl.policy(network, shared=True)
    with_dense_reward = SwarmBenchParams(
        jnp.int32(UNLIMITED), *map(jnp.float32, (1.0, config.shaping, DISCOUNT))
    )

    def train(key: jax.Array) -> tuple[jax.Array, ...]:
        params_key, env_key, run_key, test_key = jax.random.split(key, 4)
        params = rl.initialize(params_key, network, config.agents, shared=True)
        state = learner.init(params, env_key, with_dense_reward)

        def score(state: Any) -> jax.Array:
            def play(key: jax.Array) -> jax.Array:
                _, episode = envs.unroll(key, env, policy, config.rounds, params=state.params)
                return episode.timestep.extras["score"][-1]

            return jnp.mean(jax.vmap(play)(jax.random.split(test_key, TESTS)))

        every = config.iterations // config.looks

        def step(key: jax.Array, state: Any, inputs: Any) -> Any:
            state, info = learner.step(key, state, None)
            return state, info.reward

        _, records = rollout(
            step, state, config.iterations, key=run_key, every=every, evaluate=score
        )
        return records.evaluation[-1], records.evaluation, records.info

    keys = agents.keys(jax.random.key(config.seed + 1), config.learners)
    learned, curve, reward = jit_fast_compile(lambda keys: jax.lax.map(train, keys))(keys)
    return {"learned": learned, "curve": curve, "reward": reward}
