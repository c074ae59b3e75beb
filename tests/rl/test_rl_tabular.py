"""Episodic processes, exact planning, samples and critics against slow oracles."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm import rollout
from jaxswarm.rl import tabular

LINEAR = tabular.random_linear_mdp(5, 2, 3, 4, seed=3)
LOCK = tabular.combination_lock(3, 3, slip=0.2, distractor=0.1, seed=1)
TINY = tabular.random_linear_mdp(2, 2, 2, 3, seed=0)
FAMILIES = {
    "lock": LOCK,
    "river": tabular.river_swim(4, 6),
    "sea": tabular.deep_sea(4),
    "linear": LINEAR,
}


def dirichlet_policy(mdp, seed=0):
    H, S, A = mdp.reward.shape
    return jnp.asarray(np.random.default_rng(seed).dirichlet(np.ones(A), (H, S)), jnp.float32)


def by_hand(mdp, policy):
    """Values of states by a plain recursion over all successors, in float64."""
    P, r = np.asarray(mdp.transition, float), np.asarray(mdp.reward, float)
    policy = np.asarray(policy, float)

    def value(h, s):
        if h == mdp.horizon:
            return 0.0
        return sum(
            policy[h, s, a]
            * (r[h, s, a] + sum(P[h, s, a, t] * value(h + 1, t) for t in np.nonzero(P[h, s, a])[0]))
            for a in range(mdp.num_actions)
        )

    return np.array([value(0, s) for s in range(mdp.num_states)])


@pytest.mark.parametrize("name", ["lock", "linear"])
def test_values_of_a_policy_are_those_of_the_recursion(name):
    mdp = FAMILIES[name]
    policy = dirichlet_policy(mdp)
    exact = by_hand(mdp, policy)
    found = jax.jit(tabular.policy_evaluation)(mdp, policy)
    np.testing.assert_allclose(found.value[0], exact, rtol=1e-5)
    pairs = tabular.occupancy(mdp, policy)
    np.testing.assert_allclose(pairs.sum(axis=(1, 2)), 1.0, rtol=1e-5)
    assert float(jnp.sum(pairs * mdp.reward)) == pytest.approx(exact @ np.asarray(mdp.start))


def test_optimal_values_are_the_best_of_all_deterministic_policies():
    H, S, A = TINY.reward.shape
    evaluate = jax.jit(jax.vmap(tabular.policy_evaluation, (None, 0)))
    choices = np.array(list(itertools.product(range(A), repeat=H * S))).reshape(-1, H, S)
    values = evaluate(TINY, jnp.asarray(np.eye(A)[choices], jnp.float32)).value[:, 0]
    plan = tabular.value_iteration(TINY)
    np.testing.assert_allclose(plan.value[0], values.max(axis=0), rtol=1e-5)
    reached = tabular.policy_evaluation(TINY, plan.policy).value
    np.testing.assert_allclose(reached, plan.value, rtol=1e-5)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_processes_with_bellman_consistent_optima(name):
    mdp = tabular.require_mdp(FAMILIES[name])
    plan = tabular.value_iteration(mdp)
    assert np.abs(tabular.bellman_residual(mdp, plan.q)).max() < 1e-5
    policy = dirichlet_policy(mdp)
    own = tabular.policy_evaluation(mdp, policy)
    assert np.abs(tabular.bellman_residual(mdp, own.q, policy)).max() < 1e-5
    assert (own.value <= plan.value + 1e-5).all()


def test_optimal_returns_are_known():
    lock = tabular.combination_lock(6, 3, slip=0.1, distractor=0.02)
    assert float(tabular.value_iteration(lock).value[0, 0]) == pytest.approx(0.9**5)
    uniform = tabular.expected_return(lock, tabular.uniform_policy(lock))
    assert float(uniform) == pytest.approx(0.9**5 / 3**6 + 0.02 * 2 / 3, rel=1e-4)
    for size in (3, 6):
        assert float(tabular.value_iteration(tabular.deep_sea(size)).value[0, 0]) == 1.0
    river = tabular.river_swim(6, 20)
    assert float(tabular.value_iteration(river).value[0, 0]) > 10 * 20 * 0.005


def test_the_original_deep_sea_differs_by_a_constant():
    """Costs for moves to the right instead of rewards for moves to the left."""
    mdp, n = tabular.deep_sea(4, seed=2), 4
    right = np.asarray(mdp.transition).argmax(axis=3) > np.arange(n)[None, :, None]
    right[:, -1] = np.asarray(mdp.transition)[:, -1, :, -1] == 1.0
    reward = np.where(right, -0.01 / n, 0.0)
    reward[-1, -1] += np.where(right[-1, -1], 1.0, 0.0)
    difference = np.asarray(mdp.reward) - reward
    np.testing.assert_allclose(difference, 0.01 / n, atol=1e-6)


def test_a_random_linear_process_is_linear():
    flat = np.asarray(LINEAR.features).reshape(10, 4)
    assert np.linalg.matrix_rank(flat) == 4
    for rows in (LINEAR.transition, LINEAR.reward[..., None]):
        table = np.asarray(rows).reshape(3, 10, -1)
        for step in table:
            fitted = flat @ np.linalg.lstsq(flat, step, rcond=None)[0]
            np.testing.assert_allclose(fitted, step, atol=1e-5)


def test_concentrability_is_the_largest_ratio():
    policy = tabular.uniform_policy(LOCK)
    exact = 3.0**3 * 0.8**2 / 0.8**2  # the optimal policy keeps the path as the uniform one does
    assert float(tabular.concentrability(LOCK, policy)) == pytest.approx(exact, rel=1e-4)
    best = tabular.value_iteration(LOCK).policy
    assert float(tabular.concentrability(LOCK, best)) == pytest.approx(1.0)
    wrong = tabular.greedy_policy(-tabular.value_iteration(LOCK).q)
    assert float(tabular.concentrability(LOCK, wrong)) == np.inf


def test_samples_have_the_occupancy_and_the_rewards(key):
    policy = dirichlet_policy(LINEAR)
    sample = jax.jit(tabular.sample_transitions, static_argnames=("episodes", "bernoulli"))
    rows = sample(key, LINEAR, policy, episodes=20_000, bernoulli=True)
    counts = np.zeros(LINEAR.reward.shape)
    np.add.at(counts, (rows.step, rows.state, rows.action), 1.0)
    np.testing.assert_allclose(counts / 20_000, tabular.occupancy(LINEAR, policy), atol=0.015)
    assert set(np.unique(rows.reward)) <= {0.0, 1.0}
    mean = np.asarray(LINEAR.reward)[rows.step, rows.state, rows.action]
    assert float(rows.reward.mean()) == pytest.approx(mean.mean(), abs=0.01)
    likely = np.asarray(LINEAR.transition)[rows.step, rows.state, rows.action, rows.next_state]
    assert (likely > 0.0).all()
    follows = np.asarray(rows.next_state).reshape(-1, 3)[:, :-1]
    assert (follows == np.asarray(rows.state).reshape(-1, 3)[:, 1:]).all()


@pytest.fixture(scope="module")
def data():
    """Rows of a uniform policy on the linear process."""
    sample = jax.jit(tabular.sample_transitions, static_argnames="episodes")
    return sample(jax.random.key(5), LINEAR, tabular.uniform_policy(LINEAR), episodes=40)


def test_rank_one_updates_are_the_factorized_statistics(data):
    critic = tabular.least_squares_critic(LINEAR)

    def add(carry, episode):
        return critic.observe(carry, episode), None

    rows = jax.tree.map(lambda x: jnp.asarray(np.tile(x, 50)).reshape(-1, 3), data)
    run = jax.jit(lambda rows: jax.lax.scan(add, critic.init(), rows)[0])
    updated = run(rows)  # 2,000 episodes
    exact = tabular.refreshed(updated)
    np.testing.assert_allclose(updated.inverse, exact.inverse, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(updated.log_det, exact.log_det, atol=2e-3)
    flat = jax.tree.map(lambda x: x.reshape(-1), rows)
    for mine, summed in zip(updated.sums, tabular.sums_of(LINEAR, flat), strict=True):
        np.testing.assert_allclose(mine, summed, rtol=1e-3)
    precision = np.asarray(exact.sums.precision, float) + 0.01 * np.eye(4)
    np.testing.assert_allclose(exact.log_det, np.linalg.slogdet(precision)[1], rtol=1e-4)


def test_least_squares_values_are_those_of_the_regression(data):
    """One ridge regression per step in numpy, from the last step back."""
    bonus, ridge = 0.2, 0.5
    critic = tabular.least_squares_critic(LINEAR, bonus=bonus, ridge=ridge)
    found = np.asarray(critic.fit(critic.init(data), tabular.uniform_policy(LINEAR)))
    phi = np.asarray(LINEAR.features, float)
    rows = [np.asarray(x) for x in data]
    value = np.zeros(5)
    for h in (2, 1, 0):
        at = rows[0] == h
        x = phi[rows[1][at], rows[2][at]]
        y = rows[3][at] + value[rows[4][at]]
        inverse = np.linalg.inv(ridge * np.eye(4) + x.T @ x)
        radius = np.sqrt(np.einsum("sai,ij,saj->sa", phi, inverse, phi))
        q = np.clip(phi @ (inverse @ x.T @ y) + bonus * radius, 0.0, 3 - h)
        np.testing.assert_allclose(found[h], q, atol=2e-4)
        value = q.max(axis=1)


@pytest.mark.parametrize("on_policy", [False, True])
def test_a_table_is_least_squares_with_a_feature_for_each_pair(key, on_policy):
    policy = dirichlet_policy(LOCK)
    sample = jax.jit(tabular.sample_transitions, static_argnames="episodes")
    rows = sample(key, LOCK, policy, episodes=30)
    options = {"bonus": 0.4, "ridge": 0.3, "on_policy": on_policy}
    table = tabular.table_critic(LOCK, **options)
    least = tabular.least_squares_critic(LOCK, **options)

    def both(rows):
        counts, sums = table.init(rows), least.init(rows)
        values = table.fit(counts, policy)
        return (
            (values, table.potential(counts), table.gap(values, counts)),
            (least.fit(sums, policy), least.potential(sums), least.gap(values, sums)),
        )

    for mine, other in zip(*jax.jit(both)(rows), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)


def squared_loss(f, g, rows, h):
    """``L_h(f, g)`` by a loop over the data."""
    total = 0.0
    for step, s, a, r, t in zip(*(np.asarray(x) for x in rows), strict=True):
        if step == h:
            following = g[h + 1, t].max() if h + 1 < len(g) else 0.0
            total += (f[h, s, a] - r - following) ** 2
    return total


def test_excess_losses_are_those_of_a_loop(data):
    rng = np.random.default_rng(0)
    tables = rng.uniform(0.0, 2.0, (5, *LINEAR.reward.shape))
    found = tabular.excess_losses(jnp.asarray(tables, jnp.float32), tabular.counts_of(LINEAR, data))
    for f, h in itertools.product(range(5), range(3)):
        losses = [squared_loss(other, tables[f], data, h) for other in tables]
        assert float(found[f, h]) == pytest.approx(losses[f] - min(losses), abs=1e-2)
    critic = tabular.finite_class_critic(LINEAR, tables, radius=1e9)
    np.testing.assert_allclose(
        critic.gap(jnp.asarray(tables[2], jnp.float32), critic.init(data)), found[2], atol=1e-2
    )


def test_the_version_space_of_a_linear_class_is_the_ellipsoid(data):
    """The excess loss over all linear functions is the distance in the norm of the precision.

    A class of the current weights, the regression's and others near it: its minimum is the
    regression's, so that exact membership and the elliptical closed form agree.
    """
    rng = np.random.default_rng(1)
    ridge, phi = 1e-4, np.asarray(LINEAR.features, float)
    critic = tabular.least_squares_critic(LINEAR, bonus=0.0, ridge=ridge)
    statistics = critic.init(data)
    weights = rng.uniform(0.0, 0.5, (3, 4))
    member = phi @ weights.T  # [S, A, H]
    member = jnp.asarray(np.moveaxis(member, 2, 0), jnp.float32)
    value = np.concatenate([np.asarray(member).max(axis=2)[1:], np.zeros((1, 5))])
    fitted = np.stack(
        [
            np.asarray(statistics.inverse[h], float)
            @ np.asarray(statistics.sums.rewards[h] + statistics.sums.nexts[h] @ value[h], float)
            for h in range(3)
        ]
    )
    best = jnp.asarray(np.einsum("sad,hd->hsa", phi, fitted), jnp.float32)
    tables = jnp.stack([member, best, 0.9 * best, best + 0.1])
    excess = tabular.excess_losses(tables, tabular.counts_of(LINEAR, data))[0]
    off = weights - fitted
    ellipse = np.einsum("hi,hij,hj->h", off, np.asarray(statistics.sums.precision, float), off)
    np.testing.assert_allclose(excess, ellipse, rtol=2e-3)
    np.testing.assert_allclose(critic.gap(member, statistics), ellipse, rtol=2e-3)
    for radius in (0.9, 1.1):
        inside = tabular.version_space(
            tables, tabular.counts_of(LINEAR, data), radius * ellipse.max()
        )
        assert bool(inside[0]) == (radius > 1.0)


def test_the_optimistic_member_of_the_ellipsoid_is_the_bonus(data):
    """Largest value of the last step over many weights on the ellipsoid, and the closed form."""
    beta, phi = 0.5, np.asarray(LINEAR.features, float)
    rng = np.random.default_rng(2)
    plain, optimistic = (
        tabular.least_squares_critic(LINEAR, bonus=b, ridge=1.0) for b in (0.0, beta)
    )
    statistics = plain.init(data)
    policy = tabular.uniform_policy(LINEAR)
    inverse = np.asarray(statistics.inverse[-1], float)
    weights = inverse @ np.asarray(statistics.sums.rewards[-1], float)
    directions = rng.normal(size=(200_000, 4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    sampled = weights + beta * directions @ np.linalg.cholesky(inverse).T
    largest = (sampled @ phi.reshape(-1, 4).T).max(axis=0).reshape(5, 2)
    closed = np.asarray(optimistic.fit(statistics, policy))[-1]
    np.testing.assert_allclose(np.clip(largest, 0.0, 1.0), closed, atol=0.01)


def test_the_finite_class_critic_is_optimistic_and_exact(data):
    best = tabular.value_iteration(LINEAR).q
    tables = jnp.stack([best, jnp.full_like(best, 3.0), 0.2 * best])
    critic = tabular.finite_class_critic(LINEAR, tables, radius=5.0)
    policy = tabular.uniform_policy(LINEAR)
    assert (critic.fit(critic.init(), policy) == 3.0).all()  # nothing is excluded yet
    np.testing.assert_array_equal(critic.fit(critic.init(data), policy), best)
    empty = tabular.finite_class_critic(LINEAR, tables[1:], radius=0.0)
    assert np.isfinite(empty.fit(empty.init(data), policy)).all()


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.integers(1, 30), st.floats(0.05, 5.0))
def test_log_determinants_cannot_grow_faster_than_the_bound(seed, episodes, ridge):
    """``log det ≤ d log(ridge + T / d)`` for features of norm at most 1."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(episodes, 3))
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1.0)
    precision = ridge * np.eye(3) + x.T @ x
    assert np.linalg.slogdet(precision)[1] <= 3 * np.log(ridge + episodes / 3) + 1e-9


def test_lsvi_ucb_opens_a_lock_once_compiled():
    traced = []

    def step(key, state, inputs):
        traced.append(1)
        return learner.step(key, state, inputs)

    learner = tabular.lsvi_ucb(tabular.combination_lock(4, 3, distractor=0.05))
    run = jax.jit(lambda key: rollout(step, learner.init(), 300, key=key)[1].info)
    info = jax.vmap(run)(jax.random.split(jax.random.key(0), 3))
    assert float(info.regret[:, -50:].max()) < 1e-4
    assert float(info.regret[:, 0].min()) > 0.5
    assert len(traced) <= 3


NAN = float("nan")
MDP = tabular.combination_lock(2, 2)
ROWS = tabular.Transitions([0, 1], [0, 0], [1, 0], [0.0, 1.0], [0, 1])
UNIFORM = tabular.uniform_policy(MDP)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: tabular.episodic_mdp(MDP.transition, 2.0 * MDP.reward + 1.0), "reward"),
        (lambda: tabular.episodic_mdp(0.5 * MDP.transition, MDP.reward), "transition: .* sum to 1"),
        (lambda: tabular.episodic_mdp(MDP.transition[:, :1], MDP.reward), "transition"),
        (lambda: tabular.episodic_mdp(MDP.transition, MDP.reward[0]), "reward"),
        (lambda: tabular.episodic_mdp(MDP.transition, MDP.reward, [0.4, 0.4]), "start"),
        (
            lambda: tabular.episodic_mdp(*MDP[:3], features=np.full((2, 2, 2), 0.9)),
            "features: .* at most 1",
        ),
        (lambda: tabular.episodic_mdp(*MDP[:3], features=np.ones((2, 2, 0))), "features"),
        (lambda: tabular.require_mdp(MDP._replace(reward=MDP.reward + 1.0)), "mdp.reward"),
        (lambda: tabular.require_mdp(3), "mdp"),
        (lambda: tabular.check_policy(MDP, 0.4 * UNIFORM), "policy: .* sum to 1"),
        (lambda: tabular.check_policy(MDP, UNIFORM[:1]), "policy"),
        (
            lambda: tabular.sums_of(MDP, ROWS._replace(step=[0, 2])),
            r"rows.step: .* \[0, 1\], got 2",
        ),
        (lambda: tabular.sums_of(MDP, ROWS._replace(step=None)), "rows.step"),
        (lambda: tabular.sums_of(MDP, ROWS._replace(step=[0.5, 1])), "rows.step"),
        (lambda: tabular.counts_of(MDP, ROWS._replace(step=[-1, 0])), "rows.step"),
        (lambda: tabular.counts_of(MDP, ROWS._replace(reward=[0.0, 1.5])), "rows.reward"),
        (lambda: tabular.counts_of(MDP, ROWS._replace(action=[0])), "rows.action"),
        (lambda: tabular.counts_of(MDP, tuple(ROWS)), "rows"),
        (
            lambda: tabular.statistics(
                tabular.sums_of(MDP)._replace(precision=-np.tile(np.eye(4), (2, 1, 1))), 0.5
            ),
            "positive definite, got a smallest eigenvalue of -0.5",
        ),
        (
            lambda: tabular.statistics(
                tabular.sums_of(MDP)._replace(
                    precision=np.tile(np.triu(np.ones((4, 4))), (2, 1, 1))
                )
            ),
            "symmetric",
        ),
        (lambda: tabular.statistics(tabular.sums_of(MDP), 0.0), "ridge"),
        (lambda: tabular.least_squares_critic(MDP, bonus=-1.0), "bonus"),
        (lambda: tabular.least_squares_critic(MDP, ridge=0.0), "ridge"),
        (lambda: tabular.least_squares_critic(MDP, max_return=0.5), "max_return: .* 1, got 0.5"),
        (lambda: tabular.table_critic(MDP, bonus=NAN), "bonus"),
        (lambda: tabular.table_critic(MDP, on_policy=2), "on_policy"),
        (lambda: tabular.finite_class_critic(MDP, np.full((1, 2, 2, 2), 3.0), 1.0), "tables"),
        (lambda: tabular.finite_class_critic(MDP, np.ones((1, 2, 2, 2)), -1.0), "radius"),
        (lambda: tabular.finite_class_critic(MDP, np.ones((0, 2, 2, 2)), 1.0), "tables"),
        (lambda: tabular.version_space(np.ones((1, 2, 2, 2)), ROWS, 1.0), "data"),
        (lambda: tabular.combination_lock(2, 2, code=[0, 2]), "code"),
        (lambda: tabular.random_linear_mdp(2, 2, 2, 5), "num_features"),
        (lambda: tabular.greedy_policy([]), "q"),
    ],
)
def test_bad_input_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
