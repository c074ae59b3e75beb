"""Train teams on the grid game: conditioned agents for all preferences, and the outer loop.

Shapes: ``S`` seeds, ``I`` steps of a learner, ``W`` preferences.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.mo_mix.config import CONDITIONED_ARMS, MO_MIX, Config
from experiments.mo_mix.worlds import EVERY, FINE_PREFERENCES, PREFERENCES, game
from jaxswarm import envs
from jaxswarm.rl import value_decomposition as vd

GRID_EVERY = 12  # steps between two looks at the front

Numbers = dict[str, np.ndarray]


def conditioned(config: Config) -> dict[str, Numbers]:
    """Train the arms with monotonic mixers and a preference among the inputs.

    Returns:
        For every arm ``front [S, 101, 2]``, the returns under the fine preferences;
        ``curve [S, I / 12, 11, 2]``, those under the eleven preferences in training; ``igm [S]``
        and ``regret [S]``, see :class:`jaxswarm.rl.value_decomposition.IGMReport`.
    """
    env = game()
    network = vd.value_network_for(
        env, "monotonic", objectives=2, hidden_size=config.hidden, mixer_width=config.width
    )
    train = conditioned_program(config, env, network)
    games = jnp.stack([game(2, curve).worths for curve, _ in CONDITIONED_ARMS.values()])
    guides = jnp.array([share for _, share in CONDITIONED_ARMS.values()])
    over_arms = jax.vmap(jax.vmap(train, (None, None, 0)), (0, 0, None))
    params, curve = jit_fast_compile(over_arms)(games, guides, seeds_of(config))

    def examine(worths: jax.Array, params: Any) -> tuple[jax.Array, vd.IGMReport]:
        physics, key = env.params._replace(worths=worths), jax.random.key(0)  # nothing is random
        front = vd.objective_returns(
            key, env, network, params, FINE_PREFERENCES, env_params=physics
        )
        report = vd.igm_violations(key, env, network, params, PREFERENCES, env_params=physics)
        return front, report

    over_arms = jax.vmap(jax.vmap(examine, (None, 0)))
    front, report = jit_fast_compile(over_arms, level=0)(games, params)
    found = {"front": front, "curve": curve, "igm": report.rate, "regret": report.regret}
    return {
        arm: {name: np.asarray(x[index]) for name, x in found.items()}
        for index, arm in enumerate(CONDITIONED_ARMS)
    }


def additive(config: Config) -> Numbers:
    """Train conditioned agents with sums in place of mixers: ``front`` and ``curve`` as above."""
    env = game()
    network = vd.value_network_for(env, "additive", objectives=2, hidden_size=config.hidden)
    train = conditioned_program(config, env, network)

    def run(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        params, curve = train(jnp.asarray(env.worths), 0.0, key)
        return vd.objective_returns(key, env, network, params, FINE_PREFERENCES), curve

    front, curve = jit_fast_compile(jax.vmap(run))(seeds_of(config))
    return {"front": np.asarray(front), "curve": np.asarray(curve)}


def outer_loop(config: Config, preferences: np.ndarray, iterations: int) -> Numbers:
    """Train one QMIX for each preference on the weighted reward.

    Args:
        config: sizes.
        preferences: ``[W, 2]``.
        iterations: steps of each QMIX.

    Returns:
        ``front [S, W, 2]``, the returns of the ``W`` teams.
    """
    env = game()
    network = vd.value_network_for(
        env, "monotonic", hidden_size=config.hidden, mixer_width=config.width
    )
    learner = vd.qmix(env, network, **sizes(config))
    hp = numbers(config, iterations)._replace(lr=config.outer_lr, tau=config.outer_tau)

    def train(preference: jax.Array, key: jax.Array) -> jax.Array:
        physics = env.params._replace(preference=preference)
        params, _ = run_learner(learner, network, key, iterations, hp, physics)
        return vd.objective_returns(key, env, network, params)[0]

    over_preferences = jax.vmap(jax.vmap(train, (0, None)), (None, 0))
    front = jit_fast_compile(over_preferences)(jnp.asarray(preferences), seeds_of(config))
    return {"front": np.asarray(front)}


def conditioned_program(
    config: Config, env: envs.TwoObjectiveGrid, network: vd.ValueNetwork
) -> Callable[[jax.Array, Any, jax.Array], tuple[Any, jax.Array]]:
    """Build ``(values of the treasures, share of guided preferences, key) -> (params, curve)``."""
    learner = vd.value_learner(
        env, network, grid=PREFERENCES, grid_every=GRID_EVERY, **sizes(config)
    )

    def train(worths: jax.Array, guide: Any, key: jax.Array) -> tuple[Any, jax.Array]:
        physics = env.params._replace(worths=worths)
        hp = numbers(config, config.iterations)._replace(guide_share=guide)
        params, info = run_learner(learner, network, key, config.iterations, hp, physics)
        return params, info.grid_returns[::GRID_EVERY]

    return train


def run_learner(
    learner: Any,
    network: vd.ValueNetwork,
    key: jax.Array,
    iterations: int,
    hp: vd.ValueHyperparameters,
    physics: Any,
    *,
    shared: bool = True,
) -> tuple[Any, vd.ValueInfo]:
    """Train from new weights; the weights after it, and the metrics of all steps."""
    weights_key, start_key, run_key = jax.random.split(key, 3)
    params = vd.initial_params(weights_key, network, shared=shared)
    state = learner.init(params, start_key, physics)
    state, info = jax.lax.scan(
        lambda state, key: learner.step(key, state, hp),
        state,
        jax.random.split(run_key, iterations),
    )
    return state.params, info


def sizes(config: Config) -> dict[str, Any]:
    """Options of all learners of the grid game, of which the time limit is a part."""
    return {
        "num_envs": config.episodes,
        "updates": config.updates,
        "batch_size": config.batch,
        "capacity": 1000,
        "bootstrap": False,
    }


def numbers(config: Config, iterations: int) -> vd.ValueHyperparameters:
    """Hyperparameters of conditioned agents that learn for so many steps."""
    return vd.ValueHyperparameters(
        lr=config.lr,
        discount=1.0,
        tau=config.tau,
        epsilon_steps=config.annealing * iterations,
    )


def seeds_of(config: Config, count: int | None = None) -> jax.Array:
    """Keys of the repetitions, ``[S]``."""
    from jaxswarm import agents

    return agents.keys(jax.random.key(config.seed), config.seeds if count is None else count)


def at_preferences(found: Numbers) -> np.ndarray:
    """Returns under the eleven preferences, ``[S, 11, 2]``, of conditioned or outer-loop arms."""
    front = found["front"]
    return front[:, ::EVERY] if front.shape[1] == len(FINE_PREFERENCES) else front


__all__ = ["MO_MIX", "additive", "at_preferences", "conditioned", "outer_loop"]
