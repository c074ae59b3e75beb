"""PPO's laws, and that it finds optima that are known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.test_util import check_grads

from jaxswarm import envs, rl, rollout
from jaxswarm.rl.collect import Transition, Worlds
from jaxswarm.rl.surrogate import Batch, loss, reread
from jaxswarm.rl.updates import shuffled
from tests.rl.rl_worlds import Bandit, Clock, Recall

PAYOFF = [[0.0, 1.0, 0.3], [1.0, 0.0, 0.2]]


def gae_by_hand(reward, discount, last, value, next_value, lam):
    out = np.zeros_like(reward)
    for column in np.ndindex(reward.shape[1:]):
        carry = 0.0
        for t in reversed(range(len(reward))):
            at = (t, *column)
            inside = t + 1 < len(reward) and not last[at]
            follow = value[(t + 1, *column)] if inside else next_value[at]
            error = reward[at] + discount[at] * follow - value[at]
            carry = error + (discount[at] * lam * carry if inside else 0.0)
            out[at] = carry
    return out


@given(seed=st.integers(0, 10_000), lam=st.sampled_from([0.0, 0.5, 0.95, 1.0]))
@settings(max_examples=20, derandomize=True)
def test_advantages_are_a_loop(seed, lam):
    rng = np.random.default_rng(seed)
    reward, value, next_value = rng.normal(size=(3, 7, 2, 3)).astype(np.float32)
    last = rng.random((7, 2, 3)) < 0.3
    ended = last & (rng.random((7, 2, 3)) < 0.5)
    discount = np.where(ended, 0.0, 0.9).astype(np.float32)
    found = jax.jit(rl.advantages)(reward, discount, last, value, next_value, lam)
    expected = gae_by_hand(reward, discount, last, value, next_value, lam)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_advantages_refuse_other_shapes():
    x = jnp.zeros((3, 2))
    with pytest.raises(ValueError, match="next_value: expected shape"):
        rl.advantages(x, x, x > 0, x, x[:2], 0.9)


def network_of(kind):
    heads = {
        "categorical": rl.categorical(3),
        "gaussian": rl.gaussian(2),
        "squashed": rl.squashed_gaussian(2, state_dependent=True),
    }
    return rl.actor_critic(heads[kind], 2, widths=(5,), memory=3 if kind == "gaussian" else 0)


def batch_of(key, network, params, steps=4, count=3):
    """A batch as the networks themselves would have collected it."""
    one, two, three, four = jax.random.split(key, 4)
    features = jax.random.normal(one, (steps, count, 2))
    carry = jax.tree.map(lambda x: jnp.zeros((count, *x.shape)), network.start())
    if not network.recurrent:
        features = features.reshape(1, -1, 2)
        carry = jax.tree.map(lambda x: jnp.zeros((steps * count, *x.shape)), network.start())
    shape = features.shape[:2]
    first = jax.random.bernoulli(four, 0.3, shape)
    done = Transition(features, features, first, *([jnp.zeros(shape)] * 8))
    outputs, value = reread(network, params, done, carry)
    keys = jax.random.split(two, shape)
    raw = jax.vmap(jax.vmap(network.head.sample))(keys, outputs)
    log_prob = jax.vmap(jax.vmap(network.head.log_prob))(outputs, raw)
    done = done._replace(raw=raw, log_prob=log_prob, value=value, mask=jnp.ones(shape, bool))
    advantage = jax.random.normal(three, shape)
    return Batch(done, advantage, value + 0.5), carry


@pytest.mark.parametrize(
    "kind", [pytest.param("categorical", marks=pytest.mark.slow), "gaussian", "squashed"]
)
def test_policy_gradient_against_finite_differences(kind, key):
    with jax.enable_x64(True):
        network = network_of(kind)
        params = jax.tree.map(lambda x: x.astype(jnp.float64), network.init(key))
        params = jax.tree.map(lambda x: x + 0.1, params)
        batch, carry = batch_of(key, network, params)
        p = rl.PPOHyperparameters(clip=0.5, entropy=0.1, value_clip=2.0)
        # Away from ratio 1, so that the ratio itself is differentiated too.
        moved = jax.tree.map(lambda x: x * 1.02, params)
        total = lambda params: loss(network, params, key, batch, carry, p)[0]  # noqa: E731
        check_grads(jax.jit(total), (moved,), order=1, modes=["rev"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["categorical", "gaussian", "squashed"])
def test_ratio_is_one_before_the_first_update(kind, key):
    network = network_of(kind)
    params = network.init(key)
    batch, carry = batch_of(key, network, params)
    p = rl.PPOHyperparameters()
    _, seen = jax.jit(functools.partial(loss, network))(params, key, batch, carry, p)
    assert float(seen["kl"]) == pytest.approx(0.0, abs=1e-6)
    assert float(seen["clipped"]) == 0.0
    eager = loss(network, params, key, batch, carry, p)[1]
    np.testing.assert_allclose(seen["entropy"], eager["entropy"], rtol=1e-5)
    assert float(seen["policy_loss"]) == pytest.approx(-float(batch.advantage.mean()), abs=1e-5)


def test_surrogate_has_the_gradient_of_the_return():
    """At ratio 1, summed over all actions by their probability: ``∇ Σ π(a) r(a)``."""
    head, reward = rl.categorical(4), jnp.array([0.2, -1.0, 0.7, 0.1])
    logits = jnp.array([0.3, 0.1, -0.5, 0.9])
    actions = jnp.arange(4)

    def surrogate(x):
        new = jax.vmap(head.log_prob, (None, 0))(x, actions)
        old = jax.vmap(head.log_prob, (None, 0))(logits, actions)
        return jnp.sum(jnp.exp(old) * jnp.exp(new - old) * reward)

    exact = jax.grad(lambda x: jax.nn.softmax(x) @ reward)(logits)
    np.testing.assert_allclose(jax.grad(surrogate)(logits), exact, atol=1e-6)


def learner_of(env, *, shared, memory=0, critic="own", **options):
    network = rl.network_for(env, widths=(16,), memory=memory, critic=critic)
    options = {"num_envs": 16, "num_steps": 4, "minibatches": 2} | options
    algorithm = rl.ppo(env, network, shared=shared, **options)

    def start(key, physics=None):
        params = rl.initialize(key, network, env.num_agents, shared=shared)
        return algorithm.init(params, key, physics)

    return network, algorithm, start


def test_collected_rewards_bootstrap_from_the_true_last_observation(key):
    env = Clock(num_agents=2, time_limit=3)
    network = rl.network_for(env, widths=(4,), critic="global")
    worlds = Worlds(env, network, 2, True)
    params = network.init(key)
    _, done, finished = jax.jit(functools.partial(worlds.collect, num_steps=7))(
        key, params, worlds.begin(key)
    )
    clock = np.arange(7) % 3
    assert np.array_equal(done.features[:, 0, 0, 0], clock)
    assert np.array_equal(done.seen[:, 0, 1], np.stack([100.0 + clock, clock], axis=1))
    assert np.array_equal(done.last[:, 0, 0], clock == 2)
    assert np.array_equal(done.first[:, 0, 0], clock == 0)
    assert (np.asarray(done.discount) == 1.0).all()  # cut, not terminated
    judge = jax.vmap(lambda t: network.critic(params["critic"], (), jnp.stack([100.0 + t, t]))[1])
    values = np.asarray(judge(jnp.arange(4.0)))
    np.testing.assert_allclose(done.value[:, 0, 0], values[clock], rtol=1e-5)
    np.testing.assert_allclose(done.next_value[:, 0, 0], values[clock + 1], rtol=1e-5)
    assert int(finished.episodes) == 4
    assert np.allclose(finished.episode_return, 3.0)


def test_a_cut_is_not_an_end(key):
    """Reward 1 for ever is worth 1/(1-γ); three steps of it are worth less."""
    env = Clock(num_agents=1, time_limit=3)
    p = rl.PPOHyperparameters(lr=0.02)
    network, algorithm, start = learner_of(env, shared=True, num_steps=6, parameters=p)

    @jax.jit
    @jax.vmap
    def learned(terminates, gamma):
        inputs = p._replace(discount=gamma)
        state, _ = rollout(algorithm.step, start(key, terminates), 150, key=key, inputs=inputs)
        return network.critic(state.params["critic"], (), jnp.zeros(1))[1]

    value = learned(jnp.array([False, True]), jnp.array([0.75, 0.5]))
    np.testing.assert_allclose(value, [4.0, 1.75], rtol=0.1)


@pytest.mark.parametrize("shared", [pytest.param(True, marks=pytest.mark.slow), False])
def test_finds_the_best_arm_on_every_seed_and_step_size(shared, key):
    """Own parameters can want different arms; shared ones the best on average."""
    payoff = jnp.asarray(PAYOFF)
    _, algorithm, start = learner_of(Bandit(PAYOFF), shared=shared)
    traces = []

    def step(key, state, inputs):
        traces.append(None)
        return algorithm.step(key, state, inputs)

    @jax.jit
    def run(keys, rates):
        def one(key, lr):
            p = rl.PPOHyperparameters(lr=lr)
            return rollout(step, start(key), 80, key=key, inputs=p)[1].info.reward

        return jax.vmap(lambda lr: jax.vmap(one, (0, None))(keys, lr))(rates)

    keys, rates = jax.random.split(key, 3), jnp.array([0.0, 0.02])
    reward = np.asarray(run(keys, rates))
    best = float(payoff.max(axis=1).mean() if not shared else payoff.mean(axis=0).max())
    assert reward.shape == (2, 3, 80)
    assert (reward[1, :, -5:].mean(axis=-1) > 0.93 * best).all()
    assert (reward[0, :, -5:].mean(axis=-1) < 0.92 * best).all()  # a step size of zero: chance
    count = len(traces)
    run(keys, rates / 2.0)
    assert len(traces) == count


@pytest.mark.parametrize("count", [1, 2, 100, 2**16, 2**16 + 1])
def test_shuffles_are_permutations(count):
    one, two = (np.asarray(shuffled(jax.random.key(seed), count)) for seed in (0, 1))
    assert np.array_equal(np.sort(one), np.arange(count))
    assert count < 3 or not np.array_equal(one, two)


def test_shuffles_put_anyone_anywhere():
    orders = np.asarray(
        jax.vmap(lambda k: shuffled(k, 5))(jax.random.split(jax.random.key(2), 5_000))
    )
    counts = np.stack([(orders == i).mean(axis=0) for i in range(5)])  # [who, where]
    assert np.abs(counts - 0.2).max() < 4 * np.sqrt(0.16 / 5_000)
    before = (orders.argsort(axis=1)[:, 0] < orders.argsort(axis=1)[:, 1]).mean()
    assert abs(before - 0.5) < 4 * np.sqrt(0.25 / 5_000)


def test_memory_solves_what_needs_memory(key):
    p = rl.PPOHyperparameters(lr=0.02, discount=1.0)
    _, algorithm, start = learner_of(
        Recall(), shared=True, memory=8, num_steps=6, num_envs=32, parameters=p
    )
    _, records = jax.jit(lambda k: rollout(algorithm.step, start(k), 60, key=k))(key)
    assert float(records.info.finished.episode_return[-10:].mean()) > 0.9


def test_agents_learn_from_their_own_at_their_own_pace(key):
    """Changing agent 1's payoff, or its step size, changes nothing that agent 0 learns."""
    _, algorithm, start = learner_of(Bandit(PAYOFF), shared=False, optimizer=optax.identity())
    step = jax.jit(lambda key, physics, p: algorithm.step(key, start(key, physics), p)[0].params)
    before = jax.jit(start)(key).params
    p = rl.PPOHyperparameters(lr=jnp.array([0.01, 0.01]))
    one = step(key, jnp.asarray(PAYOFF), p)
    two = step(key, jnp.asarray([PAYOFF[0], [0.0, 0.0, 5.0]]), p)
    three = step(key, jnp.asarray(PAYOFF), rl.PPOHyperparameters(lr=jnp.array([0.01, 0.0])))

    def furthest(a, b):
        apart = jax.tree.map(lambda x, y: jnp.abs(x - y).reshape(2, -1).max(axis=1), a, b)
        return jnp.stack(jax.tree.leaves(apart)).max(axis=0)

    assert furthest(one, before).min() > 1e-4
    assert furthest(one, two)[0] < 1e-6 < 1e-5 < furthest(one, two)[1]
    assert furthest(one, three)[0] < 1e-6
    assert furthest(three, before)[1] == 0.0


def test_those_who_left_teach_nothing(key):
    network = network_of("categorical")
    params = network.init(key)
    batch, carry = batch_of(key, network, params)
    absent = jnp.arange(12)[None] >= 6
    wild = batch._replace(
        done=batch.done._replace(mask=~absent),
        advantage=jnp.where(absent, 1e6, batch.advantage),
        target=jnp.where(absent, 1e6, batch.target),
    )
    half = jax.tree.map(lambda x: x[:, :6], batch)
    few = jax.tree.map(lambda x: x[:6], carry)
    p = rl.PPOHyperparameters(entropy=0.1)
    value = jax.jit(lambda b, c: loss(network, params, key, b, c, p)[0])
    assert float(value(wild, carry)) == pytest.approx(float(value(half, few)), rel=1e-5)


def test_evaluation_counts_one_episode(key):
    env = Clock(num_agents=2, time_limit=3)
    idle = envs.scripted(lambda key, seen: jnp.zeros(2, jnp.int32))
    returns = rl.evaluate(env, idle, key, 4, discount=0.5)
    assert np.allclose(returns, 1.75)
    assert returns.shape == (4, 2)


def test_learning_is_looked_at_at_intervals_by_modes_and_by_samples(key):
    """On a bandit: the mode's payoff and the mean of draws, equal to evaluating the same state."""
    env = Bandit(PAYOFF)
    network, algorithm, start = learner_of(env, shared=False)
    look = rl.evaluation(env, network, jax.random.key(3), 64, shared=False)
    p = rl.PPOHyperparameters(lr=0.02)

    @jax.jit
    def run(key):
        state, records = rollout(
            algorithm.step, start(key), 40, key=key, every=2, inputs=p, evaluate=look
        )
        return look(state), records.evaluation

    last, seen = run(key)
    assert seen.deterministic.shape == (20, 2)
    np.testing.assert_array_equal(seen.sampled[-1], last.sampled)
    best = np.asarray(PAYOFF).max(axis=1)
    np.testing.assert_allclose(seen.deterministic[-1], best, atol=1e-6)
    assert (np.asarray(seen.sampled) <= best + 1e-6).all()
    assert np.mean(seen.sampled[0]) < np.mean(seen.deterministic[0])
    with pytest.raises(ValueError, match="num_episodes"):
        rl.evaluation(env, network, key, 0, shared=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_envs": 0}, "num_envs: expected at least 1"),
        ({"num_steps": 0}, "num_steps: expected at least 1"),
        ({"epochs": 0}, "epochs: expected at least 1"),
        ({"minibatches": 7}, "minibatches: expected a divisor of 128"),
        ({"parameters": rl.PPOHyperparameters(discount=1.5)}, "discount: expected within"),
        ({"parameters": rl.PPOHyperparameters(clip=-0.1)}, "clip: expected within"),
        ({"parameters": rl.PPOHyperparameters(lr=float("nan"))}, "lr: expected within"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        learner_of(Bandit(PAYOFF), shared=True, **change)
