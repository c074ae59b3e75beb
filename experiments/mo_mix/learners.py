"""Train teams on the grid game: conditioned agents for all preferences, and the outer loop.

Shapes: ``S`` seeds, ``I`` steps of a learner, ``W`` preferences.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.harness.compile import jit_fast_compile
from experiments.mo_mix.config import CONDITIONED_ARMS, Config
from experiments.mo_mix.worlds import EVERY, FINE_PREFERENCES, PREFERENCES, game
from jaxswarm import agents, envs
from jaxswarm.rl import value_decomposition as vd

GRID_EVERY = 12  # steps between two looks at the front
SHORT = 34  # steps of a loop that takes less time than its compilation
FADING = 0.4  # share of the steps, at the end, over which the step size falls

Numbers = dict[str, np.ndarray]


def conditioned(config: Config) -> dict[str, Numbers]:
    """Train the arms whose agents have a preference among their inputs, all in one program.

    Returns:
        For every arm ``front [S, 101, 2]``, the returns under the fine preferences;
        ``curve [S, I / 12, 11, 2]``, those under the eleven preferences in training; ``igm [S]``
        and ``regret [S]``, see :class:`jaxswarm.rl.value_decomposition.IGMReport`.
    """
    env = game()
    network = network_with_switch(config, env)
    learner = vd.value_learner(
        env, network, grid=PREFERENCES, grid_every=GRID_EVERY, **sizes(config)
    )

    def train(
        worths: jax.Array, guide: Any, adds: Any, interval: Any, key: jax.Array
    ) -> tuple[Any, jax.Array]:
        hp = numbers(config, config.iterations)._replace(
            guide_share=guide, preference_interval=interval
        )
        physics = env.params._replace(worths=worths)
        switched = lambda key: with_switch(vd.initial_params(key, network), adds)  # noqa: E731
        params, info = run_learner(learner, switched, key, config.iterations, hp, physics)
        return params, info.grid_returns[::GRID_EVERY]

    curves, guides, adds, intervals = zip(*CONDITIONED_ARMS.values(), strict=True)
    games = jnp.stack([game(2, curve).worths for curve in curves])
    chosen = (games, jnp.array(guides), jnp.array(adds, jnp.float32), jnp.array(intervals))
    keys = seeds_of(config)
    params, curve = jit_training(jax.vmap(train), config.iterations)(*runs_of(chosen, keys))

    def examine(worths: jax.Array, params: Any) -> tuple[jax.Array, vd.IGMReport]:
        physics, key = env.params._replace(worths=worths), jax.random.key(0)  # nothing is random
        front = vd.objective_returns(
            key, env, network, params, FINE_PREFERENCES, env_params=physics
        )
        report = vd.igm_violations(key, env, network, params, PREFERENCES, env_params=physics)
        return front, report

    of_runs = jnp.repeat(games, len(keys), axis=0)
    front, report = jit_fast_compile(jax.vmap(examine), level=0)(of_runs, params)
    found = {"front": front, "curve": curve, "igm": report.rate, "regret": report.regret}
    return {
        arm: {name: np.asarray(x).reshape(len(games), len(keys), *x.shape[1:])[index]
              for name, x in found.items()}
        for index, arm in enumerate(CONDITIONED_ARMS)
    }  # fmt: skip


def runs_of(arms: Any, keys: jax.Array) -> tuple[Any, ...]:
    """Pair all arms (leaves ``[A, …]``) with all seeds: leaves ``[A · S, …]``, and the keys.

    One ``vmap`` over pairs is traced and compiled in two thirds of the time of one in another.
    """
    count = len(jax.tree.leaves(arms)[0])
    repeated = jax.tree.map(lambda x: jnp.repeat(x, len(keys), axis=0), arms)
    return *repeated, jnp.tile(keys, count)


def network_with_switch(config: Config, env: envs.TwoObjectiveGrid) -> vd.ValueNetwork:
    """Conditioned agents whose mixer is monotonic or additive by a constant among its weights."""
    network = vd.value_network_for(
        env, "monotonic", objectives=2, hidden_size=config.hidden, mixer_width=config.width
    )
    mixers = network.mixer, vd.additive(env.num_agents)

    def init(key: jax.Array) -> Any:
        return {"adds": jnp.float32(0.0), "tracks": mixers[0].init(key)}

    def mix(params: Any, *given: jax.Array) -> tuple[jax.Array, jax.Array]:
        (mixed, counts), (added, _) = (mixer.mix(params["tracks"], *given) for mixer in mixers)
        return jnp.where(jax.lax.stop_gradient(params["adds"]) > 0.0, added, mixed), counts

    mixer = network.mixer._replace(init=init, mix=mix)
    return vd.value_network(
        network.num_agents,
        network.num_features,
        network.num_actions,
        mixer,
        num_objectives=2,
        hidden_size=config.hidden,
    )


def with_switch(params: Any, adds: jax.Array) -> Any:
    """Weights with a mixer that adds where ``adds`` is 1."""
    return {**params, "mixer": {**params["mixer"], "adds": adds}}


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
        params, _ = run_learner(learner, draw, key, iterations, hp, physics, fades=False)
        return vd.objective_returns(key, env, network, params)[0]

    draw = functools.partial(vd.initial_params, network=network)
    keys = seeds_of(config)
    program = jit_training(jax.vmap(train), config.iterations)
    front = program(*runs_of((jnp.asarray(preferences),), keys))
    front = np.asarray(front).reshape(len(preferences), len(keys), 2)
    return {"front": front.swapaxes(0, 1)}


def run_learner(
    learner: Any,
    draw: Callable[[jax.Array], Any],
    key: jax.Array,
    iterations: int,
    hp: vd.ValueHyperparameters,
    physics: Any,
    *,
    fades: bool = True,
) -> tuple[Any, vd.ValueInfo]:
    """Train from the weights ``draw(key)``; the weights after it, and the metrics of all steps.

    If it ``fades``, the step size falls to a twentieth over the last two fifths of the steps.
    """
    weights_key, start_key, run_key = jax.random.split(key, 3)
    state = learner.init(draw(weights_key), start_key, physics)
    left = 1.0 - jnp.arange(iterations) / iterations
    rates = hp.lr * jnp.clip(left / FADING, 0.05, 1.0) if fades else hp.lr * jnp.ones(iterations)

    def step(state: Any, given: tuple[jax.Array, jax.Array]) -> tuple[Any, vd.ValueInfo]:
        return learner.step(given[0], state, hp._replace(lr=given[1]))

    keys = jax.random.split(run_key, iterations)
    state, info = jax.lax.scan(step, state, (keys, rates))
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
    return agents.keys(jax.random.key(config.seed), config.seeds if count is None else count)


def at_preferences(found: Numbers) -> np.ndarray:
    """Returns under the eleven preferences, ``[S, 11, 2]``, of conditioned or outer-loop arms."""
    front = found["front"]
    return front[:, ::EVERY] if front.shape[1] == len(FINE_PREFERENCES) else front


def jit_training(fn: Callable[..., Any], iterations: int) -> Any:
    """Compile a training loop; not optimized if it takes less time than its compilation."""
    return jit_fast_compile(fn, level=0 if iterations < SHORT else 2, plain=True)
