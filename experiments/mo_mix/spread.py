"""Coverage against energy in cooperative navigation: MO-MIX and the outer loop, at full scale.

Shapes: ``S`` seeds, ``W`` preferences.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.mo_mix.config import GUIDED, MO_MIX, OUTER, OUTER_TENFOLD, Config
from experiments.mo_mix.learners import (
    jit_training,
    numbers,
    run_learner,
    runs_of,
    seeds_of,
)
from experiments.mo_mix.worlds import PREFERENCES
from jaxswarm import envs
from jaxswarm.rl import value_decomposition as vd

NUM_AGENTS = 3
DISCOUNT = 0.97
LR, TAU = 1e-3, 0.02  # of all arms


def coverage_and_energy(config: Config) -> dict[str, np.ndarray]:
    """Train both methods at equal steps, and the outer loop with ten times as many.

    Returns:
        ``{arm: returns [S, 11, 2]}`` of coverage and energy, and ``rest [2]``, those of a team that
        does nothing.
    """
    env = envs.CoverageEnergy(NUM_AGENTS)
    keys = seeds_of(config, config.spread_seeds)
    share = config.spread_iterations // len(PREFERENCES)
    return {
        MO_MIX: mo_mix(config, env, keys),
        OUTER: outer_loop(config, env, keys, share),
        OUTER_TENFOLD: outer_loop(config, env, keys, 10 * share),
        "rest": rest(env),
    }


def options(config: Config) -> dict[str, Any]:
    """Sizes of all learners; the time limit is no part of this task, so that values bootstrap."""
    return {
        "num_envs": config.episodes,
        "updates": config.updates,
        "batch_size": config.batch,
        "capacity": 1000,
    }


def hyperparameters(config: Config, iterations: int) -> vd.ValueHyperparameters:
    """Those of both methods."""
    return numbers(config, iterations)._replace(lr=LR, tau=TAU, discount=DISCOUNT)


def mo_mix(config: Config, env: envs.CoverageEnergy, keys: jax.Array) -> np.ndarray:
    """Returns of MO-MIX, ``[S, 11, 2]``."""
    network = vd.value_network_for(
        env, "monotonic", objectives=2, hidden_size=config.hidden, mixer_width=config.width
    )
    learner = vd.value_learner(env, network, grid=PREFERENCES, **options(config))
    draw = functools.partial(vd.initial_params, network=network)
    hp = hyperparameters(config, config.spread_iterations)._replace(guide_share=GUIDED)

    def train(key: jax.Array) -> jax.Array:
        params, _ = run_learner(learner, draw, key, config.spread_iterations, hp, env.params)
        return vd.objective_returns(
            jax.random.fold_in(key, 1),
            env,
            network,
            params,
            PREFERENCES,
            num_episodes=config.spread_episodes,
        )

    return np.asarray(jit_training(jax.vmap(train), config.spread_iterations)(keys))


def outer_loop(
    config: Config, env: envs.CoverageEnergy, keys: jax.Array, iterations: int
) -> np.ndarray:
    """Returns of one QMIX per preference, ``[S, 11, 2]``."""
    network = vd.value_network_for(
        env, "monotonic", hidden_size=config.hidden, mixer_width=config.width
    )
    learner = vd.qmix(env, network, **options(config))
    draw = functools.partial(vd.initial_params, network=network)
    hp = hyperparameters(config, iterations)

    def train(preference: jax.Array, key: jax.Array) -> jax.Array:
        physics = env.params._replace(preference=preference)
        params, _ = run_learner(learner, draw, key, iterations, hp, physics)
        return vd.objective_returns(
            jax.random.fold_in(key, 1), env, network, params, num_episodes=config.spread_episodes
        )[0]

    program = jit_training(jax.vmap(train), config.spread_iterations)
    found = np.asarray(program(*runs_of((jnp.asarray(PREFERENCES),), keys)))
    return found.reshape(len(PREFERENCES), len(keys), 2).swapaxes(0, 1)


def rest(env: envs.CoverageEnergy, episodes: int = 512) -> np.ndarray:
    """Mean returns of a team that does nothing, ``[2]``."""

    def play(key: jax.Array) -> jax.Array:
        state, _ = env.reset(key)

        def step(state: Any, _: None) -> tuple[Any, jax.Array]:
            state, timestep = env.step(state, jnp.zeros(env.num_agents, jnp.int32))
            return state, timestep.extras["objectives"]

        return jnp.sum(jax.lax.scan(step, state, None, env.time_limit)[1], axis=0)

    keys = jax.random.split(jax.random.key(2), episodes)
    return np.asarray(jnp.mean(jax.jit(jax.vmap(play))(keys), axis=0))
