"""Deep-sea treasure: linear preferences on a known front all of whose inner points are concave.

The front is MO-Gymnasium's: ten points from (1, -1) to (124, -19), of which only the two ends are
best for a linear preference: no outer loop, however long, finds another. There is one submarine, so
nothing is mixed: the arm is MO-MIX's agent network, conditioned on a preference. Full scale adds an
outer loop of value learners, one for each of the eleven preferences, with an eleventh of the
episodes each. Half of the training's episodes begin in a random cell of the sea, since from the
surface random moves do not reach the far treasures; greedy agents are tested from the surface.
Values are divided by 124 and times by 19 for learning, which leaves convex and concave parts of the
front as they are.

Shapes: ``S`` seeds, ``W`` preferences.

References:
    P. Vamplew et al., Empirical evaluation methods for multiobjective reinforcement learning
    algorithms, 2011. L. Felten et al., A toolkit for reliable benchmarking and research in
    multi-objective reinforcement learning, 2023.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.mo_mix.config import CONDITIONED, OUTER, Config
from experiments.mo_mix.learners import jit_training, numbers, run_learner, runs_of, seeds_of
from experiments.mo_mix.worlds import FINE_PREFERENCES, PREFERENCES
from jaxswarm import envs
from jaxswarm.envs import deep_sea_treasure
from jaxswarm.envs.deep_sea_treasure import TreasureWorld
from jaxswarm.envs.environment import Outcome
from jaxswarm.rl import value_decomposition as vd

TIME_LIMIT = 24  # steps of an episode; the farthest treasure is 19 away
DISCOUNT = 0.97  # without it, moves to nowhere cost nothing under a preference for value alone
SCATTER = 0.5  # probability that an episode of training begins in a random cell
UNITS = np.array([124.0, 19.0], np.float32)
"""Sizes of value and time, by which the objectives are divided."""


class SeaParams(NamedTuple):
    """Physics: ``preference [2]`` of the scalar reward, ``scatter`` of the start."""

    preference: Any
    scatter: Any


class ScatteredTreasure(envs.DeepSeaTreasure):
    """Deep-sea treasure with objectives in units of ``UNITS`` and random starts."""

    @property
    def params(self) -> SeaParams:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Equal weights of both objectives, all starts at the surface."""
        return SeaParams(np.full(2, 0.5, np.float32), np.float32(0.0))

    def start(self, key: jax.Array, params: Any) -> TreasureWorld:
        """In the first cell of the surface or, with probability ``scatter``, in any cell."""
        depths = np.array(deep_sea_treasure.DEPTHS)
        cells = np.argwhere(np.arange(depths.max())[:, None] < depths[None])
        scatter_key, cell_key = jax.random.split(key)
        drawn = jnp.asarray(cells, jnp.int32)[jax.random.randint(cell_key, (1,), 0, len(cells))]
        scattered = jax.random.uniform(scatter_key) < params.scatter
        return TreasureWorld(jnp.where(scattered, drawn, 0), jnp.ones(1, bool))

    def advance(
        self, key: jax.Array, world: TreasureWorld, action: jax.Array, params: Any
    ) -> Outcome:
        """Move as in deep-sea treasure; both objectives in their units."""
        outcome = super().advance(key, world, action, params)
        objectives = outcome.metrics["objectives"] / jnp.asarray(UNITS)
        reward = jnp.sum(objectives * params.preference)[None]
        return outcome._replace(reward=reward, metrics={"objectives": objectives})


def learned_fronts(config: Config) -> dict[str, np.ndarray]:
    """Train a conditioned agent and, with more baselines, the outer loop at equal totals.

    Returns:
        ``{arm: front}``: value and minus time under the fine preferences ``[S, 101, 2]`` of the
        conditioned agent, under the eleven ``[S, 11, 2]`` of the outer loop.
    """
    env = ScatteredTreasure(1, TIME_LIMIT)
    make = functools.partial(vd.value_network_for, env, "additive", hidden_size=config.hidden)
    options: dict[str, Any] = {
        "num_envs": config.episodes,
        "updates": config.updates,
        "batch_size": config.batch,
        "capacity": 1000,
    }
    keys = seeds_of(config)

    def front(
        network: vd.ValueNetwork, iterations: int, tested: np.ndarray | None, runs: tuple[Any, ...]
    ) -> np.ndarray:
        learner = vd.value_learner(env, network, **options)
        draw = functools.partial(vd.initial_params, network=network)
        hp = numbers(config, iterations)._replace(discount=DISCOUNT)

        def train(preference: jax.Array, key: jax.Array) -> jax.Array:
            sea = SeaParams(preference, SCATTER)
            params, _ = run_learner(learner, draw, key, iterations, hp, sea)
            return vd.objective_returns(key, env, network, params, tested)

        program = jit_training(jax.vmap(train), config.treasure_iterations)
        return np.asarray(program(*runs)) * UNITS

    equal = jnp.full((1, 2), 0.5)  # of the scalar reward, which conditioned agents do not use
    steps = config.treasure_iterations
    found = {
        CONDITIONED: front(make(objectives=2), steps, FINE_PREFERENCES, runs_of((equal,), keys))
    }
    if config.more_baselines:
        share = steps // len(PREFERENCES)
        outer = front(make(), share, None, runs_of((jnp.asarray(PREFERENCES),), keys))
        outer = outer.reshape(len(PREFERENCES), len(keys), 2)
        found[OUTER] = outer.swapaxes(0, 1)
    return found
