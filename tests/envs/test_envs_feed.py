"""Feeds: rates and tails are those of the physics, users that left stay out, and a bandit loses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from jaxswarm import data, envs
from jaxswarm.envs import feed
from tests.later import Later

N = 4000
NAMES = feed.RESPONSES


def log_of(users=300, items=80, rows=12000, noise=0.3, seed=0):
    """A log whose watch times have two factors, and its expected log watch times."""
    rng = np.random.default_rng(seed)
    u, i = rng.integers(0, users, rows), rng.integers(0, items, rows)
    taste, topics = rng.standard_normal((users, 2)), rng.standard_normal((items, 2))
    sticky = 0.4 * rng.standard_normal(items)
    effect = 0.5 * taste @ topics.T + sticky
    times = np.exp(effect[u, i] + noise * rng.standard_normal(rows) + 0.7)
    rewards = {"watch": times, "like": (rng.random(rows) < 0.1).astype(float)}
    u[:users] = np.arange(users)  # all of them, in order
    times[:users] = np.exp(effect[u[:users], i[:users]] + 0.7)
    return data.interactions(u, i, rewards, propensity=np.full(rows, 1 / items)), effect


def test_factors_of_a_log_are_recovered():
    log, effect = log_of()
    env = envs.FeedEnv.from_log(log, watch="watch", num_factors=2, num_agents=8)
    user = env.params.user
    match = user.tastes @ user.items[:, :2].T / np.sqrt(2)
    fitted = user.sticky_slope * user.items[:, 2] + 0.5 * match  # tastes keep no norm
    assert np.corrcoef(fitted.ravel(), effect.ravel())[0, 1] > 0.9
    assert user.watch_noise == pytest.approx(0.3, rel=0.15)
    assert user.sticky_slope == pytest.approx((effect.mean(axis=0)).std(), rel=0.15)
    own = effect - effect.mean(axis=0)
    assert user.match_slope == pytest.approx(np.sqrt(np.mean(own.var(axis=1))), rel=0.15)
    assert user.watch == pytest.approx(np.exp(0.7 + 0.5 * (effect.var() + 0.09)), rel=0.25)
    assert env.params.rates[1] == pytest.approx(0.1, abs=0.02)
    assert env.params.rates[0] == pytest.approx(0.377)
    np.testing.assert_allclose(user.items[:, :2].T @ user.items[:, :2] / 80, np.eye(2), atol=1e-4)
    state, _ = jax.eval_shape(env.reset, jax.random.key(0))
    assert state.world.slate.shape == (8, 8)


SIZES = {"num_agents": N, "num_candidates": 4, "num_factors": 4}


@functools.cache
def feed_of():
    """The environment and its compiled functions; ``reset`` takes physics in all tests."""
    env = envs.FeedEnv(**SIZES)
    return env, jax.jit(env.reset), jax.jit(env.step), jax.jit(env.expected_rewards)


def physics(env, **changes):
    """The default physics with fields of the environment or of the user model changed."""
    params = env.params
    own = {k: v for k, v in changes.items() if k in params._fields}
    user = {k: v for k, v in changes.items() if k not in own}
    params = params._replace(**own, user=params.user._replace(**user))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), params)


@pytest.fixture(scope="module")
def session():
    """States and rewards of the first candidate for ``N`` users over some steps."""
    env, reset, step, _ = feed_of()
    state, _ = reset(jax.random.key(0), physics(env))
    states, rewards = [state], []
    for _ in range(12):
        state, timestep = step(state, jnp.zeros(N, jnp.int32))
        states.append(state)
        rewards.append(np.asarray(timestep.extras["rewards"]))
    return states, np.stack(rewards)


def test_rates_of_fresh_users_are_those_of_the_physics():
    """The mean of the expected responses over users, dispositions and the whole catalogue."""
    env, reset, _, expected_rewards = feed_of()
    sums = []
    for seed in range(4):
        state, _ = reset(jax.random.key(seed), physics(env))
        means = expected_rewards(state.world, state.params)
        sums.append(np.asarray(means).mean(axis=(0, 1)))
    mean = np.mean(sums, axis=0)
    np.testing.assert_allclose(mean[0], env.params.user.watch, rtol=0.05)
    np.testing.assert_allclose(mean[1:] * feed.environment.SIGNS, env.params.rates, rtol=0.15)
    assert env.params.rates[0] / env.params.rates[-1] > 700  # about three decades


def test_a_response_s_probability_is_the_closed_form():
    env, reset, _, expected_rewards = feed_of()
    state, _ = reset(jax.random.key(1), physics(env))
    world, p = state.world, env.params
    means = np.asarray(expected_rewards(world, state.params))
    items = p.user.items[np.asarray(world.slate[:50])]
    taste = np.asarray(world.users.taste[:50])
    match = np.einsum("nkd,nd->nk", items[..., :4], taste) / 2.0  # √4, no satiation yet
    for j in range(5):
        loads = [getattr(p, f"{x}_loadings")[j] for x in ("match", "sticky", "appeal", "user")]
        own = np.asarray(world.disposition[:50, j, None])
        causes = (match, items[..., 4], items[..., 5 + j], own)
        effect = sum(a * b for a, b in zip(causes, loads, strict=True))
        spread = np.sqrt(1.0 + np.sum(np.square(loads)))
        wanted = norm.cdf(norm.ppf(p.rates[j]) * spread + effect)
        np.testing.assert_allclose(np.abs(means[:50, :, j + 1]), wanted, rtol=2e-3, atol=1e-7)
    effect = 0.5 * match + 0.4 * items[..., 4]
    np.testing.assert_allclose(means[:50, :, 0], np.exp(effect - 0.205), rtol=1e-4)


def test_responses_happen_as_often_as_expected():
    env, reset, step, expected_rewards = feed_of()
    rates = np.full(5, 0.3, np.float32)
    state, _ = reset(jax.random.key(2), physics(env, rates=rates))
    expected = np.asarray(expected_rewards(state.world, state.params))[:, 0]
    _, timestep = step(state, jnp.zeros(N, jnp.int32))
    drawn = np.asarray(timestep.extras["rewards"])
    assert set(np.unique(drawn[:, 1:5])) == {0.0, 1.0}
    assert set(np.unique(drawn[:, 5])) == {-1.0, 0.0}
    for j in range(1, 6):
        error = np.sqrt(np.mean(np.abs(expected[:, j]) * (1.0 - np.abs(expected[:, j]))) / N)
        assert abs(drawn[:, j].mean() - expected[:, j].mean()) < 4.0 * error


def test_watch_times_are_log_normal_with_a_heavy_tail(session):
    states, rewards = session
    expected = np.asarray(feed_of()[-1](states[0].world, states[0].params))[:, 0, 0]
    z = (np.log(rewards[0][:, 0] / expected) + 0.72) / 1.2
    assert abs(z.mean()) < 0.07
    assert abs(z.std() - 1.0) < 0.05
    ratio = np.sort(rewards[0][:, 0] / expected)[::-1]
    top = ratio[: N // 100].sum() / ratio.sum()  # Φ(σ − z) of the total; 4.6 % if exponential...
    assert 0.75 < top / norm.cdf(1.2 - norm.ppf(0.99)) < 1.3
    assert top > 0.09  # ... (1 + ln 100) / 100 = 5.6 %


def test_hates_and_comments_conflict_with_watch_time():
    """Candidates best for the watch time are hated more, and commented less, than others."""
    env, reset, _, expected_rewards = feed_of()
    state, _ = reset(jax.random.key(3), physics(env))
    means = np.asarray(expected_rewards(state.world, state.params))
    best = {
        name: means[np.arange(N), means[..., j].argmax(axis=1)].mean(axis=0)
        for j, name in enumerate(NAMES)
    }
    hates = {name: -value[5] for name, value in best.items()}
    assert hates["watch"] > 2.0 * hates["hate"]
    assert best["watch"][0] > 1.3 * best["hate"][0]
    assert best["comment"][3] > 1.5 * best["watch"][3]
    flat = physics(env, sticky_loadings=np.zeros(5), match_loadings=np.zeros(5))
    means = np.asarray(expected_rewards(state.world, flat))
    watched = means[np.arange(N), means[..., 0].argmax(axis=1)].mean(axis=0)
    assert abs(watched[5] / means[..., 5].mean() - 1.0) < 0.15  # no conflict without loadings


def test_a_user_that_left_stays_out(session):
    states, rewards = session
    present = np.stack([np.asarray(s.world.users.patience > 0) for s in states])
    assert not (~present[:-1] & present[1:]).any()
    assert 0.05 < present[-1].mean() < 0.95
    assert (rewards[~present[:-1]] == 0.0).all()
    assert (rewards[present[:-1], 0] > 0.0).all()
    gone = ~present[-2]
    for before, after in zip(
        jax.tree.leaves(states[-2].world), jax.tree.leaves(states[-1].world), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(before)[gone], np.asarray(after)[gone])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["feed", "live"])
def test_permuting_the_users_permutes_their_sessions(kind):
    """Noise included: a user's random stream is its own, so no user depends on the others."""
    env, reset, step = (feed_of() if kind == "feed" else live_of())[:3]
    state, _ = reset(jax.random.key(6), physics(env))
    order = np.roll(np.arange(env.num_agents), 7)
    action = jnp.asarray(np.arange(env.num_agents) % 2, jnp.int32)
    moved = state._replace(world=jax.tree.map(lambda leaf: leaf[order], state.world))
    for _ in range(2):
        state, timestep = step(state, action)
        moved, then = step(moved, action[order])
    np.testing.assert_array_equal(timestep.extras["rewards"][order], then.extras["rewards"])
    for one, two in zip(jax.tree.leaves(state.world), jax.tree.leaves(moved.world), strict=True):
        np.testing.assert_array_equal(np.asarray(one)[order], two)


def test_better_matches_keep_users_longer_and_boredom_takes_it_back():
    env, reset, step, best = feed_of()

    def stay(params):
        """Users present, and mean match, when the best match of four is shown in every step."""
        state, _ = reset(jax.random.key(4), params)
        for _ in range(8):
            means = best(state.world, state.params)
            state, _ = step(state, jnp.argmax(means[..., 0], axis=1).astype(jnp.int32))
        return float(env.agent_mask(state.world).mean())

    fresh, bored = stay(physics(env, boredom=0.0)), stay(physics(env, boredom=2.0))
    state, _ = reset(jax.random.key(4), physics(env, boredom=0.0))
    for _ in range(8):
        state, _ = step(state, jnp.zeros(N, jnp.int32))
    arbitrary = float(env.agent_mask(state.world).mean())
    assert fresh > arbitrary + 0.1
    assert fresh > bored + 0.05


def test_a_preference_vector_shows_the_candidate_with_the_largest_inner_product(key):
    indexed, reset, step, _ = feed_of()
    env = envs.FeedEnv(**SIZES, actions="preference")
    assert env.action_spec.shape == (N, 10)

    def watch(vector):
        timestep = env.step(state, vector)[1]
        return jnp.sum(timestep.reward), timestep.extras["rewards"]

    by_vector = jax.jit(jax.value_and_grad(watch, has_aux=True))
    state, first = reset(key, physics(indexed))
    vector = jax.random.normal(key, (N, 10))
    scores = np.einsum("nkd,nd->nk", first.observation.candidates, vector)
    _, same = step(state, jnp.asarray(scores.argmax(axis=1), jnp.int32))
    (_, rewards), gradient = by_vector(vector)
    np.testing.assert_allclose(rewards, same.extras["rewards"], rtol=1e-4)
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient).sum(axis=1) > 0).mean() > 0.99
    (_, broken), gradient = by_vector(vector.at[2, 0].set(jnp.nan).at[3].set(0.0))
    assert (broken[2] == 0.0).all()
    np.testing.assert_array_equal(broken[4:], rewards[4:])
    assert np.isfinite(gradient).all()


def test_the_scalar_reward_is_the_weighted_vector(key):
    env, reset, step, _ = feed_of()
    weights = np.array([0.0, 1.0, 2.0, 0.0, 0.0, 3.0], np.float32)
    state, _ = reset(key, physics(env, weights=weights, rates=np.full(5, 0.4, np.float32)))
    _, timestep = step(state, jnp.zeros(N, jnp.int32))
    np.testing.assert_allclose(timestep.reward, timestep.extras["rewards"] @ weights, rtol=1e-5)


def test_tastes_can_be_drawn_from_a_pool(key):
    pool = np.array([[3.0, 0.0], [0.0, -5.0]], np.float32)
    params = physics(envs.FeedEnv(200, num_factors=2), tastes=pool).user
    people = jax.jit(feed.users.start, static_argnums=1)(key, 200, params)
    found = np.unique(np.round(np.asarray(people.taste), 3), axis=0)
    np.testing.assert_allclose(found, np.sqrt(2) * np.array([[0, -1], [1, 0]]), atol=1e-3)


@functools.cache
def live_of():
    env = envs.LiveFeedEnv(num_agents=LIVES, num_factors=4)
    return env, jax.jit(env.reset), jax.jit(env.step)


LIVES = 1000
POLICIES = ("always", "myopic", "never", "patient", "seen")


@pytest.fixture(scope="module")
def lives():
    """Totals per user of each policy (short, live), and days stayed.

    All know the latent affinity, but ``seen``, which acts on the observation alone.
    """
    env, _, _ = live_of()

    @jax.jit
    @jax.vmap
    def total(policy):
        def one(state, _):
            affinity = env.affinity(state.world, state.params)
            means = jnp.sum(env.expected_rewards(state.world, state.params), axis=2)
            myopic = means[:, 1] > means[:, 0]
            seen = env.observe(state.world, state.params, state.step_count)
            suits = jnp.sum(seen.profile[:, :4] * seen.stream[:, :4], axis=1) / 2.0
            guess = jnp.sqrt(0.5) * (seen.profile[:, 4] + suits)
            choices = jnp.stack(
                [jnp.ones_like(myopic), myopic, ~jnp.ones_like(myopic), affinity > 1, guess > 1.1]
            )
            state, timestep = env.step(state, choices[policy].astype(jnp.int32))
            return state, timestep.extras["rewards"]

        state, _ = env.reset(jax.random.key(5))
        state, rewards = jax.lax.scan(one, state, None, env.time_limit)
        return jnp.sum(rewards, axis=0), state.world.day, state.world.left

    rewards, day, left = total(jnp.arange(5))
    assert np.asarray(left).all()
    return dict(zip(POLICIES, np.asarray(rewards), strict=True)), np.asarray(day)


@pytest.mark.slow
def test_the_best_bandit_loses_to_a_patient_policy(lives):
    """It knows all expected rewards and takes the largest in every request."""
    totals, _ = lives
    usage = {name: value.sum(axis=1) for name, value in totals.items()}
    error = np.std(usage["patient"] - usage["myopic"]) / np.sqrt(LIVES)
    assert usage["patient"].mean() > usage["myopic"].mean() + 10.0 * error
    assert usage["patient"].mean() > 1.2 * usage["never"].mean()
    assert usage["myopic"].mean() < 0.9 * usage["never"].mean()  # violates the usage constraint
    error = np.std(usage["seen"] - usage["myopic"]) / np.sqrt(LIVES)
    assert usage["seen"].mean() > usage["myopic"].mean() + 10.0 * error
    assert usage["seen"].mean() > 1.05 * usage["never"].mean()
    live = {name: value[:, 1].mean() for name, value in totals.items()}
    assert live["patient"] > 1.1 * live["myopic"] > 0.0
    assert live["patient"] > 1.1 * live["always"]
    assert live["never"] == 0.0


def test_interruptions_raise_churn_later(lives):
    _, days = lives
    always, myopic, never, patient = days.mean(axis=1)[:4]
    assert always < myopic < patient < never + 0.2
    assert abs(never - np.sum(0.95 ** np.arange(10))) < 0.3


def test_without_interruption_costs_there_is_no_strain(key):
    env, reset, step = live_of()
    state, _ = reset(key, physics(env, interruption=0.0))
    for _ in range(3):
        state, _ = step(state, jnp.ones(LIVES, jnp.int32))
    assert not np.asarray(state.world.strain).any()
    churn = jax.jit(env.churn_probability)(state.world, state.params)
    np.testing.assert_allclose(churn, 0.05, rtol=1e-4)


def test_groups_differ_in_noise_and_activity(key):
    env, reset, step = live_of()
    state, _ = reset(key, physics(env))
    expected = jax.jit(env.expected_rewards)(state.world, state.params)[:, 1, 1]
    group = np.asarray(state.world.group)
    patience = [float(state.world.users.patience[group == g].mean()) for g in range(4)]
    np.testing.assert_allclose(patience, 5.0 * env.params.activity, rtol=0.15)
    _, timestep = step(state, jnp.ones(LIVES, jnp.int32))
    factor = np.asarray(timestep.extras["rewards"][:, 1] / expected)
    for g, sigma in enumerate(env.params.live_noise):
        assert abs(np.log(factor[group == g]).std() / sigma - 1.0) < 0.15
    quiet, loud = factor[group == 0], factor[group == 3]
    assert np.median(loud) < 0.35 < 0.7 < np.median(quiet)  # most about 0, few large


def test_a_night_rests_the_user_and_the_days_end(key):
    env, reset, step = live_of()
    state, _ = reset(key, physics(env, churn=0.0, patience=1e6))
    world = state.world
    late = jnp.where(jnp.arange(LIVES) < 10, 9, 0)  # the last of ten days
    state = state._replace(world=world._replace(day=late, request=world.request + 14))
    state, timestep = step(state, jnp.zeros(LIVES, jnp.int32))
    assert not np.asarray(timestep.extras["night"]).any()
    assert np.asarray(state.world.users.fatigue).all()
    state, timestep = step(state, jnp.zeros(LIVES, jnp.int32))  # the sixteenth request
    assert np.asarray(timestep.extras["night"]).all()
    assert not np.asarray(state.world.users.fatigue).any()
    assert not np.asarray(state.world.request).any()
    mask = np.asarray(timestep.observation.agent_mask)
    np.testing.assert_array_equal(mask, np.arange(LIVES) >= 10)
    np.testing.assert_array_equal(timestep.discount, mask.astype(np.float32))
    state, timestep = step(state, jnp.ones(LIVES, jnp.int32))
    assert not np.asarray(timestep.extras["rewards"])[:10].any()


def fit(**changes):
    log = data.interactions([0, 0, 1], [0, 1, 1], {"w": [1.0, 2.0, 0.5]}, propensity=[0.5] * 3)
    return envs.FeedEnv.from_log(**({"log": log} | changes))


VECTORS = Later(
    lambda: data.interactions([0, 1], [[0.5], [1.0]], [1.0, 2.0], propensity=[0.5, 0.5])
)
NEGATIVE = Later(lambda: data.interactions([0, 1], [0, 1], [1.0, -2.0], propensity=[0.5, 0.5]))
FEED = Later(lambda: envs.FeedEnv(2))
LIVE = Later(lambda: envs.LiveFeedEnv(2))
BAD = {
    "actions": (lambda: envs.FeedEnv(actions="slate"), "actions"),
    "no candidate": (lambda: envs.FeedEnv(num_candidates=0), "num_candidates"),
    "items": (lambda: envs.FeedEnv(num_items=1), "num_items"),
    "groups": (lambda: envs.LiveFeedEnv(num_groups=0), "num_groups"),
    "log": (lambda: fit(log=3), "log: expected"),
    "vectors": (lambda: fit(log=VECTORS.value), "log: expected actions that are items"),
    "negative": (lambda: fit(log=NEGATIVE.value), "watch"),
    "name": (lambda: fit(watch="play"), r"watch: expected one of \['w'\]"),
    "column": (lambda: fit(watch=1), "watch: expected an index"),
    "floor": (lambda: fit(floor=0.0), "floor"),
    "ridge": (lambda: fit(ridge=0.0), "ridge"),
    "number of items": (lambda: fit(num_items=5), "num_items"),
    "rates": (lambda: reset(FEED.value, rates=np.full(5, 1.5)), "params.rates"),
    "rates' number": (lambda: reset(FEED.value, rates=np.full(4, 0.5)), "params.rates"),
    "weights": (lambda: reset(FEED.value, weights=np.full(6, np.nan)), "params.weights"),
    "temperature": (lambda: reset(FEED.value, temperature=0.0), "params.temperature"),
    "noise": (lambda: reset(FEED.value, watch_noise=-1.0), "params.user.watch_noise"),
    "patience": (lambda: reset(LIVE.value, patience=0.0), "params.user.patience"),
    "catalogue": (lambda: reset(FEED.value, items=np.zeros((5, 3))), "params.user.items"),
    "group noise": (lambda: reset(LIVE.value, live_noise=-np.ones(4)), "params.live_noise"),
    "activity": (lambda: reset(LIVE.value, activity=np.ones(3)), "params.activity"),
    "churn": (lambda: reset(LIVE.value, churn=1.2), "params.churn"),
    "action": (lambda: LIVE.value.step(LIVE_STATE(), jnp.array([0, 2])), r"action: .*\[0, 2\)"),
}


def reset(env, **changes):
    return env.reset(jax.random.key(0), physics(env, **changes))


def LIVE_STATE():
    return jax.jit(LIVE.value.reset)(jax.random.key(0))[0]


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
