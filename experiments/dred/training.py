"""Training of all arms on their curricula, in one program, with evaluations on held-out levels.

Arms differ by numbers (:class:`jaxswarm.rl.curriculum.ReplayHyperparameters`), by the levels that
they start with and by the source of new levels, so arms and seeds are ``vmap`` axes.

Shapes: ``A`` arms, ``S`` seeds, ``P`` levels of a starting set, ``C`` evaluations.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.dred.config import Config
from experiments.dred.generative import decoder, level_vae
from experiments.dred.probe import level_probe
from jaxswarm import rl
from jaxswarm.envs import maze
from jaxswarm.models import vae
from jaxswarm.rl import curriculum
from jaxswarm.types import Key, Params, PyTree

RANDOM, EDITS_AND_RANDOM, EDITS, EDITS_OF_STARTING, VAE, POOL = range(6)
"""Sources of new levels."""

EDIT_SHARE = 0.8  # share of ACCEL's new levels that are edits of replayed ones

BUFFER_LEVELS = 128  # levels drawn from the final buffer, whose features are compared


class Arm(NamedTuple):
    """What distinguishes an arm, all traced.

    Attributes:
        replay: how levels are replayed.
        source: of new levels, :data:`RANDOM` to :data:`POOL`.
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
    """Levels of one seed, batches each.

    Attributes:
        starting: the starting set, ``[P]``.
        random: as many random levels, with which arms begin that do not get the starting set.
        pool: further levels of the families, for the oracle.
        tests: starting set, held-out levels and levels of other families, one after another.
        large: larger levels of the families.
        weights: of the VAE.
        codes: its posteriors of the starting set.
    """

    starting: maze.Level
    random: maze.Level
    pool: maze.Level
    tests: maze.Level
    large: maze.Level
    weights: Params
    codes: vae.Posterior


GRID = {"lr": (1e-3, 3e-3), "temperature": (0.3, 1.0)}
"""Step sizes and temperatures of replay by rank that a pilot tried for every arm."""

CHOSEN = {
    "uniform": (3e-3, 1.0),
    "PLR": (1e-3, 0.3),
    "DR": (1e-3, 1.0),
    "robust PLR": (1e-3, 0.3),
    "ACCEL": (3e-3, 0.3),
    "ACCEL-D": (1e-3, 1.0),
    "EL-DRED": (1e-3, 1.0),
    "VAE-DRED": (1e-3, 1.0),
    "more levels": (1e-3, 1.0),
}
"""Step size and temperature of every arm, chosen by the solve rate on held-out levels of the pilot,
whose two seeds (base seed 1000) have levels of their own. Uniform draws have no temperature."""


def arm(config: Config, name: str) -> Arm:
    """The numbers of an arm by name."""
    methods = curriculum.METHODS
    own = {
        "uniform": (methods["uniform"], POOL, True, True),
        "PLR": (methods["plr"]._replace(starting_set=True), POOL, True, True),
        "DR": (methods["domain_randomization"], RANDOM, False, False),
        "robust PLR": (methods["robust_plr"], RANDOM, False, False),
        "ACCEL": (methods["accel"], EDITS_AND_RANDOM, False, False),
        "ACCEL-D": (methods["accel_starting_set"], EDITS, True, False),
        "EL-DRED": (methods["dred"], EDITS_OF_STARTING, True, True),
        "VAE-DRED": (methods["dred"], VAE, True, True),
        "more levels": (methods["domain_randomization"], POOL, True, True),
    }
    replay, source, given, protected = own[name]
    if name not in ("uniform", "DR", "more levels"):
        replay = replay._replace(temperature=config.temperature or CHOSEN[name][1])
    replay = replay._replace(ramp=config.iterations)
    lr = config.lr or CHOSEN[name][0]
    return Arm(replay, source, given, protected, lr)


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


def generator(config: Config, setup: "Setup", world: World, arm: Arm) -> curriculum.LevelGenerator:
    """Generator of new levels of one arm: all kinds are made, and its own selected."""
    count = world.pool.tiles.shape[0]
    between = curriculum.interpolated_levels(
        world.codes.mean, world.codes.std, decoder(setup.vae, world.weights)
    )

    def one(key: Key, parent: maze.Level) -> maze.Level:
        choice_key, random_key, edit_key, pool_key = jax.random.split(key, 4)
        random, edits = random_level(config, random_key), edited(edit_key, parent)
        mixed = jax.random.bernoulli(choice_key, EDIT_SHARE)
        is_random = (arm.source == RANDOM) | ((arm.source == EDITS_AND_RANDOM) & ~mixed)
        index = jax.random.randint(pool_key, (), 0, count)
        pooled = jax.tree.map(lambda x: x[index], world.pool)
        return select(is_random, random, select(arm.source == POOL, pooled, edits))

    def generate(key: Key, replayed: PyTree, starting: PyTree) -> PyTree:
        keys = jax.random.split(key, replayed.tiles.shape[0])
        parents = select(arm.source == EDITS_OF_STARTING, starting, replayed)
        made = between(jax.random.fold_in(key, 1), replayed, starting)
        return select(arm.source == VAE, made, jax.vmap(one)(keys, parents))

    return generate


def select(condition: jax.Array, one: PyTree, other: PyTree) -> PyTree:
    """``one`` if ``condition: bool[]``, else ``other``."""
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), one, other)


def environment(config: Config, size: int) -> maze.CaveEscape:
    """The maze of a side; episodes are longer in proportion to its inner area."""
    steps = round(config.steps * ((size - 2) / (config.size - 2)) ** 2)
    return maze.CaveEscape(size=size, time_limit=steps)


class Setup(NamedTuple):
    """Environments of both sides; actor and critic, which serve both; the VAE of levels.

    Made outside of programs, as specs are computed on the host.
    """

    env: maze.CaveEscape
    large: maze.CaveEscape
    network: rl.Network
    vae: maze.LevelVAE


def setup_of(config: Config) -> Setup:
    """Environments and network of a configuration."""
    env, large = environment(config, config.size), environment(config, config.large)
    network = rl.network_for(env, widths=config.widths, hidden_size=config.hidden)
    _ = env.observation_spec, env.action_spec, large.observation_spec, large.action_spec
    return Setup(env, large, network, level_vae(config))


def train(key: Key, config: Config, setup: Setup, arm: Arm, world: World) -> dict[str, jax.Array]:
    """Train one arm on the levels of one seed.

    Args:
        key: of the repetition.
        config: sizes.
        setup: of :func:`setup_of`.
        arm: its numbers.
        world: levels of the repetition.

    Returns:
        ``return`` and ``solved``, ``[C, L]`` of all test levels after each phase of training;
        ``trained [C]``, mean share of levels solved in training; ``large``, returns ``[L]`` on
        larger levels; ``levels``, drawn from the final buffer by the weights of replay;
        ``information`` and ``recognized``, see :func:`experiments.dred.probe.level_probe`.
    """
    env, network = setup.env, setup.network
    init_key, train_key, test_key, draw_key = jax.random.split(key, 4)
    learner = curriculum.level_curriculum(
        env,
        network,
        generator(config, setup, world, arm),
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

    def returns(params: Params, levels: maze.Level, env: maze.CaveEscape) -> jax.Array:
        found = curriculum.evaluate_levels(test_key, env, policy, levels, params=params)
        return found[:, 0, 0]

    def iteration(
        state: curriculum.CurriculumState, key: Key
    ) -> tuple[curriculum.CurriculumState, jax.Array]:
        state, info = learner.step(key, state, None)
        return state, info.solved

    def phase(
        state: curriculum.CurriculumState, keys: jax.Array
    ) -> tuple[curriculum.CurriculumState, tuple[jax.Array, jax.Array]]:
        state, solved = jax.lax.scan(iteration, state, keys)
        return state, (returns(state.params, world.tests, env), jnp.mean(solved))

    starting = select(arm.given, world.starting, world.random)
    state = learner.init(rl.initialize(init_key, network, 1, shared=True), starting)
    keys = jax.random.split(train_key, (config.checks, config.iterations // config.checks))
    state, (found, trained) = jax.lax.scan(phase, state, keys)
    levels = curriculum.replayed_levels(draw_key, state.buffer, arm.replay, BUFFER_LEVELS)
    large = returns(state.params, world.large, setup.large)
    probed = level_probe(
        jax.random.fold_in(key, 1), config, env, network, state.params, world.starting
    )
    return {
        "return": found,
        "trained": trained,
        "large": large,
        "levels": levels,
        "information": probed.information,
        "recognized": probed.accuracy,
    }
