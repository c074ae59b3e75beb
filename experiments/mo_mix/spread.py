"""Coverage against energy in cooperative navigation: MO-MIX, the outer loop, and a planner.

All teams of a seed are tested on the same episodes, so that a front has no points that were merely
lucky with their episodes. A team at rest is tested on them too.

Shapes: ``S`` seeds, ``W`` preferences.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.mo_mix.config import GUIDED, MO_MIX, OUTER, OUTER_TENFOLD, PLANNER, REST, Config
from experiments.mo_mix.learners import jit_training, numbers, run_learner, runs_of, seeds_of
from experiments.mo_mix.worlds import PREFERENCES
from jaxswarm import envs
from jaxswarm.envs.spread.tradeoff import PUSHES
from jaxswarm.rl import value_decomposition as vd

NUM_AGENTS = 3
DISCOUNT = 0.8
NEAR = 0.1  # distance from its landmark below which an agent of the planner rests
PLANNED = 512  # episodes of the planner


def coverage_and_energy(config: Config) -> dict[str, np.ndarray]:
    """Train both methods at equal totals and, on request, the outer loop with ten times as many.

    Returns:
        ``{arm: returns [S, 11, 2]}`` of coverage and energy; of a team at rest ``[S, 2]``, on the
        same episodes; of the planner ``[2, 2]``, a team at rest and one that drives to landmarks.
    """
    env = envs.CoverageEnergy(NUM_AGENTS)
    keys = seeds_of(config, config.spread_seeds)
    share = config.spread_iterations // len(PREFERENCES)
    found = mo_mix(config, env, keys)
    found[OUTER] = outer_loop(config, env, keys, share)
    if config.more_baselines:
        found[OUTER_TENFOLD] = outer_loop(config, env, keys, 10 * share)
    found[PLANNER] = planned(env)
    return found


def options(config: Config) -> dict[str, Any]:
    """Sizes of all learners; the time limit is no part of this task, so that values bootstrap."""
    return {
        "num_envs": config.episodes,
        "updates": config.spread_updates,
        "batch_size": config.spread_batch,
        "capacity": 1000,
    }


def mo_mix(config: Config, env: envs.CoverageEnergy, keys: jax.Array) -> dict[str, np.ndarray]:
    """Returns of MO-MIX ``[S, 11, 2]`` and of a team at rest ``[S, 2]``."""
    network = vd.value_network_for(
        env, "monotonic", objectives=2, hidden_size=config.hidden, mixer_width=config.width
    )
    learner = vd.value_learner(env, network, grid=PREFERENCES, **options(config))
    draw = functools.partial(vd.initial_params, network=network)
    hp = numbers(config, config.spread_iterations)._replace(
        lr=config.spread_lr, tau=config.spread_tau, discount=DISCOUNT, guide_share=GUIDED
    )

    def train(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        params, _ = run_learner(learner, draw, key, config.spread_iterations, hp, env.params)

        def tested(params: Any, preference: jax.Array) -> jax.Array:
            return vd.objective_returns(
                jax.random.fold_in(key, 1),
                env,
                network,
                params,
                preference[None],
                num_episodes=config.spread_episodes,
            )[0]

        preferences = jnp.asarray(PREFERENCES)
        idle = jax.tree.map(jnp.zeros_like, params)  # all values are equal: the first action, rest
        return jax.vmap(tested, (None, 0))(params, preferences), tested(idle, preferences[0])

    found = jit_training(jax.vmap(train), config.spread_iterations)(keys)
    return dict(zip((MO_MIX, REST), map(np.asarray, found), strict=True))


def outer_loop(
    config: Config, env: envs.CoverageEnergy, keys: jax.Array, iterations: int
) -> np.ndarray:
    """Returns of one QMIX per preference, ``[S, 11, 2]``."""
    network = vd.value_network_for(
        env, "monotonic", hidden_size=config.hidden, mixer_width=config.width
    )
    learner = vd.qmix(env, network, **options(config))
    draw = functools.partial(vd.initial_params, network=network)
    hp = numbers(config, iterations)._replace(
        lr=config.spread_outer_lr, tau=config.spread_outer_tau, discount=DISCOUNT
    )

    def train(preference: jax.Array, key: jax.Array) -> jax.Array:
        physics = env.params._replace(preference=preference)
        params, _ = run_learner(learner, draw, key, iterations, hp, physics)
        return vd.objective_returns(
            jax.random.fold_in(key, 1), env, network, params, num_episodes=config.spread_episodes
        )[0]

    program = jit_training(jax.vmap(train), config.spread_iterations)
    found = np.asarray(program(*runs_of((jnp.asarray(PREFERENCES),), keys)))
    return found.reshape(len(PREFERENCES), len(keys), 2).swapaxes(0, 1)


def planned(env: envs.CoverageEnergy) -> np.ndarray:
    """Mean returns of a team at rest and of one that drives to landmarks, ``[2, 2]``.

    Agent ``i`` drives to landmark ``i`` along the longer axis and rests when it is near.
    """

    def play(drives: jax.Array, key: jax.Array) -> jax.Array:
        state, timestep = env.reset(key)

        def step(carry: Any, _: None) -> tuple[Any, jax.Array]:
            state, observation = carry
            own = jnp.arange(env.num_agents)
            # Where it will have rolled to counts, so that it brakes in time.
            offset = observation.landmarks[own, own] - 0.3 * observation.velocity
            action = jnp.argmax(offset @ jnp.asarray(PUSHES.T), axis=1)
            action = jnp.where(drives & (jnp.abs(offset).max(axis=1) > NEAR), action, 0)
            state, timestep = env.step(state, action)
            return (state, timestep.observation), timestep.extras["objectives"]

        carry = (state, timestep.observation)
        return jnp.sum(jax.lax.scan(step, carry, None, env.time_limit)[1], axis=0)

    keys = jax.random.split(jax.random.key(2), PLANNED)
    both = jax.vmap(jax.vmap(play, (None, 0)), (0, None))
    returns = jit_fast_compile(both, level=0)(jnp.array([False, True]), keys)
    return np.asarray(jnp.mean(returns, axis=1))
