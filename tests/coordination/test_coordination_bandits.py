"""Bandits: a plain numpy oracle, pooling by gossip, delayed feedback, regret."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import gossip, topology
from jaxswarm.coordination import bandits

D = 4


def data(seed, count):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, D))
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1.0)
    return x.astype(np.float32), rng.uniform(size=count).astype(np.float32)


def learnt(bandit, x, rewards, arms):
    def body(sums, row):
        return bandit.learn(sums, *row), None

    return jax.jit(lambda *rows: jax.lax.scan(body, bandit.init(), rows)[0])(x, rewards, arms)


@pytest.mark.parametrize("arms", [None, 3])
@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_linucb_equals_plain_numpy(arms, discount):
    x, r = data(0, 60)
    which = np.arange(60) % 3
    sums = learnt(bandits.linucb(D, num_arms=arms, discount=discount), x, r, which)
    here, _ = data(1, 3)
    got = bandits.linucb(D, num_arms=arms, discount=discount).score(
        jax.random.key(0), sums, here, jnp.arange(3)
    )
    for candidate in range(3):
        a, b, count = np.zeros((D, D)), np.zeros(D), 0.0
        for i in range(60):  # every observation of any arm ages all of them
            a, b, count = discount * a, discount * b, discount * count
            if arms is None or which[i] == candidate:
                a, b, count = a + np.outer(x[i], x[i]), b + r[i] * x[i], count + 1
        inverse = np.linalg.inv(a + np.eye(D))
        radius = np.sqrt(D * np.log(1 + count) + 2 * np.log(1 / 0.05)) + 1
        v = here[candidate].astype(float)
        want = v @ inverse @ b + radius * np.sqrt(v @ inverse @ v)
        assert float(got[candidate]) == pytest.approx(want, rel=1e-4)


def test_thompson_draws_from_the_posterior():
    x, r = data(0, 40)
    rule = bandits.thompson(D, scale=0.5)
    sums = learnt(rule, x, r, np.zeros(40, int))
    here, _ = data(1, 2)
    draws = jax.vmap(lambda k: rule.score(k, sums, here, jnp.zeros(2, int)))(
        jax.random.split(jax.random.key(0), 4000)
    )
    inverse = np.linalg.inv(x.T @ x + np.eye(D))
    np.testing.assert_allclose(draws.mean(0), here @ inverse @ (x.T @ r), atol=0.02)
    np.testing.assert_allclose(
        np.cov(draws.T), 0.25 * here @ inverse @ here.T, atol=0.02
    )  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2, 5, 8]))
@pytest.mark.slow
def test_fully_mixed_gossip_is_the_pooled_learner(seed, n):
    x, r = data(seed, 6 * n)
    x, r = x.reshape(6, n, D), r.reshape(6, n)
    rule = gossip.averaging(gossip.complete_mean(n))
    state = bandits.init_pooled(bandits.empty_sums(D, (n,)), rule)
    for t in range(6):
        state = state._replace(fresh=bandits.add_observation(state.fresh, x[t], r[t]))
        if t % 3 == 2:
            state, traffic = bandits.exchange_sums(
                jax.random.key(t), state, rule, gossip.Exchange(jnp.int32(t))
            )
            assert float(traffic.bytes) > 0
    theta = bandits.coefficients(bandits.effective_sums(state, n), 1.0)
    flat, rewards = x.reshape(-1, D).astype(float), r.ravel().astype(float)
    want = np.linalg.solve(flat.T @ flat + np.eye(D), flat.T @ rewards)
    np.testing.assert_allclose(theta, np.tile(want, (n, 1)), atol=1e-4)


def test_sparse_gossip_keeps_the_total_and_approaches_the_pooled_learner():
    n = 16
    x, r = data(3, n)
    rule = gossip.averaging(gossip.mixing(topology.ring(n)))
    state = bandits.init_pooled(bandits.empty_sums(D, (n,)), rule)
    state = state._replace(fresh=bandits.add_observation(state.fresh, x, r))

    def body(state, t):
        state, _ = bandits.exchange_sums(jax.random.key(0), state, rule, gossip.Exchange(t))
        return state, state.mixed.count

    state, counts = jax.lax.scan(body, state, jnp.arange(300))
    np.testing.assert_allclose(counts.sum(axis=1), n, rtol=1e-4)
    np.testing.assert_allclose(bandits.effective_sums(state, n).count, n, rtol=1e-3)
    want = np.linalg.solve(x.T @ x + np.eye(D), x.T @ r)
    theta = bandits.coefficients(bandits.effective_sums(state, n), 1.0)
    np.testing.assert_allclose(theta, np.tile(want, (n, 1)), atol=1e-3)


def test_dead_learners_keep_what_they_have_not_shared():
    rule = gossip.averaging(gossip.complete_mean(3))
    state = bandits.init_pooled(bandits.empty_sums(D, (3,)), rule)
    x, r = data(0, 3)
    state = state._replace(fresh=bandits.add_observation(state.fresh, x, r))
    there = gossip.Exchange(jnp.int32(0), alive=jnp.array([True, True, False]))
    state, _ = bandits.exchange_sums(jax.random.key(0), state, rule, there)
    np.testing.assert_allclose(state.fresh.count, [0, 0, 1])
    assert float(3 * state.mixed.count.mean()) == pytest.approx(2.0, rel=1e-5)


def test_feedback_is_learnt_once_with_the_features_of_its_dispatch():
    pending = bandits.empty_pending(2, D)
    x, _ = data(0, 3)
    for number in range(3):
        pending = bandits.add_dispatch(pending, number, x[number])
    assert int(pending.overflow) == 1
    for number, reward in ((1, 0.5), (1, 0.6), (2, 0.5), (0, 1.5), (0, jnp.nan), (-1, 0.5)):
        pending = bandits.credit_reward(pending, number, reward, 7)
    assert int(pending.refused) == 5  # credited twice, overflowed, too large, NaN, a free slot's
    pending, arrived = bandits.collect_due(pending, 6)
    assert not arrived.any()
    pending, arrived = bandits.collect_due(pending, 7)
    np.testing.assert_array_equal(arrived, [False, True])
    np.testing.assert_allclose(pending.x[1], x[1])
    pending, arrived = bandits.collect_due(pending, 8)
    assert not arrived.any()
    pending = bandits.add_dispatch(pending, 9, x[2], active=False)
    np.testing.assert_array_equal(pending.dispatch, [0, -1])


def test_linucb_regret_is_sublinear_and_random_is_linear():
    theta = jnp.array([0.5, 0.3, 0.1, 0.0])
    rule = bandits.linucb(D, radius=0.5)

    def one(key):
        def body(sums, t):
            k = jax.random.fold_in(key, t)
            x = jnp.abs(jax.random.normal(k, (5, D)))
            x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
            means, valid = x @ theta, jnp.ones(5, bool)
            at = bandits.choose(rule.score(k, sums, x, jnp.zeros(5, int)), valid)
            random = jax.random.randint(jax.random.fold_in(k, 1), (), 0, 5)
            reward = jax.random.uniform(jax.random.fold_in(k, 2)) < means[at]
            lost = jnp.stack([bandits.step_regret(means, valid, i) for i in (at, random)])
            return rule.learn(sums, x[at], reward), lost

        return jax.lax.scan(body, rule.init(), jnp.arange(2000))[1]

    lost = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 4))
    assert bandits.regret_growth(lost[..., 0]).mean() < 0.75
    assert bandits.regret_growth(lost[..., 1]).mean() == pytest.approx(1.0, abs=0.05)


def test_nobody_is_chosen_among_nobody():
    scores = jnp.array([[3.0, 1.0], [3.0, 1.0]])
    valid = jnp.array([[False, True], [False, False]])
    np.testing.assert_array_equal(bandits.choose(scores, valid), [1, bandits.NO_CANDIDATE])
    assert float(bandits.step_regret(scores[0], valid[0], jnp.int32(-1))) == 1.0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: bandits.linucb(0), "num_features"),
        (lambda: bandits.linucb(2, num_arms=0), "num_arms"),
        (lambda: bandits.linucb(2, regularization=0.0), "regularization"),
        (lambda: bandits.linucb(2, delta=1.0), "delta"),
        (lambda: bandits.linucb(2, radius=-1.0), "radius"),
        (lambda: bandits.linucb(2, discount=0.0), "discount"),
        (lambda: bandits.thompson(2, scale=float("nan")), "scale"),
        (lambda: bandits.empty_pending(0, 2), "slots"),
        (lambda: bandits.check_rewards([0.5, np.nan]), "rewards"),
        (lambda: bandits.check_rewards([1.5]), "rewards"),
        (lambda: bandits.check_features([[np.inf, 0.0]]), "features"),
        (lambda: bandits.regret_growth(np.ones((2, 50))), "regret"),
    ],
)
def test_bad_input_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def history():
    """Observations of three arms with non-negative features, and rows to ask about."""
    x, reward = data(5, 60)
    return np.abs(x), np.arange(60) % 3, reward, np.abs(data(6, 7)[0])


def test_coefficients_are_scikit_learns_ridge_regression():
    from sklearn.linear_model import Ridge

    x, arm, reward, _ = history()
    rule = bandits.linucb(D, num_arms=3, regularization=0.7)
    found = bandits.coefficients(learnt(rule, x, reward, arm), 0.7)
    for a in range(3):
        host = Ridge(alpha=0.7, fit_intercept=False).fit(x[arm == a], reward[arm == a])
        np.testing.assert_allclose(found[a], host.coef_, rtol=1e-4, atol=1e-5)


def test_scores_are_mabwisers_linucb():
    mab = pytest.importorskip("mabwiser.mab")
    x, arm, reward, ask = history()
    policy = mab.LearningPolicy.LinUCB(alpha=0.8, l2_lambda=0.7)
    host = mab.MAB([0, 1, 2], policy)
    host.fit(list(arm), list(reward), x)
    theirs = np.array([[row[a] for a in range(3)] for row in host.predict_expectations(ask)])
    rule = bandits.linucb(D, num_arms=3, regularization=0.7, radius=0.8)
    sums = learnt(rule, x, reward, arm)
    for row, want in zip(ask, theirs, strict=True):
        same = jnp.tile(jnp.asarray(row), (3, 1))
        got = rule.score(jax.random.key(0), sums, same, jnp.arange(3))
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)
