"""Laws of AC-Flow and its baselines: weights, masks, special cases, warm-up, conditions."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import generative, rollout
from jaxswarm.models import flow
from tests.later import Later, built

KEY = jax.random.key(0)
MODEL = Later(lambda: flow.from_network(flow.MLP(width=8, depth=2), (2,)))
PARAMS = Later(lambda: MODEL.value.init(jax.random.key(1)))
SIZES = {"batch_size": 16, "num_steps": 2}


def first_coordinate(x):
    return x[:, 0]


# The start does not depend on temperature, clipping, penalty and warm-up, so it is made once.
START = Later(
    lambda: jax.jit(generative.ac_flow(MODEL.value, first_coordinate, **SIZES).init)(
        PARAMS.value, KEY
    )
)


def run(learner, steps, start=START, key=KEY):
    step, state, infos = jax.jit(learner.step), built(start), []
    for index in range(steps):
        state, info = step(jax.random.fold_in(key, index), state)
        infos.append(info)
    return state, jax.tree.map(lambda *x: jnp.stack(x), *infos)


def without_critic(critic_opt_state=()):
    return START.value._replace(critic=(), critic_opt_state=critic_opt_state)


# The loss: weights stay with their samples.


def test_permuting_a_batch_does_not_change_the_loss():
    data = jax.random.normal(KEY, (16, 2))
    noised = flow.noised(jax.random.key(1), data, MODEL.value.path)
    weights = jnp.linspace(0.0, 2.0, 16)
    order = jax.random.permutation(jax.random.key(2), 16)
    permuted = jax.tree.map(lambda leaf: leaf[order], noised)
    reference = MODEL.value.init(jax.random.key(5))

    def loss(state, weights):
        return generative.weighted_loss(
            MODEL.value, PARAMS.value, state, weights, reference=reference, alpha=0.5
        )[0]

    np.testing.assert_allclose(loss(permuted, weights[order]), loss(noised, weights), rtol=1e-5)
    assert abs(float(loss(permuted, weights) - loss(noised, weights))) > 1e-3


def test_the_penalty_means_the_same_for_every_prediction():
    """Predicting data, loss and penalty are those of velocities times ``(1 - t)²``."""

    def predict(params, x, t, condition):
        return x + (1.0 - t[:, None]) * MODEL.value.velocity(params, x, t, condition)

    same = flow.from_functions(MODEL.value.init, predict, (2,), prediction="data")
    data = jax.random.normal(KEY, (16, 2))
    noised = flow.noised(jax.random.key(1), data, MODEL.value.path, 0.7)
    options = {"reference": MODEL.value.init(jax.random.key(5)), "alpha": 0.5}
    weights = jnp.linspace(0.0, 2.0, 16)
    expected = generative.weighted_loss(MODEL.value, PARAMS.value, noised, weights, **options)
    found = generative.weighted_loss(same, PARAMS.value, noised, weights, **options)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 0.09 * b, rtol=1e-4), found, expected)


@pytest.mark.slow
def test_a_whole_iteration_is_invariant_to_the_order_of_the_batch():
    """Data and rewards that are permuted together give the same expected gradient."""
    data = jax.random.normal(KEY, (8, 2))
    weights = generative.exponential_weights(data[:, 0], 2.0)
    order = jnp.array([3, 1, 7, 0, 2, 6, 5, 4])

    def gradient(data, weights):
        def loss(params):
            keys = jax.random.split(jax.random.key(4), 400)
            noised = jax.vmap(lambda key: flow.noised(key, data, MODEL.value.path))(keys)
            return jnp.mean(
                jax.vmap(lambda s: generative.weighted_loss(MODEL.value, params, s, weights)[0])(
                    noised
                )
            )

        return jax.flatten_util.ravel_pytree(jax.grad(loss)(PARAMS.value))[0]

    same, permuted = gradient(data, weights), gradient(data[order], weights[order])
    wrong = gradient(data[order], weights)
    size = float(jnp.linalg.norm(same))
    assert float(jnp.linalg.norm(permuted - same)) < 0.15 * size
    assert float(jnp.linalg.norm(wrong - same)) > 0.3 * size


# Special cases of the one update.


def zero_critic():
    return generative.Critic(lambda key: (), lambda params, x, t, condition: jnp.zeros(x.shape[0]))


def test_a_critic_of_zero_gives_orw_cfm():
    ours = generative.ac_flow(
        MODEL.value, first_coordinate, clip=None, warm_up=0, shaping="none", temperature=0.8,
        critic=zero_critic(), **SIZES,
    )  # fmt: skip
    orw = generative.orw_cfm(MODEL.value, first_coordinate, temperature=0.8, **SIZES)
    one, _ = run(ours, 3, without_critic(optax.adam(1e-3).init(())))
    two, _ = run(orw, 3, without_critic())
    for a, b in zip(jax.tree.leaves(one.params), jax.tree.leaves(two.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_naive_actor_critic_is_ac_flow_without_its_parts():
    naive = generative.naive_actor_critic(MODEL.value, first_coordinate, temperature=0.8, **SIZES)
    ours = generative.ac_flow(
        MODEL.value,
        first_coordinate,
        clip=None,
        warm_up=0,
        shaping="none",
        temperature=0.8,
        **SIZES,
    )
    assert_same(run(naive, 2)[0], run(ours, 2)[0])


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


# The iteration.


def test_warm_up_trains_the_critic_only():
    learner = generative.ac_flow(MODEL.value, first_coordinate, warm_up=3, **SIZES)
    step, state = jax.jit(learner.step), START.value
    for index in range(4):
        before = state
        state, info = step(jax.random.fold_in(KEY, index), before)
        moved = any(
            bool((a != b).any())
            for a, b in zip(
                jax.tree.leaves(before.params), jax.tree.leaves(state.params), strict=True
            )
        )
        assert moved is (index >= 3)
        assert not jax.tree.all(
            jax.tree.map(lambda a, b: bool((a == b).all()), before.critic, state.critic)
        )
    assert_same(state.reference, PARAMS.value)
    assert float(info.critic_loss) > 0


@pytest.mark.slow
def test_the_sampling_copy_is_refreshed_when_due():
    learner = generative.orw_cfm(MODEL.value, first_coordinate, refresh_every=2, **SIZES)
    step = jax.jit(learner.step)
    state, _ = step(KEY, without_critic())
    assert_same(state.sampler, PARAMS.value)
    state, _ = step(KEY, state)
    assert_same(state.sampler, state.params)
    frozen = generative.orw_cfm(MODEL.value, first_coordinate, refresh_every=None, **SIZES)
    assert_same(run(frozen, 2, without_critic())[0].sampler, PARAMS.value)


@pytest.mark.slow
def test_standardized_rewards_make_ac_flow_independent_of_their_scale():
    plain = generative.ac_flow(MODEL.value, first_coordinate, warm_up=0, **SIZES)
    scaled = generative.ac_flow(MODEL.value, lambda x: 64.0 * x[:, 0], warm_up=0, **SIZES)
    unscaled = START.value.statistics
    scaled_start = START.value._replace(
        statistics=unscaled._replace(
            mean=64.0 * unscaled.mean, variance=64.0**2 * unscaled.variance
        )
    )
    a, b = run(plain, 3)[0].params, run(scaled, 3, scaled_start)[0].params
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, atol=2e-5)


def test_samples_that_are_not_finite_have_no_influence():
    def broken(x):
        return jnp.where(jnp.arange(16) < 3, jnp.nan, x[:, 0])

    learner = generative.ac_flow(MODEL.value, broken, warm_up=0, **SIZES)
    with pytest.raises(ValueError, match="rewards: expected finite numbers, got nan for 3 of 16"):
        learner.init(PARAMS.value, KEY)
    state, info = jax.jit(learner.step)(KEY, START.value)
    assert int(info.num_nonfinite) == 3
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state))
    assert np.isfinite(float(info.actor_loss))


@pytest.mark.slow
def test_a_batch_without_a_finite_reward_keeps_the_model_finite():
    learner = generative.ac_flow(MODEL.value, lambda x: x[:, 0] * jnp.nan, warm_up=0, **SIZES)
    after, info = jax.jit(learner.step)(KEY, START.value)
    assert int(info.num_nonfinite) == 16
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(after))
    assert_same(after.statistics, START.value.statistics)


@pytest.mark.slow
@pytest.mark.parametrize("shaping", generative.SHAPINGS)
def test_rewards_of_ten_thousand_give_finite_models(shaping):
    learner = generative.ac_flow(
        MODEL.value, lambda x: 1e4 * x[:, 0], clip=None, warm_up=0, shaping=shaping, **SIZES
    )
    state, info = run(learner, 3)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state))
    assert bool(jnp.isfinite(info.actor_loss).all())


@pytest.mark.slow
def test_a_constant_reward_is_refused_and_harmless_where_it_is_traced():
    learner = generative.ac_flow(MODEL.value, lambda x: jnp.ones(16), warm_up=0, **SIZES)
    with pytest.raises(ValueError, match="rewards: expected at least two different values, got 1"):
        learner.init(PARAMS.value, KEY)

    @jax.jit
    def traced(key):
        return learner.step(key, learner.init(PARAMS.value, key))

    state, info = traced(KEY)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state))
    np.testing.assert_allclose(float(info.effective_samples), 1.0, rtol=1e-6)  # equal weights


@pytest.mark.slow
def test_the_reward_is_not_differentiated():
    @jax.custom_jvp
    def opaque(x):
        return x[:, 0]

    @opaque.defjvp
    def _(primals, tangents):
        raise AssertionError("the reward was differentiated")

    run(generative.ac_flow(MODEL.value, opaque, warm_up=0, **SIZES), 1)


@pytest.mark.slow
def test_conditions_reach_model_critic_and_reward():
    model = flow.from_network(flow.MLP(width=8, depth=2, num_classes=3), (2,), num_classes=3)
    seen = []

    def value(params, x, t, condition):
        seen.append(condition.shape)
        return params * jnp.ones(x.shape[0])

    def reward(x, condition, context):
        return x[:, 0] * condition + context

    critic = generative.Critic(lambda key: jnp.zeros(()), value)
    learner = generative.ac_flow(model, reward, warm_up=0, critic=critic, **SIZES)
    params = model.init(KEY)
    request = generative.Request(jnp.arange(16) % 3, context=jnp.float32(1.0))
    state = jax.jit(learner.init)(params, KEY, request)
    after, _ = jax.jit(learner.step)(KEY, state, request)
    assert set(seen) == {(16,)}
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), params, after.params)
    assert moved["Conditioning_0"]["Embed_0"]["embedding"]
    other = request._replace(condition=jnp.zeros(16, jnp.int32))
    different, _ = jax.jit(learner.step)(KEY, state, other)
    assert not bool(
        (different.params["Dense_0"]["kernel"] == after.params["Dense_0"]["kernel"]).all()
    )
    with pytest.raises(ValueError, match=r"inputs: expected a condition of shape \(16, "):
        learner.step(KEY, state, generative.Request(jnp.zeros(3, jnp.int32)))


def test_jit_equals_eager_and_there_is_one_compilation():
    learner = generative.ac_flow(MODEL.value, first_coordinate, warm_up=1, **SIZES)
    state, count = START.value, 0

    def step(key, state):
        nonlocal count
        count += 1
        return learner.step(key, state)

    compiled = jax.jit(step)
    one = compiled(KEY, state)[0]
    two = compiled(KEY, one)[0]
    assert count == 1
    eager = learner.step(KEY, one)[0]
    for a, b in zip(jax.tree.leaves(two), jax.tree.leaves(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_temperature_penalty_and_clip_may_be_traced():
    def total(tau, alpha, clip):
        learner = generative.ac_flow(
            MODEL.value,
            first_coordinate,
            warm_up=0,
            temperature=tau,
            alpha=alpha,
            clip=clip,
            **SIZES,
        )
        state, _ = rollout(learner.step, learner.init(PARAMS.value, KEY), 2, key=KEY)
        return jax.flatten_util.ravel_pytree(state.params)[0]

    values = jnp.array([1.0, 5.0])
    found = jax.jit(jax.vmap(total))(values, jnp.array([0.1, 3.0]), jnp.array([0.5, 100.0]))
    assert found.shape[0] == 2
    assert bool((found[0] != found[1]).any())


@pytest.mark.slow
def test_it_learns():
    """A standard Gaussian is moved towards the reward, further with a higher temperature."""
    model = flow.from_network(flow.MLP(width=32, depth=2), (2,))
    data = jax.random.normal(jax.random.key(7), (512, 2))
    learner = generative.flow_matching(model, optax.adam(3e-3))
    from jaxswarm.data import Batch

    batch = Batch(data, jnp.zeros(512, jnp.int32), jnp.ones(512))
    start = learner.init(model.init(KEY))
    state, _ = jax.jit(lambda s: rollout(learner.step, s, 500, key=KEY, inputs=batch))(start)
    means = []
    for tau in (0.0, 1.0, 5.0):
        tuned = generative.ac_flow(
            model, first_coordinate, temperature=tau, warm_up=10, alpha=0.5,
            optimizer=optax.adam(1e-3), batch_size=64, num_steps=8, updates=2,
        )  # fmt: skip
        begin = tuned.init(state.params, KEY)
        after, _ = jax.jit(lambda s, step=tuned.step: rollout(step, s, 150, key=KEY))(begin)
        x = flow.sample(KEY, flow.field(model, after.params), 2000, (2,), num_steps=20)
        means.append(float(x[:, 0].mean()))
    assert abs(means[0]) < 0.25
    assert means[1] > means[0] + 0.1
    assert means[2] > means[1] + 0.2


@pytest.mark.slow
def test_real_valued_conditions_reach_the_default_critic():
    model = flow.from_network(flow.MLP(width=8, depth=1), (2,), condition_shape=(3,))
    learner = generative.ac_flow(model, lambda x, c: x[:, 0] * c[:, 0], warm_up=0, **SIZES)
    request = generative.Request(jax.random.normal(KEY, (16, 3)))
    state = jax.jit(learner.init)(model.init(KEY), KEY, request)
    assert state.critic["params"]["Dense_0"]["kernel"].shape[0] == 2 + 1 + 2 * 4 + 3
    _, info = jax.jit(learner.step)(KEY, state, request)
    assert np.isfinite(float(info.actor_loss))
