"""Buffers of levels: weights equal a numpy oracle, insertion equals inserting one by one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm.rl import curriculum
from jaxswarm.rl.curriculum import METHODS, ReplayHyperparameters

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
