"""The loop of level curricula: laws of every iteration, named methods, a training that learns."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import rl
from jaxswarm.envs import maze, swarmbench
from jaxswarm.rl import curriculum
from jaxswarm.rl.curriculum import METHODS
from tests.rl.level_worlds import ENV, SIZES, STARTING, line_levels, moved, network, random_level


def loop(hp, protected):
    """A loop of which every named method is a choice: half of its new levels are edited."""
    return curriculum.level_curriculum(
        ENV,
        network(),
        curriculum.mixed_levels(
            curriculum.edited_levels(moved, starting_set=True),
            curriculum.random_levels(random_level),
            0.5,
        ),
        num_new=2,
        protected=protected,
        replay=hp,
        hyperparameters=rl.PPOHyperparameters(lr=1e-2),
        **SIZES,
    )


def choices(ramp):
    """Replay of every named method, stacked, and whether it protects the starting set."""
    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v) for v in x]), *METHODS.values())
    protected = jnp.array([name in ("uniform", "dred", "plr") for name in METHODS])
    return stacked._replace(ramp=jnp.full(len(METHODS), ramp)), protected


@pytest.fixture(scope="module")
def trained():
    """Two seeds of every method for 40 iterations, in one program."""
    starting = line_levels(*STARTING)

    def run(hp, protected, key):
        learner = loop(hp, protected)
        params = rl.initialize(jax.random.fold_in(key, 0), network(), 1, shared=True)
        state = learner.init(params, starting)
        step = lambda state, key: learner.step(key, state)  # noqa: E731
        state, info = jax.lax.scan(step, state, jax.random.split(key, 40))
        policy = rl.policy(network(), shared=True, deterministic=True)
        tests = line_levels([0, 1, 2, 4, 5, 6])
        found = curriculum.evaluate_levels(key, ENV, policy, tests, params=state.params)
        return state.buffer, info, found

    over_seeds = jax.vmap(run, (None, None, 0))
    program = jax.jit(jax.vmap(over_seeds, (0, 0, None)))
    found = program(*choices(20), jax.random.split(jax.random.key(0), 2))
    found = jax.tree.map(np.asarray, found)
    return {name: jax.tree.map(lambda x, m=m: x[m], found) for m, name in enumerate(METHODS)}


def test_a_few_iterations_keep_what_is_protected_and_replay_what_they_may():
    """Laws that hold at every iteration; the slow tests train until levels are solved."""
    names, count = ("uniform", "domain_randomization", "dred"), 6

    @jax.jit
    def begin(hp, protected):
        params = rl.initialize(jax.random.key(0), network(), 1, shared=True)
        return loop(hp, protected).init(params, line_levels(*STARTING))

    step = jax.jit(lambda key, state, hp, protected: loop(hp, protected).step(key, state))
    every, guarded = choices(3)
    for name in names:
        m = list(METHODS).index(name)
        choice = jax.tree.map(lambda x, m=m: x[m], every), guarded[m]
        state = begin(*choice)
        for key in jax.random.split(jax.random.key(1), count):
            state, info = step(key, state, *choice)
            assert np.isfinite(info.value_loss).all(), name
            if name == "uniform":
                assert (info.index < 5).all()
            assert bool(jnp.all(info.replayed)) or name != "uniform"
            assert not bool(jnp.any(info.replayed)) or name != "domain_randomization"
        buffer = state.buffer
        assert int(buffer.clock) == count, name
        assert buffer.seen[buffer.filled].all(), name
        assert (buffer.last_seen < count).all(), name
        if name != "domain_randomization":
            np.testing.assert_array_equal(buffer.levels.goal[:5], STARTING[0], err_msg=name)
            assert float(buffer.best_return[1]) <= 0.0  # cannot be solved
            assert float(curriculum.grounded_score(buffer)[1]) == 0.0


@pytest.mark.slow
def test_every_method_learns_to_walk_to_goals(trained):
    for name, (_, info, found) in trained.items():
        assert found.shape == (2, 6, 1, 1), name
        assert float(found.mean()) > 0.8, name
        assert np.isfinite(info.value_loss).all(), name


@pytest.mark.slow
def test_the_starting_set_stays_where_it_is_protected(trained):
    for name in ("uniform", "plr", "dred"):
        kept = trained[name][0].levels.goal[:, :5]
        np.testing.assert_array_equal(kept, np.tile(STARTING[0], (2, 1)))
    assert (trained["accel"][0].levels.goal[:, :5] != np.array(STARTING[0])).any()


@pytest.mark.slow
def test_uniform_replay_draws_from_the_starting_set_and_dr_replays_nothing(trained):
    assert (trained["uniform"][1].index < 5).all()
    assert trained["uniform"][1].replayed.all()
    assert not trained["domain_randomization"][1].replayed.any()
    counts = np.bincount(np.asarray(trained["uniform"][1].index).ravel(), minlength=5)
    assert counts.min() > 0.7 * counts.max()


@pytest.mark.slow
def test_levels_that_cannot_be_solved_are_known_as_such(trained):
    for name in ("uniform", "plr", "dred"):
        buffer = trained[name][0]
        assert (buffer.best_return[:, 1] <= 0.0).all()
        assert (curriculum.grounded_score(buffer)[:, 1] == 0.0).all()
        assert (buffer.best_return[:, 0] == 1.0).all()


@pytest.mark.slow
def test_buffers_count_iterations_and_hold_what_was_played(trained):
    for buffer, *_ in trained.values():
        assert (buffer.clock == 40).all()
        assert buffer.seen[buffer.filled].all()
        assert (buffer.last_seen < 40).all()


def test_named_methods_are_choices_of_the_loop():
    edits = curriculum.edited_levels(moved, starting_set=True)
    made = {
        "uniform": (curriculum.uniform_replay(ENV, network(), **SIZES), 0),
        "dr": (curriculum.domain_randomization(ENV, network(), random_level, **SIZES), 0),
        "plr": (curriculum.plr(ENV, network(), **SIZES), 0),
        "plr, new levels": (curriculum.plr(ENV, network(), random_level, **SIZES), 0),
        "robust": (curriculum.robust_plr(ENV, network(), random_level, **SIZES), 1),
        "accel": (curriculum.accel(ENV, network(), moved, random_level, **SIZES), 1),
        "accel-d": (curriculum.accel(ENV, network(), moved, **SIZES), 1),
        "dred": (curriculum.dred(ENV, network(), edits, **SIZES), 1),
    }
    params = jax.eval_shape(lambda: rl.initialize(jax.random.key(0), network(), 1, shared=True))
    for name, (learner, new) in made.items():
        state = jax.eval_shape(learner.init, params, line_levels(*STARTING))
        after, info = jax.eval_shape(learner.step, jax.random.key(1), state)
        assert jax.tree.structure(after) == jax.tree.structure(state), name
        assert info.score.shape == (4,), name
        assert info.new_score.shape == (new,), name


def test_levels_that_end_at_once_still_reset_on_their_own_level():
    """Environments replay their own level after an episode ends, not another one's."""
    runner = rl.OnPolicyRunner(ENV, network(), 3, True)
    levels = line_levels([6, 0, 4])
    physics = jax.vmap(lambda level: curriculum.level_params(ENV, level))(levels)
    params = rl.initialize(jax.random.key(0), network(), 1, shared=True)
    state = runner.reset(jax.random.key(1), physics, per_env=True)
    state, _, _ = jax.jit(lambda s: runner.collect(jax.random.key(2), params, s, 20))(state)
    np.testing.assert_array_equal(state.env_state.params.level.goal, [6, 0, 4])


# Arenas of SwarmBench as levels.


@pytest.mark.slow
def test_dred_drives_arenas_of_swarmbench():
    """Levels may be arenas of a swarm: agents forage between start and goal of a maze level."""
    env = swarmbench.ForagingArena(2, 7, time_limit=4, as_features=True, view=3)
    network = rl.network_for(env, widths=(8,))
    arenas = maze.families.blocks(0, 4, 7)
    learner = curriculum.dred(
        env,
        network,
        curriculum.edited_levels(maze.mutate, starting_set=True),
        num_envs=2,
        num_new=2,
        num_steps=4,
        epochs=1,
        minibatches=1,
        capacity=6,
        ramp=2,
    )
    state = learner.init(rl.initialize(jax.random.key(1), network, 2, shared=True), arenas)
    step = jax.jit(learner.step)
    for number in range(3):
        state, info = step(jax.random.key(number), state)
    assert int(state.buffer.filled.sum()) == 6
    np.testing.assert_array_equal(state.buffer.levels.tiles[:4], arenas.tiles)
    assert np.isfinite(info.score).all()
