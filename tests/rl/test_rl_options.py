"""Options of PPO against their definitions, and TD3 against its paper."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import envs, rl
from jaxswarm.rl import value_statistics as stats
from jaxswarm.rl._td3 import td3_target
from jaxswarm.rl.ppo_loss import huber
from jaxswarm.rl.ppo_update import default_optimizer
from tests.rl.rl_worlds import Bandit, Target


def test_huber_is_optax_and_half_the_square_without_a_threshold():
    error = jnp.linspace(-3.0, 3.0, 25)
    np.testing.assert_allclose(huber(error, 1.0), optax.huber_loss(error, delta=1.0), rtol=1e-6)
    np.testing.assert_allclose(huber(error, np.inf), 0.5 * error**2, rtol=1e-6)
    for threshold, expected in ((1.0, jnp.clip(error, -1, 1)), (np.inf, error)):
        slope = jax.vmap(jax.grad(lambda x, t=threshold: huber(x, t)))(error)
        np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-7)


def test_value_statistics_are_weighted_means_without_bias():
    rng = np.random.default_rng(0)
    targets = 50.0 + 7.0 * rng.normal(size=(40, 6)).astype(np.float32)
    mask = rng.random((40, 6)) < 0.7
    update = jax.jit(stats.updated_statistics)
    state = stats.initial_statistics()
    assert [float(x) for x in stats.moments(state)] == [0.0, 1.0]
    for target, present in zip(targets, mask, strict=True):
        junk = np.where(present, target, np.nan)
        state = update(state, junk, present)
    weight = stats.DECAY ** np.arange(40)[::-1]
    first = [np.mean(t[m]) for t, m in zip(targets, mask, strict=True)]
    second = [np.mean(t[m] ** 2) for t, m in zip(targets, mask, strict=True)]
    mean, square = np.average(first, weights=weight), np.average(second, weights=weight)
    found = stats.moments(state)
    np.testing.assert_allclose(found, [mean, np.sqrt(square - mean**2)], rtol=1e-3)
    value = jnp.array([-1.0, 0.0, 80.0])
    back = stats.denormalized(state, stats.standardized(state, value))
    np.testing.assert_allclose(back, value, rtol=1e-4, atol=1e-3)
    kept = update(state, jnp.full(6, jnp.nan), jnp.zeros(6, bool))
    np.testing.assert_array_equal(kept, state)


@pytest.mark.slow
def test_normalized_values_need_no_tuning_to_the_scale_of_rewards(key):
    env = Bandit([[300.0, 1000.0, 400.0]])
    network = rl.network_for(env, widths=(8,))
    losses = {}
    for on in (False, True):
        learner = rl.ppo(
            env,
            network,
            num_envs=32,
            num_steps=4,
            normalize_values=on,
            hyperparameters=rl.PPOHyperparameters(lr=3e-3),
        )
        params = rl.initialize(key, network, 1, shared=True)
        state, step = jax.jit(learner.init)(params, key), jax.jit(learner.step)
        for index in range(60):
            state, info = step(jax.random.fold_in(key, index), state)
        losses[on] = float(info.value_loss)
        reward = float(info.reward)
    assert losses[True] < 1.0 < 1e4 < losses[False]
    assert reward > 900.0


def test_default_optimizer_clips_and_follows_its_schedule():
    schedule = optax.linear_schedule(1.0, 0.0, 2)
    plain, scheduled = default_optimizer(10.0), default_optimizer(10.0, schedule)
    grads = jnp.array([3.0, 4.0])
    states = [plain.init(grads), scheduled.init(grads)]
    factors = []
    for _ in range(3):
        (one, first), (two, second) = (
            optimizer.update(grads, state)
            for optimizer, state in zip((plain, scheduled), states, strict=True)
        )
        states = [first, second]
        factors.append(float(two[0] / one[0]))
    np.testing.assert_allclose(factors, [1.0, 0.5, 0.0], atol=1e-6)
    clipped = optax.tree.norm(states[0][1].mu) / (1 - 0.9**3)
    assert float(clipped) == pytest.approx(5.0, rel=1e-4)  # below 10: not clipped


ENV = Target()
NET = rl.q_network_for(ENV, widths=(8,))


def batch_of(key):
    one, two, three = jax.random.split(key, 3)
    features = jax.random.normal(one, (5, 1))
    zero = jnp.array([1.0, 0.0, 1.0, 1.0, 0.0])
    reward = jax.random.normal(three, (5,))
    raw = jax.random.normal(two, (5, 1))
    return rl.Experience(features, raw, reward, zero, features + 0.5, jnp.ones(5, bool))


def test_td3_target_and_delay_are_the_papers(key):
    params, batch = jax.jit(NET.init)(key), batch_of(key)
    hp = rl.TD3Hyperparameters(smoothing=0.0, discount=0.9)
    learner = rl.td3_learner(ENV, NET)

    def policy(actor, features):
        return jnp.tanh(NET.actor_outputs(actor, features)[:, :1])

    target = jax.jit(lambda p: td3_target(key, NET, policy, p, batch, hp))(params)
    action = policy(params["actor"], batch.next_features)
    q = NET.q_values(params["critic"], batch.next_features, action)[..., 0]
    expected = batch.reward + 0.9 * batch.discount * np.minimum(*np.asarray(q))
    np.testing.assert_allclose(target, expected, rtol=1e-5)
    noisy = hp._replace(smoothing=100.0, smoothing_clip=0.5)
    bounds = [
        np.asarray(NET.q_values(params["critic"], batch.next_features, jnp.clip(action + s, -1, 1)))
        for s in (-0.5, 0.5)
    ]
    smooth = td3_target(key, NET, policy, params, batch, noisy) - batch.reward
    low, high = (0.9 * batch.discount * f(np.stack(bounds)[..., 0], axis=(0,)).min(axis=0)
                 for f in (np.min, np.max))  # fmt: skip
    assert (smooth >= low - 0.1).all()
    assert (smooth <= high + 0.1).all()
    update = jax.jit(learner.update)
    begin = learner.init(params)
    once, _ = update(key, begin, batch, hp)
    twice, _ = update(key, once, batch, hp)
    same = lambda a, b: all(  # noqa: E731
        bool(jnp.array_equal(x, y))
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
    assert same(once.params["actor"], params["actor"])
    assert same(once.target, params)
    assert not same(once.params["critic"], params["critic"])
    assert not same(twice.params["actor"], params["actor"])
    assert not same(twice.target, params)


@pytest.mark.slow
def test_td3_finds_each_agents_best_action(key):
    network = rl.q_network_for(ENV, widths=(32,))
    learner = rl.td3(
        ENV,
        network,
        shared=False,
        batch_size=32,
        capacity=2_000,
        warm_up=500,
        updates=8,
        hyperparameters=rl.TD3Hyperparameters(actor_lr=1e-2, critic_lr=1e-2),
    )
    params = rl.initialize(key, network, 2, shared=False)
    state = jax.jit(learner.init)(params, key)
    run = jax.jit(
        lambda state: jax.lax.scan(
            lambda s, i: (learner.step(jax.random.fold_in(key, i), s)[0], None),
            state,
            jnp.arange(200),
        )[0]
    )
    state = run(state)
    policy = rl.policy(network, shared=False, deterministic=True)
    _, episode = envs.unroll(key, ENV, policy, 1, params=state.learner.params)
    np.testing.assert_allclose(episode.action[0, :, 0], [0.25, 0.5], atol=0.15)
