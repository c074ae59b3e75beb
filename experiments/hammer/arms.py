"""Train local agents with and without messages in every game.

Shapes: ``S`` seeds, ``I`` iterations.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.hammer.config import COMPOSED_ARMS, PPO_MESSENGER, Config
from experiments.hammer.games import Game, build_games
from experiments.harness.compile import jit_fast_compile
from experiments.harness.protocol import LearningCurves, Results
from jaxswarm import agents, rl, rollout
from jaxswarm.algorithm import Algorithm
from jaxswarm.systems import hammer


def run(config: Config, progress: Callable[[str], None]) -> Results:
    """Measure returns of all arms in every game.

    Returns:
        ``{game: {arm: {"score": [S], "curve": [S, I]}}}``: mean episode return of an agent on
        fresh episodes and in training. In sum guessing it is minus the absolute error.
    """
    keys = agents.keys(jax.random.key(config.seed), config.seeds)
    results: Results = {}
    for name, game in build_games(config).items():
        progress(name)
        results[name] = train_arms(config, game, keys[: game.seeds])
    return results


def learning_curves(config: Config, results: Results) -> dict[str, LearningCurves]:
    """Returns in training over environment steps, and on fresh episodes, of every game."""
    return {
        name: LearningCurves(
            steps=np.arange(1, game.iterations + 1) * game.steps * game.copies,
            returns={arm: found["curve"] for arm, found in results[name].items()},
            final={arm: found["score"] for arm, found in results[name].items()},
        )
        for name, game in build_games(config).items()
    }


def train_arms(config: Config, game: Game, keys: jax.Array) -> dict[str, dict[str, np.ndarray]]:
    """Train all arms of one game; all but the PPO messenger share one program."""
    layers: dict[str, Any] = {
        "widths": (config.width, config.width),
        "scale": game.scale,
        "squash": False,
        "initial_std": game.initial_std,
    }
    learning: dict[str, Any] = {
        "num_envs": game.copies,
        "num_steps": game.steps,
        "epochs": 4,
        "minibatches": 4,
        "hyperparameters": rl.PPOHyperparameters(
            lr=config.lr, discount=0.95, gae_lambda=0.95, entropy=0.0
        ),
    }
    arms = [hammer.MESSAGE_KINDS[name] for name in COMPOSED_ARMS.values()]
    stacked = jax.tree.map(lambda *numbers: jnp.array(numbers), *arms)
    over_arms = jax.vmap(composed_arm(config, game, layers, learning), (0, None))
    train_composed = jit_fast_compile(jax.vmap(over_arms, (None, 0)))
    programs = [lambda: train_composed(stacked, keys)]
    if game.ppo_messenger:
        train_messenger = jit_fast_compile(
            jax.vmap(ppo_messenger_arm(config, game, layers, learning))
        )
        programs.append(lambda: train_messenger(keys))
    # Side by side, because a program of small steps leaves a core idle.
    with ThreadPoolExecutor(2) as pool:
        (score, curve), *others = pool.map(
            lambda program: jax.tree.map(np.asarray, program()), programs
        )
    results = {
        arm: {"score": score[:, index], "curve": curve[:, index]}
        for index, arm in enumerate(COMPOSED_ARMS)
    }
    if others:
        results[PPO_MESSENGER] = dict(zip(("score", "curve"), others[0], strict=True))
    return results


def composed_arm(
    config: Config, game: Game, layers: dict[str, Any], learning: dict[str, Any]
) -> Callable[[hammer.MessageKind, jax.Array], tuple[jax.Array, jax.Array]]:
    """Build ``(arm, key) -> (score, curve)`` with messenger and agents in one network."""
    network = hammer.hammer_network(game.env, **layers)
    executing = hammer.hammer_network(game.env, executing=True, **layers)

    def train_seed(arm: hammer.MessageKind, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        init_key, run_key = jax.random.split(key)
        params = rl.initialize(init_key, network, game.env.num_agents, shared=True)
        learner = rl.ppo(game.env, network, **learning)
        return train_and_evaluate(
            config,
            game,
            learner,
            hammer.with_message_kind(params, arm),
            executing,
            run_key,
            reward_of=lambda info: info.reward,
        )

    return train_seed


def ppo_messenger_arm(
    config: Config, game: Game, layers: dict[str, Any], learning: dict[str, Any]
) -> Callable[[jax.Array], tuple[jax.Array, jax.Array]]:
    """Build ``key -> (score, curve)`` with a messenger that is a PPO agent of its own."""
    sides = hammer.central_agent_networks(game.env, **layers)
    executing = hammer.central_agent_networks(game.env, executing=True, **layers).composed

    def train_seed(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        init_key, run_key = jax.random.split(key)
        learner = hammer.central_agent_ppo(game.env, sides, **learning)
        return train_and_evaluate(
            config,
            game,
            learner,
            sides.composed.init(init_key),
            executing,
            run_key,
            reward_of=lambda info: info.local.reward,
        )

    return train_seed


def train_and_evaluate(
    config: Config,
    game: Game,
    learner: Algorithm,
    params: Any,
    executing: rl.Network,
    key: jax.Array,
    *,
    reward_of: Callable[[Any], jax.Array],
) -> tuple[jax.Array, jax.Array]:
    """Train one seed; mean return of an agent on fresh episodes, and in training (``[I]``)."""
    start_key, run_key, test_key = jax.random.split(key, 3)
    state = learner.init(params, start_key, game.physics)
    state, records = rollout(learner.step, state, game.iterations, key=run_key)
    returns = rl.evaluate(
        test_key,
        game.env,
        rl.policy(executing, shared=True, deterministic=True),
        config.episodes,
        params=state.params,
        env_params=game.physics,
    )
    return jnp.mean(returns), reward_of(records.info) * game.env.time_limit
