"""Level curricula: weights equal a numpy oracle, insertion equals inserting one by one, laws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import rl
from jaxswarm.envs import maze, swarmbench
from jaxswarm.rl import curriculum
from jaxswarm.rl.curriculum import METHODS, ReplayHyperparameters
from tests.rl.level_worlds import Line, LineLevel, line_levels

INF = np.inf


# Weights.


def ranked(score, support, temperature):
    """Numpy oracle of the rank transform: ranks among the support, ties by slot."""
    inside = np.flatnonzero(support)
    order = inside[np.argsort(-score[inside], kind="stable")]
    weights = np.zeros(len(score))
    weights[order] = (1.0 / np.arange(1, len(order) + 1)) ** (1.0 / temperature)
    return weights / max(weights.sum(), 1e-300)


def proportional(score, support, temperature):
    weights = np.where(support & (score > 0), np.maximum(score, 0.0), 0.0).astype(float)
    weights = np.where(weights > 0, weights ** (1.0 / temperature), 0.0)
    if weights.sum() == 0:
        weights = support.astype(float)
    return weights / max(weights.sum(), 1e-300)


def oracle(buffer, hp):
    """Replay weights of a buffer whose levels have all been played, in numpy."""
    buffer = jax.tree.map(np.asarray, buffer)
    support = buffer.filled & (buffer.protected | (not hp.starting_set))
    grounded = np.where(buffer.best_return > 0, buffer.score, 0.0)
    transform = proportional if hp.proportional else ranked
    primary = transform(grounded if hp.grounded else buffer.score, support, hp.temperature)
    second = ranked(grounded, buffer.filled, hp.second_temperature)
    share = hp.second_share * min(buffer.clock / hp.ramp, 1.0)
    age = np.where(support, buffer.clock - buffer.last_seen, 0).astype(float)
    stale = age / age.sum() if age.sum() else support / max(support.sum(), 1)
    weights = (1 - hp.staleness) * ((1 - share) * primary + share * second) + hp.staleness * stale
    return weights / weights.sum() if weights.sum() else buffer.filled / buffer.filled.sum()


def filled_buffer(seed, capacity=12, count=9, starting=5):
    """A buffer in the middle of training: ties, unsolved levels, empty slots."""
    draw = np.random.default_rng(seed)
    buffer = curriculum.level_buffer({"id": np.arange(starting)}, capacity)
    filled = np.arange(capacity) < count
    return buffer._replace(
        score=jnp.asarray(draw.integers(0, 4, capacity) / 4.0, jnp.float32),
        best_return=jnp.asarray(draw.choice([-INF, 0.0, 0.5, 1.0], capacity), jnp.float32),
        last_seen=jnp.asarray(draw.integers(0, 7, capacity), jnp.int32),
        filled=jnp.asarray(filled),
        seen=jnp.asarray(filled),
        clock=jnp.int32(7),
    )


@functools.cache
def _weights():
    return jax.jit(curriculum.replay_weights)


def weights(buffer, hp):
    return _weights()(buffer, jax.tree.map(lambda x: np.asarray(x, np.result_type(x)), hp))


CHOICES = {
    **{name: hp._replace(ramp=10) for name, hp in METHODS.items()},
    "proportional": ReplayHyperparameters(proportional=True, temperature=0.7),
    "grounded": ReplayHyperparameters(grounded=True, temperature=1.0, staleness=0.0),
    "ramp over": METHODS["dred"]._replace(ramp=2),
    "no staleness": METHODS["dred"]._replace(ramp=14, staleness=0.0),
    "all stale": ReplayHyperparameters(staleness=1.0),
}


@pytest.mark.parametrize("name", CHOICES)
def test_replay_weights_equal_numpy(name):
    for seed in range(5):
        buffer = filled_buffer(seed)
        np.testing.assert_allclose(
            weights(buffer, CHOICES[name]), oracle(buffer, CHOICES[name]), atol=1e-6
        )


def test_levels_never_solved_rank_last_but_keep_mass():
    hp = METHODS["dred"]._replace(ramp=1, staleness=0.0)
    buffer = filled_buffer(3)._replace(score=jnp.ones(12), clock=jnp.int32(1))
    solved = np.asarray(buffer.filled & (buffer.best_return > 0))
    found = np.asarray(weights(buffer, hp))
    unsolved = np.asarray(buffer.filled) & ~solved
    assert unsolved.any()
    assert solved.any()
    assert found[unsolved].min() > 0.0
    assert found[unsolved].max() < found[solved].min()


def test_weights_fall_back_to_uniform_over_filled_slots():
    buffer = filled_buffer(0)._replace(protected=jnp.zeros(12, bool))
    hp = ReplayHyperparameters(starting_set=True)  # no slot is in its support
    np.testing.assert_allclose(weights(buffer, hp), buffer.filled / 9.0)
    zero = filled_buffer(0)._replace(score=jnp.zeros(12))
    hp = ReplayHyperparameters(proportional=True, staleness=0.0)
    np.testing.assert_allclose(weights(zero, hp), buffer.filled / 9.0)


def test_levels_that_were_not_played_come_first():
    buffer = curriculum.level_buffer({"id": np.arange(6)}, 8)
    update = jax.jit(curriculum.update_levels)
    buffer = update(buffer, np.arange(4), np.full(4, 9.0), best_return=np.ones(4))
    draw = jax.jit(lambda key: curriculum.sample_levels(key, buffer, METHODS["plr"], 2))
    found = draw(jax.random.key(0))
    assert sorted(found.tolist()) == [4, 5]


def test_samples_are_distinct_filled_and_follow_the_weights():
    buffer, hp = filled_buffer(1), ReplayHyperparameters(temperature=1.0)
    keys = jax.random.split(jax.random.key(0), 4000)
    draw = jax.jit(jax.vmap(lambda k: curriculum.sample_levels(k, buffer, hp, 9)))
    found = np.asarray(draw(keys))
    assert (np.sort(found, axis=1) == np.arange(9)).all()  # all filled ones, each once
    first = np.bincount(found[:, 0], minlength=12) / len(found)
    np.testing.assert_allclose(first, oracle(buffer, hp), atol=0.03)


# Insertion and updates.


def one_by_one(buffer, new, grounded):
    """Insert each new level, best first, in place of the lowest score that is not protected."""
    rows = {k: np.array(getattr(buffer, k)) for k in ("score", "best_return", "filled")}
    ids, protected = np.array(buffer.levels["id"]), np.asarray(buffer.protected)
    value = lambda score, best: np.where(grounded & ~(best > 0), 0.0, score)  # noqa: E731
    for k in np.argsort(-value(new["score"], new["best"]), kind="stable"):
        held = np.where(rows["filled"], value(rows["score"], rows["best_return"]), -INF)
        worst = int(np.argmin(np.where(protected, INF, held)))
        if new["valid"][k] and not protected[worst]:
            if value(new["score"], new["best"])[k] > held[worst]:
                ids[worst] = new["id"][k]
                rows["score"][worst], rows["best_return"][worst] = new["score"][k], new["best"][k]
                rows["filled"][worst] = True
    return ids, rows


@pytest.mark.parametrize("grounded", [False, True])
def test_insertion_equals_inserting_one_by_one(grounded):
    insert = jax.jit(curriculum.insert_levels)
    for seed in range(8):
        draw = np.random.default_rng(100 + seed)
        buffer = filled_buffer(seed)
        score = draw.permutation(20)[:6].astype(np.float32) / 10.0 - 0.3
        new = {"id": 100 + np.arange(6), "score": score, "valid": draw.random(6) < 0.7}
        new["best"] = draw.choice([-INF, 0.0, 1.0], 6).astype(np.float32)
        found = insert(
            buffer,
            {"id": new["id"]},
            new["score"],
            best_return=new["best"],
            valid=new["valid"],
            grounded=grounded,
        )
        ids, rows = one_by_one(buffer, new, grounded)
        filled = rows["filled"]
        np.testing.assert_array_equal(found.filled, filled)
        # Of equal grounded scores the slots may differ, the levels may not.
        both = zip(*(np.asarray(x)[filled] for x in (found.levels["id"], found.score)), strict=True)
        assert sorted(both) == sorted(zip(ids[filled], rows["score"][filled], strict=True))
        np.testing.assert_array_equal(found.levels["id"][:5], np.arange(5))


def test_an_update_counts_valid_entries_only_and_keeps_the_best_return():
    buffer = filled_buffer(2)._replace(best_return=jnp.full(12, 0.5))
    index, valid = jnp.array([1, 3]), jnp.array([True, False])
    after = curriculum.update_levels(
        buffer, index, jnp.array([8.0, 9.0]), best_return=jnp.array([0.2, 0.9]), valid=valid
    )
    expected = np.asarray(buffer.score).copy()
    expected[1] = 8.0
    np.testing.assert_array_equal(after.score, expected)
    np.testing.assert_array_equal(after.best_return, buffer.best_return)  # 0.2 < 0.5
    assert int(after.last_seen[1]) == 7


# Scores and generators.


def test_scores_equal_their_definitions():
    draw = np.random.default_rng(0)
    shape = (5, 3, 2)
    advantage, value = draw.normal(size=shape), draw.normal(size=shape)
    mask = draw.random(shape) < 0.8
    mean = lambda x: (x * mask).sum((0, 2)) / mask.sum((0, 2))  # noqa: E731
    best = draw.normal(size=3)
    spoiled = np.where(mask, advantage, np.nan)
    np.testing.assert_allclose(curriculum.value_l1(spoiled, mask), mean(abs(advantage)), rtol=1e-5)
    np.testing.assert_allclose(
        curriculum.positive_value_loss(spoiled, mask), mean(np.maximum(advantage, 0)), rtol=1e-5
    )
    np.testing.assert_allclose(
        curriculum.max_monte_carlo(value, best, mask),
        mean(best[None, :, None] - value),
        rtol=1e-4,
        atol=1e-6,
    )
    assert curriculum.regret(jnp.array([1.0, 0.0]), jnp.array([0.25, 0.5])).tolist() == [0.75, 0.0]


@pytest.mark.slow
def test_interpolated_levels_lie_between_two_different_levels():
    mean = np.eye(4, dtype=np.float32)
    generate = curriculum.interpolated_levels(mean, 0.0 * mean, lambda key, z: {"z": z})
    parents = {"z": jnp.zeros((64, 4))}
    z = np.asarray(generate(jax.random.key(0), parents, parents)["z"])
    assert z.shape == (64, 4)
    assert ((z > 1e-5).sum(1) <= 2).all()
    assert ((z > 1e-5).sum(1) == 2).any()


# The loop.

ENV = Line()
SIZES = {"num_envs": 4, "num_steps": 12, "epochs": 2, "minibatches": 1, "capacity": 8}
STARTING = ([6, 5, 0, 1, 4], (1,))  # the second level cannot be solved


@functools.cache
def network():
    return rl.network_for(ENV, widths=(16,))


def random_level(key):
    goal = jax.random.randint(key, (), 0, 6)
    return LineLevel(jnp.where(goal == 3, 6, goal), jnp.zeros((), bool))


def moved(key, level):
    return level._replace(goal=jnp.clip(level.goal + 1, 4, 6))


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


# Bad input.

BUFFER = functools.cache(lambda: curriculum.level_buffer(line_levels([1, 2]), 3))


def learner(**options):
    return curriculum.level_curriculum(ENV, network(), **{**SIZES, **options})


REFUSED = {
    "empty starting set": (
        lambda: curriculum.level_buffer(line_levels([]), 4),
        "levels.*at least one level",
    ),
    "mixed lengths": (
        lambda: curriculum.level_buffer({"a": np.zeros(3), "b": np.zeros(2)}, 4),
        r"levels: expected leaves of the same length, got \[2, 3\]",
    ),
    "no arrays": (lambda: curriculum.level_buffer((), 4), "levels: expected stacked levels"),
    "small buffer": (
        lambda: curriculum.level_buffer(line_levels([1, 2, 4]), 2),
        "capacity: expected at least 3, the starting set, got 2",
    ),
    "temperature": (
        lambda: curriculum.replay_weights(BUFFER(), ReplayHyperparameters(temperature=0.0)),
        "temperature: expected",
    ),
    "second temperature": (
        lambda: curriculum.replay_weights(BUFFER(), ReplayHyperparameters(second_temperature=-1.0)),
        "second_temperature: expected",
    ),
    "coefficient": (
        lambda: curriculum.replay_weights(BUFFER(), ReplayHyperparameters(second_share=1.5)),
        "second_share: expected",
    ),
    "staleness": (lambda: learner(replay=ReplayHyperparameters(staleness=-0.1)), "staleness"),
    "replay": (lambda: learner(replay=ReplayHyperparameters(replay=2.0)), "replay: expected"),
    "score": (lambda: learner(replay=ReplayHyperparameters(score=4)), "score: expected"),
    "ramp": (lambda: learner(replay=ReplayHyperparameters(ramp=0)), "ramp: expected"),
    "kind": (lambda: learner(replay={"temperature": 1.0}), "replay: expected"),
    "rank temperature": (
        lambda: curriculum.rank_weights(np.zeros(2), np.ones(2, bool), 0.0),
        "temperature: expected",
    ),
    "rank support": (
        lambda: curriculum.rank_weights(np.zeros(2), np.ones(3, bool), 1.0),
        "support",
    ),
    "other size": (
        lambda: curriculum.insert_levels(
            curriculum.level_buffer({"map": np.zeros((2, 5, 5))}, 3),
            {"map": np.zeros((2, 7, 7))},
            np.zeros(2),
            best_return=np.zeros(2),
        ),
        r"levels\['map'\]: expected the size \(5, 5\) of the other levels, got \(7, 7\)",
    ),
    "nan score": (
        lambda: curriculum.update_levels(BUFFER(), [0], [np.nan], best_return=[0.0]),
        "score: expected",
    ),
    "more than held": (
        lambda: curriculum.sample_levels(jax.random.key(0), BUFFER(), METHODS["plr"], 3),
        r"count: expected a whole number in \[1, 2\], got 3",
    ),
    "one level to interpolate": (
        lambda: curriculum.interpolated_levels(np.zeros((1, 3)), np.ones((1, 3)), lambda k, z: z),
        "mean: expected at least two levels",
    ),
    "negative deviation": (
        lambda: curriculum.interpolated_levels(np.zeros((2, 3)), -np.ones((2, 3)), print),
        "std: expected",
    ),
    "few levels": (
        lambda: learner().init(
            rl.initialize(jax.random.key(0), network(), 1, shared=True), line_levels([1, 2])
        ),
        "levels: expected at least num_envs = 4 in the starting set, got 2",
    ),
    "no generator": (lambda: learner(num_new=1), "generator: expected one"),
    "no level": (
        lambda: curriculum.level_params(ENV, {"goal": 3}),
        "level: expected",
    ),
    "no environment": (lambda: curriculum.with_levels(3, 0, print), "env: expected"),
    "share": (lambda: curriculum.mixed_levels(print, print, 1.5), "share: expected"),
    "mutate": (lambda: curriculum.edited_levels(3), "mutate: expected"),
    "sample": (lambda: curriculum.random_levels(None), "sample: expected"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_refused_by_name(name):
    call, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()
