"""Laws of AC-Flow and its baselines: fixed points, critics, weights, masks, special cases.

Shapes: ``n`` samples of a finite set, ``B`` samples of a batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import generative, rollout
from jaxswarm.models import flow

KEY = jax.random.key(0)
MODEL = flow.from_network(flow.MLP(width=8, depth=2), (2,))
PARAMS = MODEL.init(jax.random.key(1))
SIZES = {"batch_size": 16, "num_steps": 2}


def first_coordinate(x):
    return x[:, 0]


def finite_set(n=12):
    keys = jax.random.split(jax.random.key(3), 4)
    data = jax.random.normal(keys[0], (n, 2))
    rewards = 3.0 * jax.random.normal(keys[1], (n,))
    return data, rewards, jax.random.normal(keys[2], (20, 2)), jax.random.uniform(keys[3], (20,))


def run(learner, steps, start=PARAMS, key=KEY, **options):
    state = learner.init(jax.random.key(2), start, **options)
    return jax.jit(lambda s: rollout(learner.step, s, steps, key=key))(state)


# Identities of the fixed point, on a finite set with closed-form fields.


@pytest.mark.parametrize("path", [flow.linear_path(), flow.cosine_path()])
def test_without_clipping_and_penalty_the_critic_cancels(path):
    data, rewards, x, t = finite_set()
    options = {"temperature": 0.7, "path": path}
    ours = generative.fine_tuned_velocity(data, rewards, x, t, **options)
    orw = generative.fine_tuned_velocity(data, rewards, x, t, use_critic=False, **options)
    exact = flow.marginal_velocity(data, x, t, path=path, weights=jnp.exp(0.7 * rewards))
    scale = jnp.max(jnp.abs(exact))
    np.testing.assert_allclose(ours / scale, orw / scale, atol=2e-5)
    np.testing.assert_allclose(orw / scale, exact / scale, atol=2e-5)


def test_clipping_changes_the_fixed_point():
    data, rewards, x, t = finite_set()
    free = generative.fine_tuned_velocity(data, rewards, x, t, temperature=0.7)
    clipped = generative.fine_tuned_velocity(data, rewards, x, t, temperature=0.7, clip=0.5)
    plain = flow.marginal_velocity(data, x, t)
    change = jnp.linalg.norm(clipped - free, axis=1)
    assert float(jnp.max(change)) > 0.1 * float(jnp.mean(jnp.linalg.norm(free, axis=1)))
    assert float(jnp.mean(change)) > 1e-2
    assert float(jnp.max(jnp.abs(clipped - plain))) > 1e-2  # it still follows the reward


def test_a_penalty_leaves_the_critic_a_part_in_the_fixed_point():
    data, rewards, x, t = finite_set()
    options = {"temperature": 0.7, "alpha": 1.0}
    ours = generative.fine_tuned_velocity(data, rewards, x, t, **options)
    orw = generative.fine_tuned_velocity(data, rewards, x, t, use_critic=False, **options)
    assert float(jnp.max(jnp.abs(ours - orw))) > 1e-2
    far = generative.fine_tuned_velocity(data, rewards, x, t, temperature=0.7, alpha=1e6)
    np.testing.assert_allclose(far, flow.marginal_velocity(data, x, t), rtol=2e-3, atol=2e-3)


def test_the_closed_form_minimizes_the_weighted_loss():
    """The gradient of the loss over all pairs of data and noise is zero at the closed form."""
    data, rewards, _, _ = finite_set(3)
    x, t = jnp.array([[0.3, -0.4]]), 0.6
    noise = (x - t * data) / (1.0 - t)  # the noise with which each sample is seen at x
    density = jnp.exp(-0.5 * jnp.sum(noise**2, axis=1))
    advantages = rewards - generative.optimal_values(data, rewards, x, t)
    weights = jnp.exp(0.7 * generative.clip_advantages(advantages, 0.5)) * density
    reference = flow.marginal_velocity(data, x, t)[0]

    def loss(v):
        matching = jnp.sum(weights * jnp.sum((v - (data - noise)) ** 2, axis=1))
        return matching + 0.3 * jnp.sum(density) * jnp.sum((v - reference) ** 2)

    closed = generative.fine_tuned_velocity(
        data, rewards, x, t, temperature=0.7, alpha=0.3, clip=0.5
    )
    gradient = jax.grad(loss)(closed[0])
    assert float(jnp.max(jnp.abs(gradient))) < 1e-4 * float(
        jnp.max(jnp.abs(jax.grad(loss)(-closed[0])))
    )


def test_the_closed_form_takes_rewards_of_any_size():
    data, rewards, x, t = finite_set()
    for scale in (1e4, -1e4):
        field = generative.fine_tuned_velocity(data, scale * rewards, x, t, temperature=1.0)
        assert bool(jnp.isfinite(field).all())


# The critic.


def test_the_critic_converges_to_the_conditional_expectation():
    data, rewards = jnp.array([[-1.0, 0.0], [1.0, 0.0]]), jnp.array([0.0, 1.0])
    critic = generative.critic_from_network(generative.CriticMLP((32,)), (2,))
    optimizer = optax.adam(1e-2)

    def step(carry, key):
        params, opt_state = carry
        rows = jnp.tile(jnp.arange(2), 64)
        noised = flow.noised(key, data[rows], flow.linear_path())
        grads = jax.grad(generative.critic_error, argnums=1)(critic, params, noised, rewards[rows])
        updates, opt_state = optimizer.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), None

    params = critic.init(KEY)
    carry = (params, optimizer.init(params))
    keys = jax.random.split(KEY, 600)
    (params, _), _ = jax.jit(lambda c: jax.lax.scan(step, c, keys))(carry)
    x = jnp.array([[-0.5, 0.0], [0.0, 0.0], [0.5, 0.0], [0.2, 1.0]])
    t = jnp.full(4, 0.5)
    exact = generative.optimal_values(data, rewards, x, t)
    np.testing.assert_allclose(critic.value(params, x, t, None), exact, atol=0.12)


def test_on_ode_states_the_advantage_is_zero():
    """A trajectory of the exact field ends in one sample: the state determines the reward."""
    data, rewards = jnp.array([[-1.0, 0.0], [1.0, 0.0]]), jnp.array([0.0, 1.0])
    start = jax.random.normal(KEY, (50, 2))
    field = lambda x, t: flow.marginal_velocity(data, x, t)  # noqa: E731
    states = flow.trajectory(field, start, num_steps=20)
    nearest = jnp.argmin(jnp.linalg.norm(states[-1][:, None] - data, axis=-1), axis=1)
    # E[R | x_t] over trajectories through the same state: by symmetry the side of the start.
    value_on_ode = (start[:, 0] > 0).astype(jnp.float32)
    np.testing.assert_array_equal(rewards[nearest], value_on_ode)
    middle = generative.optimal_values(data, rewards, states[10], 0.5)
    assert float(jnp.mean(jnp.abs(rewards[nearest] - middle))) > 0.05  # with fresh noise it is not


def test_the_first_advantage_is_the_shaped_reward():
    critic = generative.critic_from_network(generative.CriticMLP((8,)), (2,))
    values = critic.value(critic.init(KEY), jnp.ones((5, 2)), jnp.full(5, 0.5), None)
    np.testing.assert_array_equal(values, np.zeros(5))


# The loss: weights stay with their samples.


def test_permuting_a_batch_does_not_change_the_loss():
    data = jax.random.normal(KEY, (16, 2))
    noised = flow.noised(jax.random.key(1), data, MODEL.path)
    weights = jnp.linspace(0.0, 2.0, 16)
    order = jax.random.permutation(jax.random.key(2), 16)
    permuted = jax.tree.map(lambda leaf: leaf[order], noised)
    reference = MODEL.init(jax.random.key(5))

    def loss(state, weights):
        return generative.weighted_loss(
            MODEL, PARAMS, state, weights, reference=reference, alpha=0.5
        )[0]

    np.testing.assert_allclose(loss(permuted, weights[order]), loss(noised, weights), rtol=1e-5)
    assert abs(float(loss(permuted, weights) - loss(noised, weights))) > 1e-3


def test_a_whole_iteration_is_invariant_to_the_order_of_the_batch():
    """Data and rewards that are permuted together give the same expected gradient."""
    data = jax.random.normal(KEY, (8, 2))
    weights = generative.exponential_weights(data[:, 0], 2.0)
    order = jnp.array([3, 1, 7, 0, 2, 6, 5, 4])

    def gradient(data, weights):
        def loss(params):
            keys = jax.random.split(jax.random.key(4), 400)
            noised = jax.vmap(lambda key: flow.noised(key, data, MODEL.path))(keys)
            return jnp.mean(
                jax.vmap(lambda s: generative.weighted_loss(MODEL, params, s, weights)[0])(noised)
            )

        return jax.flatten_util.ravel_pytree(jax.grad(loss)(PARAMS))[0]

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
        MODEL, first_coordinate, clip=None, warm_up=0, shaping="none", temperature=0.8,
        critic=zero_critic(), **SIZES,
    )  # fmt: skip
    orw = generative.orw_cfm(MODEL, first_coordinate, temperature=0.8, **SIZES)
    for a, b in zip(
        jax.tree.leaves(run(ours, 5)[0].params), jax.tree.leaves(run(orw, 5)[0].params), strict=True
    ):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_naive_actor_critic_is_ac_flow_without_its_parts():
    naive = generative.naive_actor_critic(MODEL, first_coordinate, temperature=0.8, **SIZES)
    ours = generative.ac_flow(
        MODEL, first_coordinate, clip=None, warm_up=0, shaping="none", temperature=0.8, **SIZES
    )
    assert_same(run(naive, 3)[0], run(ours, 3)[0])


def assert_same(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


# The iteration.


def test_warm_up_trains_the_critic_only():
    learner = generative.ac_flow(MODEL, first_coordinate, warm_up=3, **SIZES)
    start = learner.init(jax.random.key(2), PARAMS)
    step = jax.jit(learner.step)
    state = start
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
    assert_same(state.reference, PARAMS)
    assert float(info.critic_loss) > 0


def test_the_sampling_copy_is_refreshed_when_due():
    learner = generative.orw_cfm(MODEL, first_coordinate, refresh_every=2, **SIZES)
    state = learner.init(jax.random.key(2), PARAMS)
    step = jax.jit(learner.step)
    state, _ = step(KEY, state)
    assert_same(state.sampler, PARAMS)
    state, _ = step(KEY, state)
    assert_same(state.sampler, state.params)
    frozen = generative.orw_cfm(MODEL, first_coordinate, refresh_every=None, **SIZES)
    assert_same(run(frozen, 3)[0].sampler, PARAMS)


def test_standardized_rewards_make_ac_flow_independent_of_their_scale():
    plain = generative.ac_flow(MODEL, first_coordinate, warm_up=0, **SIZES)
    scaled = generative.ac_flow(MODEL, lambda x: 64.0 * x[:, 0], warm_up=0, **SIZES)
    a, b = run(plain, 4)[0].params, run(scaled, 4)[0].params
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, atol=2e-5)


def test_samples_that_are_not_finite_have_no_influence():
    def broken(x):
        return jnp.where(jnp.arange(16) < 3, jnp.nan, x[:, 0])

    learner = generative.ac_flow(MODEL, broken, warm_up=0, **SIZES)
    with pytest.raises(ValueError, match="rewards: expected finite numbers, got nan for 3 of 16"):
        learner.init(KEY, PARAMS)
    state = generative.ac_flow(MODEL, first_coordinate, warm_up=0, **SIZES).init(KEY, PARAMS)
    state, info = jax.jit(learner.step)(KEY, state)
    assert int(info.num_nonfinite) == 3
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state))
    assert np.isfinite(float(info.actor_loss))


def test_a_batch_without_a_finite_reward_keeps_the_model_finite():
    learner = generative.ac_flow(MODEL, lambda x: x[:, 0] * jnp.nan, warm_up=0, **SIZES)
    state = generative.ac_flow(MODEL, first_coordinate, warm_up=0, **SIZES).init(KEY, PARAMS)
    after, info = jax.jit(learner.step)(KEY, state)
    assert int(info.num_nonfinite) == 16
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(after))
    assert_same(after.statistics, state.statistics)


@pytest.mark.parametrize("shaping", generative.SHAPINGS)
def test_rewards_of_ten_thousand_give_finite_models(shaping):
    learner = generative.ac_flow(
        MODEL, lambda x: 1e4 * x[:, 0], clip=None, warm_up=0, shaping=shaping, **SIZES
    )
    state, records = run(learner, 3)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state))
    assert bool(jnp.isfinite(records.info.actor_loss).all())


def test_a_constant_reward_is_refused_and_harmless_where_it_is_traced():
    learner = generative.ac_flow(MODEL, lambda x: jnp.ones(16), warm_up=0, **SIZES)
    with pytest.raises(ValueError, match="rewards: expected at least two different values, got 1"):
        learner.init(KEY, PARAMS)

    @jax.jit
    def traced(key):
        return learner.step(key, learner.init(key, PARAMS))

    state, info = traced(KEY)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state))
    np.testing.assert_allclose(float(info.effective_samples), 1.0, rtol=1e-6)  # equal weights


def test_the_reward_is_not_differentiated():
    @jax.custom_jvp
    def opaque(x):
        return x[:, 0]

    @opaque.defjvp
    def _(primals, tangents):
        raise AssertionError("the reward was differentiated")

    run(generative.ac_flow(MODEL, opaque, warm_up=0, **SIZES), 1)


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
    state = learner.init(KEY, params, request)
    after, _ = jax.jit(learner.step)(KEY, state, request)
    assert set(seen) == {(16,)}
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), params, after.params)
    assert moved["Conditioning_0"]["Embed_0"]["embedding"]
    other = request._replace(condition=jnp.zeros(16, jnp.int32))
    different, _ = jax.jit(learner.step)(KEY, state, other)
    assert not bool(
        (different.params["Dense_0"]["kernel"] == after.params["Dense_0"]["kernel"]).all()
    )
    with pytest.raises(ValueError, match=r"inputs: expected a condition of shape \(16,\)"):
        learner.step(KEY, state, generative.Request(jnp.zeros(3, jnp.int32)))


def test_jit_equals_eager_and_there_is_one_compilation():
    learner = generative.ac_flow(MODEL, first_coordinate, warm_up=1, **SIZES)
    state = learner.init(jax.random.key(2), PARAMS)
    count = 0

    def step(key, state):
        nonlocal count
        count += 1
        return learner.step(key, state)

    compiled = jax.jit(step)
    one = compiled(KEY, state)[0]
    two = compiled(KEY, one)[0]
    assert count == 1
    with jax.disable_jit():
        eager = learner.step(KEY, learner.step(KEY, state)[0])[0]
    for a, b in zip(jax.tree.leaves(two), jax.tree.leaves(eager), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_temperature_penalty_and_clip_may_be_traced():
    def total(tau, alpha, clip):
        learner = generative.ac_flow(
            MODEL, first_coordinate, warm_up=0, temperature=tau, alpha=alpha, clip=clip, **SIZES
        )
        state, _ = rollout(learner.step, learner.init(KEY, PARAMS), 2, key=KEY)
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
        after, _ = run(tuned, 150, start=state.params)
        x = flow.sample(KEY, flow.field(model, after.params), 2000, (2,), num_steps=20)
        means.append(float(x[:, 0].mean()))
    assert abs(means[0]) < 0.25
    assert means[1] > means[0] + 0.1
    assert means[2] > means[1] + 0.2
