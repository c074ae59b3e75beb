"""PPO against loops, finite differences and known optima."""

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
from jaxswarm.rl.ppo_loss import PPOBatch, forward, ppo_loss
from jaxswarm.rl.ppo_update import random_order
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
    return rl.actor_critic_network(
        heads[kind], 2, widths=(5,), hidden_size=3 if kind == "gaussian" else 0
    )


def batch_of(key, network, params, steps=4, count=3):
    """A batch as the networks themselves would have collected it."""
    make = jax.jit(lambda key, params: _batch_of(key, network, params, steps, count))
    return make(key, params)


def _batch_of(key, network, params, steps, count):
    one, two, three, four = jax.random.split(key, 4)
    features = jax.random.normal(one, (steps, count, 2))
    carry = jax.tree.map(lambda x: jnp.zeros((count, *x.shape)), network.initial_carry())
    if not network.recurrent:
        features = features.reshape(1, -1, 2)
        carry = jax.tree.map(
            lambda x: jnp.zeros((steps * count, *x.shape)), network.initial_carry()
        )
    shape = features.shape[:2]
    first = jax.random.bernoulli(four, 0.3, shape)
    old = rl.Transition(features, features, first, *([jnp.zeros(shape)] * 8))
    outputs, value = forward(network, params, old, carry)
    keys = jax.random.split(two, shape)
    raw = jax.vmap(jax.vmap(network.head.sample))(keys, outputs)
    log_prob = jax.vmap(jax.vmap(network.head.log_prob))(outputs, raw)
    old = old._replace(raw=raw, log_prob=log_prob, value=value, mask=jnp.ones(shape, bool))
    advantage = jax.random.normal(three, shape)
    return PPOBatch(old, advantage, value + 0.5), carry


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param("categorical", marks=pytest.mark.slow),
        "gaussian",
        pytest.param("squashed", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_policy_gradient_against_finite_differences(kind, key):
    with jax.enable_x64(True):
        network = network_of(kind)
        params = jax.tree.map(lambda x: x.astype(jnp.float64) + 0.1, jax.jit(network.init)(key))
        batch, carry = batch_of(key, network, params)
        hp = rl.PPOHyperparameters(clip=0.5, entropy=0.1, value_clip=2.0)
        # Away from ratio 1, so that the ratio itself is differentiated too.
        moved = jax.tree.map(lambda x: x * 1.02, params)

        def loss(params):
            return ppo_loss(key, network, params, batch, carry, hp)[0]

        check_grads(jax.jit(loss), (moved,), order=1, modes=["rev"], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "kind",
    ["categorical", *(pytest.param(x, marks=pytest.mark.slow) for x in ("gaussian", "squashed"))],
)
def test_ratio_is_one_before_the_first_update(kind, key):
    network = network_of(kind)
    params = jax.jit(network.init)(key)
    batch, carry = batch_of(key, network, params)
    hp = rl.PPOHyperparameters()
    loss = jax.jit(lambda params: ppo_loss(key, network, params, batch, carry, hp))
    _, metrics = loss(params)
    assert float(metrics["kl"]) == pytest.approx(0.0, abs=1e-6)
    assert float(metrics["clip_fraction"]) == 0.0
    if kind == "categorical":
        eager = ppo_loss(key, network, params, batch, carry, hp)[1]
        np.testing.assert_allclose(metrics["entropy"], eager["entropy"], rtol=1e-5)
    assert float(metrics["policy_loss"]) == pytest.approx(-float(batch.advantage.mean()), abs=1e-5)


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


def learner_of(env, *, shared, hidden_size=0, critic="own", **options):
    network = rl.network_for(env, widths=(16,), hidden_size=hidden_size, critic=critic)
    options = {"num_envs": 16, "num_steps": 4, "minibatches": 2} | options
    algorithm = rl.ppo(env, network, shared=shared, **options)

    def start(key, env_params=None):
        params = rl.initialize(key, network, env.num_agents, shared=shared)
        return algorithm.init(params, key, env_params)

    return network, algorithm, start


@pytest.mark.slow
def test_collected_rewards_bootstrap_from_the_true_last_observation(key):
    env = Clock(num_agents=2, time_limit=3)
    network = rl.network_for(env, widths=(4,), critic="global")
    runner = rl.OnPolicyRunner(env, network, 2, shared=True)
    params = jax.jit(network.init)(key)
    _, collected, episodes = jax.jit(functools.partial(runner.collect, num_steps=7))(
        key, params, runner.reset(key)
    )
    clock = np.arange(7) % 3
    assert np.array_equal(collected.features[:, 0, 0, 0], clock)
    assert np.array_equal(collected.critic_input[:, 0, 1], np.stack([100.0 + clock, clock], axis=1))
    assert np.array_equal(collected.last[:, 0, 0], clock == 2)
    assert np.array_equal(collected.first[:, 0, 0], clock == 0)
    assert (np.asarray(collected.discount) == 1.0).all()  # truncated, not terminated
    critic = jax.vmap(lambda t: network.critic(params["critic"], (), jnp.stack([100.0 + t, t]))[1])
    values = np.asarray(critic(jnp.arange(4.0)))
    np.testing.assert_allclose(collected.value[:, 0, 0], values[clock], rtol=1e-5)
    np.testing.assert_allclose(collected.next_value[:, 0, 0], values[clock + 1], rtol=1e-5)
    assert int(episodes.count) == 4
    assert np.allclose(episodes.mean_return, 3.0)


@pytest.mark.slow
def test_truncation_is_not_termination(key):
    """The value of reward 1 for ever is 1/(1-γ); that of three steps is less."""
    env = Clock(num_agents=1, time_limit=3)
    hp = rl.PPOHyperparameters(lr=0.02)
    network, algorithm, start = learner_of(env, shared=True, num_steps=6, hyperparameters=hp)

    @jax.jit
    @jax.vmap
    def learned(terminates, gamma):
        inputs = hp._replace(discount=gamma)
        state, _ = rollout(algorithm.step, start(key, terminates), 150, key=key, inputs=inputs)
        return network.critic(state.params["critic"], (), jnp.zeros(1))[1]

    value = learned(jnp.array([False, True]), jnp.array([0.75, 0.5]))
    np.testing.assert_allclose(value, [4.0, 1.75], rtol=0.1)


@pytest.mark.parametrize("shared", [pytest.param(True, marks=pytest.mark.slow), False])
def test_finds_the_best_arm_on_every_seed_and_step_size(shared, key):
    """Own weights can learn different arms; shared ones the best on average."""
    payoff = jnp.asarray(PAYOFF)
    _, algorithm, start = learner_of(Bandit(PAYOFF), shared=shared)
    traces = []

    def step(key, state, inputs):
        traces.append(None)
        return algorithm.step(key, state, inputs)

    @jax.jit
    def run(keys, rates):
        def one(key, lr):
            hp = rl.PPOHyperparameters(lr=lr)
            return rollout(step, start(key), 80, key=key, inputs=hp)[1].info.reward

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


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 100, 2**16, 2**16 + 1])
def test_random_orders_are_permutations(count):
    one, two = (np.asarray(random_order(jax.random.key(seed), count)) for seed in (0, 1))
    assert np.array_equal(np.sort(one), np.arange(count))
    assert count < 3 or not np.array_equal(one, two)


def test_random_orders_are_uniform():
    orders = np.asarray(
        jax.vmap(lambda k: random_order(k, 5))(jax.random.split(jax.random.key(2), 5_000))
    )
    counts = np.stack([(orders == i).mean(axis=0) for i in range(5)])  # [index, position]
    assert np.abs(counts - 0.2).max() < 4 * np.sqrt(0.16 / 5_000)
    before = (orders.argsort(axis=1)[:, 0] < orders.argsort(axis=1)[:, 1]).mean()
    assert abs(before - 0.5) < 4 * np.sqrt(0.25 / 5_000)


@pytest.mark.slow
def test_recurrent_networks_solve_a_memory_task(key):
    hp = rl.PPOHyperparameters(lr=0.02, discount=1.0)
    _, algorithm, start = learner_of(
        Recall(), shared=True, hidden_size=8, num_steps=6, num_envs=32, hyperparameters=hp
    )
    _, records = jax.jit(lambda k: rollout(algorithm.step, start(k), 60, key=k))(key)
    assert float(records.info.episodes.mean_return[-10:].mean()) > 0.9


@pytest.mark.slow
def test_independent_learners_use_their_own_data_and_step_size(key):
    """Changing agent 1's payoff, or its step size, changes nothing that agent 0 learns."""
    _, algorithm, start = learner_of(Bandit(PAYOFF), shared=False, optimizer=optax.identity())
    step = jax.jit(
        lambda key, env_params, hp: algorithm.step(key, start(key, env_params), hp)[0].params
    )
    before = jax.jit(start)(key).params
    hp = rl.PPOHyperparameters(lr=jnp.array([0.01, 0.01]))
    one = step(key, jnp.asarray(PAYOFF), hp)
    two = step(key, jnp.asarray([PAYOFF[0], [0.0, 0.0, 5.0]]), hp)
    three = step(key, jnp.asarray(PAYOFF), rl.PPOHyperparameters(lr=jnp.array([0.01, 0.0])))

    def furthest(a, b):
        apart = jax.tree.map(lambda x, y: jnp.abs(x - y).reshape(2, -1).max(axis=1), a, b)
        return jnp.stack(jax.tree.leaves(apart)).max(axis=0)

    assert furthest(one, before).min() > 1e-4
    assert furthest(one, two)[0] < 1e-6 < 1e-5 < furthest(one, two)[1]
    assert furthest(one, three)[0] < 1e-6
    assert furthest(three, before)[1] == 0.0


def test_masked_transitions_do_not_count(key):
    network = network_of("categorical")
    params = jax.jit(network.init)(key)
    batch, carry = batch_of(key, network, params)
    absent = jnp.arange(12)[None] >= 6
    wild = batch._replace(
        transitions=batch.transitions._replace(mask=~absent),
        advantage=jnp.where(absent, 1e6, batch.advantage),
        value_target=jnp.where(absent, 1e6, batch.value_target),
    )
    half = jax.tree.map(lambda x: x[:, :6], batch)
    few = jax.tree.map(lambda x: x[:6], carry)
    hp = rl.PPOHyperparameters(entropy=0.1)
    loss = jax.jit(lambda b, c: ppo_loss(key, network, params, b, c, hp)[0])
    assert float(loss(wild, carry)) == pytest.approx(float(loss(half, few)), rel=1e-5)


def test_evaluation_counts_one_episode(key):
    env = Clock(num_agents=2, time_limit=3)
    idle = envs.scripted(lambda key, observation: jnp.zeros(2, jnp.int32))
    returns = rl.evaluate(key, env, idle, 4, discount=0.5)
    assert np.allclose(returns, 1.75)
    assert returns.shape == (4, 2)


@pytest.mark.slow
def test_evaluator_gives_returns_of_modes_and_samples_at_intervals(key):
    """On a bandit: the mode's payoff and the mean of samples, equal to evaluating the state."""
    env = Bandit(PAYOFF)
    network, algorithm, start = learner_of(env, shared=False)
    evaluate = rl.evaluator(jax.random.key(3), env, network, 64, shared=False)
    hp = rl.PPOHyperparameters(lr=0.02)

    @jax.jit
    def run(key):
        state, records = rollout(
            algorithm.step, start(key), 40, key=key, every=2, inputs=hp, evaluate=evaluate
        )
        return evaluate(state), records.evaluation

    last, returns = run(key)
    assert returns.deterministic.shape == (20, 2)
    np.testing.assert_array_equal(returns.sampled[-1], last.sampled)
    best = np.asarray(PAYOFF).max(axis=1)
    np.testing.assert_allclose(returns.deterministic[-1], best, atol=1e-6)
    assert (np.asarray(returns.sampled) <= best + 1e-6).all()
    assert np.mean(returns.sampled[0]) < np.mean(returns.deterministic[0])
    with pytest.raises(ValueError, match="num_episodes"):
        rl.evaluator(key, env, network, 0, shared=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_envs": 0}, "num_envs: expected a whole number of at least 1"),
        ({"num_steps": 0}, "num_steps: expected a whole number of at least 1"),
        ({"epochs": 0}, "epochs: expected a whole number of at least 1"),
        ({"minibatches": 7}, "minibatches: expected a divisor of 128"),
        (
            {"hyperparameters": rl.PPOHyperparameters(discount=1.5)},
            r"discount: expected a finite number in \[0, 1\]",
        ),
        ({"hyperparameters": rl.PPOHyperparameters(clip=-0.1)}, "clip: expected a number >= 0"),
        (
            {"hyperparameters": rl.PPOHyperparameters(lr=float("nan"))},
            "lr: expected a finite number >= 0",
        ),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        learner_of(Bandit(PAYOFF), shared=True, **change)


@pytest.mark.slow
def test_ippo_and_mappo_are_ppo_with_their_critics(key):
    env = Clock(num_agents=2, time_limit=3)
    own, whole = (rl.network_for(env, widths=(4,), critic=critic) for critic in ("own", "global"))
    sizes = {"num_envs": 2, "num_steps": 4, "minibatches": 1, "epochs": 1}
    for make, network, shared in ((rl.ippo, own, False), (rl.mappo, whole, True)):
        params = rl.initialize(key, network, 2, shared=shared)
        named, plain = make(env, network, **sizes), rl.ppo(env, network, shared=shared, **sizes)
        state = plain.init(params, key)
        one, two = (jax.make_jaxpr(learner.step)(key, state) for learner in (named, plain))
        assert str(one) == str(two)
    with pytest.raises(ValueError, match="network: expected a critic of the own observation"):
        rl.ippo(env, whole)
    with pytest.raises(ValueError, match="network: expected a critic of the global state"):
        rl.mappo(env, own)


@pytest.mark.slow
def test_independent_learners_draw_from_keys_of_their_ids(key):
    """Agent 0's update does not depend on how many agents there are."""
    sizes = {"num_envs": 2, "num_steps": 4, "minibatches": 2, "epochs": 1}
    params = []
    for n in (2, 3):
        env = Bandit([PAYOFF[0]] * n)
        network = rl.network_for(env, widths=(4,))
        learner = rl.ippo(env, network, **sizes)
        state = learner.init(rl.initialize(key, network, n, shared=False), key)
        state, _ = jax.jit(learner.step)(key, state)
        params.append(jax.tree.map(lambda x: x[0], state.params))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), *params)
