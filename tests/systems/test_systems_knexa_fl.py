"""KNEXA-FL's matchmaker: matchings, profiles, features and LinUCB against slow references."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize
import scipy.spatial.distance

from jaxswarm.coordination import bandits
from jaxswarm.systems import knexa_fl

N, K = 6, 3
RNG = np.random.default_rng(0)


@jax.jit
def greedy(scores, active):
    return knexa_fl.greedy_matching(scores, K, active)


def slow_greedy(scores, num_pairs, active):
    """Sort all directed pairs once and go through them."""
    n = len(scores)
    order = sorted(
        ((i, j) for i in range(n) for j in range(n) if i != j),
        key=lambda p: (-np.nan_to_num(scores[p], nan=-np.inf), p),
    )
    used, taken = set(np.flatnonzero(~active).tolist()), []
    for pair in order:
        if len(taken) < num_pairs and not used & set(pair):
            used |= set(pair)
            taken.append(pair)
    return taken


def as_list(pairs):
    rows = zip(pairs.teachers.tolist(), pairs.students.tolist(), pairs.valid.tolist(), strict=True)
    return [(t, s) for t, s, valid in rows if valid]


def matchings(n, num_pairs):
    """All sets of disjoint directed pairs."""
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    for chosen in itertools.combinations(pairs, num_pairs):
        if len(set(sum(chosen, ()))) == 2 * num_pairs:
            yield chosen


def test_greedy_matching_equals_a_slow_one_with_ties_nan_and_absent_agents():
    for trial in range(20):
        scores = RNG.integers(0, 4, (N, N)).astype(np.float32)
        if trial % 2:
            scores[RNG.random((N, N)) < 0.3] = np.nan
        active = RNG.random(N) < 0.8
        pairs = greedy(scores, active)
        assert as_list(pairs) == slow_greedy(scores, K, active)
        assert (np.asarray(pairs.teachers)[~np.asarray(pairs.valid)] == -1).all()


def test_greedy_matching_lies_between_half_the_optimum_and_scipys_bound():
    for num_pairs in (2, K):
        values = RNG.random((N, N))
        best = max(sum(values[p] for p in chosen) for chosen in matchings(N, num_pairs))
        optimal = knexa_fl.optimal_matching(values, num_pairs)
        taken = float(knexa_fl.matching_value(values, knexa_fl.greedy_matching(values, num_pairs)))
        np.testing.assert_allclose(knexa_fl.matching_value(values, optimal), best, rtol=1e-6)
        assert len(set(sum(as_list(optimal), ()))) == 2 * num_pairs
        assert best / 2 <= taken <= best + 1e-6
        # Each agent at most once a teacher and once a student: a relaxation of disjoint pairs.
        weights = np.where(np.eye(N, dtype=bool), 0.0, values)
        rows, columns = scipy.optimize.linear_sum_assignment(weights, maximize=True)
        assert best <= np.sort(weights[rows, columns])[-2 * num_pairs :].sum() + 1e-9


def test_optimal_matching_takes_as_many_pairs_as_asked_even_if_values_are_negative():
    values = -1.0 - RNG.random((5, 5))
    best = max(sum(values[p] for p in chosen) for chosen in matchings(5, 2))
    pairs = knexa_fl.optimal_matching(values, 2)
    np.testing.assert_allclose(knexa_fl.matching_value(values, pairs), best, rtol=1e-6)


def test_random_matchings_use_all_directed_pairs_alike():
    keys = jax.random.split(jax.random.key(0), 2000)
    pairs = jax.jit(jax.vmap(lambda key: knexa_fl.random_matching(key, 4, 2)))(keys)
    counts = np.zeros((4, 4))
    np.add.at(counts, (np.ravel(pairs.teachers), np.ravel(pairs.students)), 1)
    np.testing.assert_allclose(counts[~np.eye(4, dtype=bool)] / 2000, 1 / 6, atol=0.03)
    assert (np.diag(counts) == 0).all()


def profiles(n=N, seed=0):
    keys = jax.random.split(jax.random.key(seed), 2)
    histogram = jax.random.dirichlet(keys[0], jnp.ones(12), (n,))
    scores = jax.random.uniform(keys[1], (n, 12))
    return knexa_fl.make_profiles(np.arange(n) % 8, scores, histogram)


def test_profiles_are_joined_and_split():
    made = profiles()
    parts = knexa_fl.split_profiles(made)
    np.testing.assert_array_equal(jnp.concatenate(parts, axis=1), made)
    np.testing.assert_array_equal(parts.family.argmax(1), np.arange(N))
    np.testing.assert_array_equal(knexa_fl.check_profiles(made, N), made)


def test_js_divergence_equals_scipys():
    p, q = RNG.dirichlet(np.full(12, 0.1), (2, 5))
    want = [scipy.spatial.distance.jensenshannon(a, b, 2) ** 2 for a, b in zip(p, q, strict=True)]
    np.testing.assert_allclose(knexa_fl.js_divergence(p, q), want, atol=1e-5)
    assert float(knexa_fl.js_divergence([1.0, 0.0], [1.0, 0.0])) == 0.0


def test_concatenated_profiles_cannot_tell_perfect_matchings_apart():
    x = np.asarray(knexa_fl.pair_features("concat", profiles()), np.float64)
    theta = np.tile(RNG.normal(size=32), 2)  # roles are symmetric
    totals = [sum(x[p] @ theta for p in chosen) for chosen in itertools.islice(matchings(N, K), 90)]
    np.testing.assert_allclose(totals, totals[0], atol=1e-5)


def test_pair_terms():
    made = profiles()
    parts = knexa_fl.split_profiles(made)
    history = knexa_fl.History(
        jnp.zeros((N, N)).at[1, 2].set(-3.0), jnp.zeros((N, N)).at[1, 2].set(2)
    )
    x = knexa_fl.pair_features("pairwise", made, history)
    assert x.shape == (N, N, knexa_fl.NUM_FEATURES["pairwise"])
    np.testing.assert_array_equal(x[..., :64], knexa_fl.pair_features("concat", made))
    gap = parts.scores[1] - parts.scores[2]
    divergence = knexa_fl.js_divergence(parts.histogram[1], parts.histogram[2])
    above = jnp.maximum(gap, 0).mean()
    want = [1.0, divergence, 0.0, gap.mean(), above, divergence * above, -1.5, 1 / np.sqrt(3)]
    np.testing.assert_allclose(x[1, 2, 64:], want, rtol=1e-5)
    np.testing.assert_allclose(x[2, 1, 64 + 6 :], [0.0, 1.0])


def test_matchmaker_equals_a_slow_reference():
    d, beta0, ridge = 4, 0.7, 0.5
    maker = knexa_fl.matchmaker(N, d, num_pairs=K, beta0=beta0, regularization=ridge)
    step = jax.jit(maker.choose)
    feedback = jax.jit(maker.feedback)
    state = maker.init()
    precision, moment, rewards = ridge * np.eye(d), np.zeros(d), []
    for t in range(1, 6):
        x = RNG.normal(size=(N, N, d))
        state, pairs = step(jax.random.key(t), state, x.astype(np.float32))
        inverse = np.linalg.inv(precision)
        width = np.sqrt(np.einsum("ijd,de,ije->ij", x, inverse, x))
        scores = x @ inverse @ moment + beta0 / np.sqrt(t) * width
        assert as_list(pairs) == slow_greedy(scores, K, np.ones(N, bool))
        got = RNG.normal(2.0, 3.0, K)
        state = feedback(state, pairs, got.astype(np.float32))
        for pair, reward in zip(as_list(pairs), got, strict=True):
            rewards.append(reward)
            z = (reward - np.mean(rewards)) / (np.std(rewards) + 1e-6)
            precision += np.outer(x[pair], x[pair])
            moment += z * x[pair]
    np.testing.assert_allclose(state.sums.moment, moment, atol=1e-3)
    np.testing.assert_allclose(state.sums.gram + ridge * np.eye(d), precision, rtol=1e-4, atol=1e-4)
    assert int(state.round) == 5
    assert int(state.history.count.sum()) == 15
    assert int(state.pending.refused) == int(state.skipped) == 0


@pytest.fixture(scope="module")
def dispatched():
    maker = knexa_fl.matchmaker(N, 2, num_pairs=K, normalize=False)
    state, pairs = maker.choose(jax.random.key(0), maker.init(), jnp.ones((N, N, 2)))
    return maker, state, pairs


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_a_reward_that_is_not_finite_is_skipped_and_counted(dispatched, bad):
    maker, state, pairs = dispatched
    with_it = maker.feedback(state, pairs, jnp.array([0.5, bad, 1.0]))
    valid = pairs.valid.at[1].set(False)
    without = maker.feedback(state, pairs._replace(valid=valid), jnp.array([0.5, 9.0, 1.0]))
    assert int(with_it.skipped) == 1
    for name in ("sums", "history", "moments"):
        for a, b in zip(getattr(with_it, name), getattr(without, name), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="no reward yet"):  # it is used up all the same
        maker.feedback(with_it, pairs, jnp.ones(K))


def test_feedback_twice_or_for_other_pairs_is_refused_and_counted_when_traced(dispatched):
    maker, state, pairs = dispatched
    once = maker.feedback(state, pairs, jnp.ones(K))
    swapped = pairs._replace(teachers=pairs.students, students=pairs.teachers)
    double = jax.tree.map(lambda x: x[jnp.zeros(2, int)], pairs)
    for where, given in ((once, pairs), (state, swapped), (state, double)):
        with pytest.raises(ValueError, match="pairs: expected dispatched pairs that have no rew"):
            maker.feedback(where, given, jnp.ones(len(given.valid)))
    again = jax.jit(maker.feedback)(once, pairs, jnp.full(K, 7.0))
    assert int(again.pending.refused) == K
    np.testing.assert_array_equal(again.sums.moment, once.sums.moment)
    later, _ = maker.choose(jax.random.key(1), state, jnp.ones((N, N, 2)))
    assert (later.pending.dispatch >= K).all()  # dispatches of the earlier round are dropped
    myself = pairs._replace(students=pairs.teachers)
    with pytest.raises(ValueError, match="pairs: expected two different agents"):
        maker.feedback(state, myself, jnp.ones(K))


def test_statistics_from_outside_are_checked():
    maker = knexa_fl.matchmaker(4, 2, num_pairs=2, regularization=0.5)
    good = bandits.empty_sums(2)
    assert float(maker.init(good).sums.count) == 0
    for gram, message in (
        ([[1.0, 2.0], [0.0, 1.0]], "symmetric"),
        ([[1.0, 2.0], [2.0, 1.0]], "positive definite"),
        ([[np.nan, 0.0], [0.0, 1.0]], "sums: gram"),
    ):
        with pytest.raises(ValueError, match=message):
            maker.init(good._replace(gram=jnp.array(gram)))
    with pytest.raises(ValueError, match="sums"):
        maker.init(bandits.empty_sums(3))


def test_another_bandit_takes_the_place_of_linucb():
    maker = knexa_fl.matchmaker(4, 3, num_pairs=2, bandit=bandits.thompson(3))
    x = jax.random.normal(jax.random.key(0), (4, 4, 3))
    _, pairs = maker.choose(jax.random.key(1), maker.init(), x)
    assert len(set(sum(as_list(pairs), ()))) == 4
    with pytest.raises(ValueError, match="bandit: expected shared arms of 3 features"):
        knexa_fl.matchmaker(4, 3, num_pairs=2, bandit=bandits.linucb(3, num_arms=2))


def test_it_learns_which_pairs_are_worth_most():
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (N, N, 4))
    x = x.at[..., 3].set(1.0)  # z-scores need a constant
    means = x @ jnp.array([1.0, -1.0, 0.5, 2.0])
    maker = knexa_fl.matchmaker(N, 4, num_pairs=K)

    def step(state, index):
        key = jax.random.fold_in(keys[1], index)
        state, pairs = maker.choose(key, state, x)
        noise = 0.1 * jax.random.normal(key, (K,))
        state = maker.feedback(state, pairs, means[pairs.teachers, pairs.students] + noise)
        return state, knexa_fl.matching_value(means, pairs)

    values = jax.jit(lambda: jax.lax.scan(step, maker.init(), jnp.arange(30))[1])()
    best = knexa_fl.matching_value(means, knexa_fl.greedy_matching(means, K))
    np.testing.assert_allclose(values[-5:].mean(), best, atol=0.2)
    assert float(values[-5:].mean()) >= float(values[:3].mean())
