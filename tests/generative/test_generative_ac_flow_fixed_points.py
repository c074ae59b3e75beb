"""Fixed points of AC-Flow in closed form on finite sets, and what critics converge to.

Shapes: ``n`` samples of a finite set, ``B`` samples of a batch.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxswarm import generative
from jaxswarm.models import flow

KEY = jax.random.key(0)


fine_tuned_velocity = jax.jit(
    generative.fine_tuned_velocity,
    static_argnames=("clip", "path", "use_critic"),
)
marginal_velocity = jax.jit(flow.marginal_velocity, static_argnames=("path",))


@functools.partial(jax.jit, static_argnums=0)
def finite_set(n=12):
    keys = jax.random.split(jax.random.key(3), 4)
    data = jax.random.normal(keys[0], (n, 2))
    rewards = 3.0 * jax.random.normal(keys[1], (n,))
    return data, rewards, jax.random.normal(keys[2], (20, 2)), jax.random.uniform(keys[3], (20,))


# Identities of the fixed point, on a finite set with closed-form fields.


@pytest.mark.parametrize("path", [flow.linear_path(), flow.cosine_path()])
def test_without_clipping_and_penalty_the_critic_cancels(path):
    data, rewards, x, t = finite_set()
    options = {"temperature": 0.7, "path": path}
    ours = fine_tuned_velocity(data, rewards, x, t, **options)
    orw = fine_tuned_velocity(data, rewards, x, t, use_critic=False, **options)
    exact = marginal_velocity(data, x, t, path=path, weights=jnp.exp(0.7 * rewards))
    scale = jnp.max(jnp.abs(exact))
    np.testing.assert_allclose(ours / scale, orw / scale, atol=2e-5)
    np.testing.assert_allclose(orw / scale, exact / scale, atol=2e-5)


def test_clipping_changes_the_fixed_point():
    data, rewards, x, t = finite_set()
    free = fine_tuned_velocity(data, rewards, x, t, temperature=0.7)
    clipped = fine_tuned_velocity(data, rewards, x, t, temperature=0.7, clip=0.5)
    plain = marginal_velocity(data, x, t)
    change = jnp.linalg.norm(clipped - free, axis=1)
    assert float(jnp.max(change)) > 0.1 * float(jnp.mean(jnp.linalg.norm(free, axis=1)))
    assert float(jnp.mean(change)) > 1e-2
    assert float(jnp.max(jnp.abs(clipped - plain))) > 1e-2  # it still follows the reward


def test_a_penalty_leaves_the_critic_a_part_in_the_fixed_point():
    data, rewards, x, t = finite_set()
    options = {"temperature": 0.7, "alpha": 1.0}
    ours = fine_tuned_velocity(data, rewards, x, t, **options)
    orw = fine_tuned_velocity(data, rewards, x, t, use_critic=False, **options)
    assert float(jnp.max(jnp.abs(ours - orw))) > 1e-2
    far = fine_tuned_velocity(data, rewards, x, t, temperature=0.7, alpha=1e6)
    np.testing.assert_allclose(far, marginal_velocity(data, x, t), rtol=2e-3, atol=2e-3)


def test_the_closed_form_minimizes_the_weighted_loss():
    """The gradient of the loss over all pairs of data and noise is zero at the closed form."""
    data, rewards, _, _ = finite_set(3)
    x, t = jnp.array([[0.3, -0.4]]), 0.6
    noise = (x - t * data) / (1.0 - t)  # the noise with which each sample is seen at x
    density = jnp.exp(-0.5 * jnp.sum(noise**2, axis=1))
    advantages = rewards - generative.optimal_values(data, rewards, x, t)
    weights = jnp.exp(0.7 * generative.clip_advantages(advantages, 0.5)) * density
    reference = marginal_velocity(data, x, t)[0]

    def loss(v):
        matching = jnp.sum(weights * jnp.sum((v[None] - (data - noise)) ** 2, axis=1))
        return matching + 0.3 * jnp.sum(density) * jnp.sum((v - reference) ** 2)

    closed = fine_tuned_velocity(data, rewards, x, t, temperature=0.7, alpha=0.3, clip=0.5)
    gradient = jax.grad(loss)(closed[0])
    assert float(jnp.max(jnp.abs(gradient))) < 1e-4 * float(
        jnp.max(jnp.abs(jax.grad(loss)(-closed[0])))
    )


def test_the_closed_form_takes_rewards_of_any_size():
    data, rewards, x, t = finite_set()
    for scale in (1e4, -1e4):
        field = fine_tuned_velocity(data, scale * rewards, x, t, temperature=1.0)
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
    field = lambda x, t: marginal_velocity(data, x, t)  # noqa: E731
    states = flow.trajectory(field, start, num_steps=20)
    nearest = jnp.argmin(jnp.linalg.norm(states[-1][:, None] - data[None], axis=-1), axis=1)
    # E[R | x_t] over trajectories through the same state: by symmetry the side of the start.
    value_on_ode = (start[:, 0] > 0).astype(jnp.float32)
    np.testing.assert_array_equal(rewards[nearest], value_on_ode)
    middle = generative.optimal_values(data, rewards, states[10], 0.5)
    assert float(jnp.mean(jnp.abs(rewards[nearest] - middle))) > 0.05  # with fresh noise it is not


def test_the_first_advantage_is_the_shaped_reward():
    critic = generative.critic_from_network(generative.CriticMLP((8,)), (2,))
    values = critic.value(critic.init(KEY), jnp.ones((5, 2)), jnp.full(5, 0.5), None)
    np.testing.assert_array_equal(values, np.zeros(5))
