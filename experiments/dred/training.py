"""Training of all arms on their curricula, in one program, with evaluations on held-out levels.

Arms differ by numbers (:class:`jaxswarm.rl.curriculum.ReplayHyperparameters`), by the levels that
they start with and by the source of new levels, so arms and seeds are ``vmap`` axes.

Shapes: ``A`` arms, ``S`` seeds, ``P`` levels of a starting set, ``C`` evaluations.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.dred.config import Config
from experiments.dred.vae import Codes, decoder
from jaxswarm import rl
from jaxswarm.envs import maze
from jaxswarm.rl import curriculum
from jaxswarm.types import Key, Params, PyTree

SOURCES = ("random", "edits and random", "edits", "edits of starting set", "VAE", "pool")
"""Sources of new levels."""

BUFFER_LEVELS = 128  # levels drawn from the final buffer, whose features are compared


class Arm(NamedTuple):
    """What distinguishes an arm, all traced.

    Attributes:
        replay: how levels are replayed.
        source: index into :data:`SOURCES`.
        given: whether it starts with the starting set; otherwise with random levels.
        protected: whether these are never evicted.
        lr: step size.
    """

    replay: curriculum.ReplayHyperparameters
    source: Any
    given: Any
    protected: Any
    lr: Any


class World(NamedTuple):
    """Levels of one seed, leaves ``[…]``; the VAE's codes of the starting set and its weights."""

    starting: maze.Level
    held_out: maze.Level
    pool: maze.Level
    other: maze.Level
    large: maze.Level
    codes: Codes
    vae: Params


LEARNING_RATES = {name: 2e-3 for name in ()}
TEMPERATURES: dict[str, float] = {}
"""Chosen by a pilot on base seed 1000, out of :data:`GRID`, by the held-out solve rate."""

GRID = {"lr": (1e-3, 3e-3), "temperature": (0.3, 1.0)}
"""Step sizes and temperatures of replay by rank that the pilot tried for every arm."""


def arm(config: Config, name: str) -> Arm:
    """The numbers of an arm by name."""
    methods = curriculum.METHODS
    own = {
        "uniform": (methods["uniform"], "pool", True, True),
        "PLR": (methods["plr"]._replace(starting_set=True), "pool", True, True),
        "DR": (methods["domain_randomization"], "random", False, False),
        "robust PLR": (methods["robust_plr"], "random", False, False),
        "ACCEL": (methods["accel"], "edits and random", False, False),
        "ACCEL-D": (methods["accel_starting_set"], "edits", True, False),
        "EL-DRED": (methods["dred"], "edits of starting set", True, True),
        "VAE-DRED": (methods["dred"], "VAE", True, True),
        "more levels": (methods["domain_randomization"], "pool", True, True),
    }
    replay, source, given, protected = own[name]
    if name not in ("uniform", "DR", "more levels"):
        replay = replay._replace(temperature=config.temperature or TEMPERATURES.get(name, 0.3))
    replay = replay._replace(ramp=config.iterations)
    lr = config.lr or LEARNING_RATES.get(name, 2e-3)
    return Arm(replay, SOURCES.index(source), given, protected, lr)


def stacked_arms(config: Config) -> Arm:
    """All arms of a configuration, leaves ``[A]``."""
    arms = [arm(config, name) for name in config.arms]
    return jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v) for v in x]), *arms)


def random_level(config: Config, key: Key) -> maze.Level:
    """A level of domain randomization: up to 60 random blocks on 13 × 13 cells, in proportion."""
    return maze.random_level(key, config.size)


def edited(key: Key, level: maze.Level) -> maze.Level:
    """A level after five random edits."""
    return maze.mutate(key, level, 5)


def generator(config: Config, world: World, source: jax.Array) -> curriculum.LevelGenerator:
    """Generator of new levels of one arm, all sources computed and one selected."""
    edits = curriculum.edited_levels(edited)
    random = curriculum.random_levels(lambda key: random_level(config, key))
    count = world.pool.tiles.shape[0]

    def from_pool(key: Key) -> maze.Level:
        index = jax.random.randint(key, (), 0, count)
        return jax.tree.map(lambda x: x[index], world.pool)

    sources = (
        random,
        curriculum.mixed_levels(edits, random, 0.8),
        edits,
        curriculum.edited_levels(edited, starting_set=True),
        curriculum.interpolated_levels(
            world.codes.mean, world.codes.std, decoder(config, world.vae)
        ),
        curriculum.random_levels(from_pool),
    )

    def generate(key: Key, replayed: PyTree, starting: PyTree) -> PyTree:
        made = [each(key, replayed, starting) for each in sources]
        return jax.tree.map(lambda *x: jnp.stack(x)[source], *made)

    return generate


def environment(config: Config, size: int) -> maze.CaveEscape:
    """The maze of a side; episodes are longer in proportion to its inner area."""
    steps = round(config.steps * ((size - 2) / (config.size - 2)) ** 2)
    return maze.CaveEscape(size=size, time_limit=steps)


class Setup(NamedTuple):
    """Environments of both sides, and actor and critic, which serve both.

    Made outside of programs, as specs are computed on the host.
    """

    env: maze.CaveEscape
    large: maze.CaveEscape
    network: rl.Network


def setup_of(config: Config) -> Setup:
    """Environments and network of a configuration."""
    env, large = environment(config, config.size), environment(config, config.large)
    widths = (config.width, config.width)
    network = rl.network_for(env, widths=widths, hidden_size=config.hidden)
    _ = env.observation_spec, env.action_spec, large.observation_spec, large.action_spec
    return Setup(env, large, network)


def train(
    key: Key, config: Config, setup: Setup, arm: Arm, world: World
) -> dict[str, jax.Array]:
    """Train one arm on the levels of one seed.

    Args:
        key: of the repetition.
        config: sizes.
        setup: of :func:`setup_of`.
        arm: its numbers.
        world: levels of the repetition.

    Returns:
        ``curve [C]``, solve rate on held-out levels; ``trained [C]``, mean share of levels solved
        in training; ``final``, returns and solve rates per set of levels; ``levels``, drawn from
        the final buffer.
    """
    env, network = setup.env, setup.network
    init_key, start_key, train_key, test_key, draw_key = jax.random.split(key, 5)
    count = world.starting.tiles.shape[0]
    random = jax.vmap(lambda k: random_level(config, k))(jax.random.split(start_key, count))
    starting = jax.tree.map(lambda x, y: jnp.where(arm.given, x, y), world.starting, random)
    learner = curriculum.level_curriculum(
        env,
        network,
        generator(config, world, arm.source),
        capacity=config.capacity,
        protected=arm.protected,
        num_envs=config.envs,
        num_new=config.new,
        num_steps=config.steps,
        epochs=config.epochs,
        minibatches=config.minibatches,
        hyperparameters=rl.PPOHyperparameters(
            lr=arm.lr,
            discount=config.discount,
            gae_lambda=config.gae_lambda,
            entropy=config.entropy,
        ),
        replay=arm.replay,
    )
    policy = rl.policy(network, shared=True)

    def returns(
        state: curriculum.CurriculumState, levels: maze.Level, env: maze.CaveEscape
    ) -> jax.Array:
        found = curriculum.evaluate_levels(test_key, env, policy, levels, params=state.params)
        return found[:, 0, 0]

    def iteration(
        state: curriculum.CurriculumState, key: Key
    ) -> tuple[curriculum.CurriculumState, jax.Array]:
        state, info = learner.step(key, state)
        return state, info.solved

    def phase(
        state: curriculum.CurriculumState, keys: jax.Array
    ) -> tuple[curriculum.CurriculumState, tuple[jax.Array, jax.Array]]:
        state, solved = jax.lax.scan(iteration, state, keys)
        test = returns(state, world.held_out, env)
        return state, (jnp.mean(test > 0.0), jnp.mean(solved))

    state = learner.init(rl.initialize(init_key, network, 1, shared=True), starting)
    keys = jax.random.split(train_key, (config.checks, config.iterations // config.checks))
    state, (curve, trained) = jax.lax.scan(phase, state, keys)
    sets = {
        "starting": (world.starting, env),
        "held_out": (world.held_out, env),
        "other": (world.other, env),
        "large": (world.large, setup.large),
    }
    final = {}
    for name, (levels, world_env) in sets.items():
        found = returns(state, levels, world_env)
        final[name] = {"return": jnp.mean(found), "solved": jnp.mean(found > 0.0)}
    levels = curriculum.replayed_levels(draw_key, state.buffer, arm.replay, BUFFER_LEVELS)
    return {"curve": curve, "trained": trained, "final": final, "levels": levels}
