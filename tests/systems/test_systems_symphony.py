"""Symphony's parts against numpy, and the gradients of its joint loss."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, rl
from jaxswarm.systems import symphony
from jaxswarm.systems.symphony import (
    NOISE,
    adam_without_bias_correction,
    split_outputs,
    swaddling,
)
from jaxswarm.systems.symphony.losses import advantage_loss, pessimistic_mean, square_loss

ENV = envs.Pendulum(time_limit=20)
NET = symphony.symphony_network_for(ENV, width=8, nodes=6)


def test_the_pessimistic_mean_is_a_weighted_sort_and_so_is_its_gradient():
    values = jnp.array([[3.0, -1.0, 2.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    weight = np.tanh((np.pi * (1 - np.arange(4) / 4)) ** np.e)
    weight /= weight.sum()
    found = pessimistic_mean(values)
    np.testing.assert_allclose(found, np.sort(values, axis=1) @ weight, rtol=1e-5)
    assert float(found[0]) < 1.5
    grads = jax.grad(lambda v: pessimistic_mean(v)[0])(values)[0]
    np.testing.assert_allclose(grads, weight[[3, 0, 1, 2]], rtol=1e-5)


def test_the_regularizer_is_minimal_near_one_over_e_and_large_near_one():
    scale = np.linspace(0.02, 0.98, 97)
    width = np.full_like(scale, 0.1)
    raw = 2.0 * np.arctanh(np.stack([0 * scale, scale, width], axis=-1))
    cost = np.asarray(swaddling(jnp.asarray(raw, jnp.float32)))
    assert scale[np.argmin(cost)] == pytest.approx(1.0 / math.e, abs=0.03)
    assert cost[-1] > 1.0
    assert np.isfinite(cost).all()
    _, s, b = split_outputs(jnp.array([0.0, 1e3, -1e3]))
    assert 0.0 < float(s[0]) < 1.0
    assert 0.0 < float(b[0]) < 1.0


def test_noise_and_actions_are_bounded(key):
    outputs = jnp.array([1e3, 1e3, 0.0])
    raw = jax.vmap(lambda k: NET.head.sample(k, outputs))(jax.random.split(key, 2000))
    middle = float(NET.head.mode(outputs)[0])
    assert (np.abs(np.asarray(raw) - middle) <= 1.0 + 1e-6).all()
    assert np.std(raw) == pytest.approx(NOISE, rel=0.1)
    assert float(jnp.abs(jax.vmap(NET.head.action)(raw)).max()) < 1.0
    with pytest.raises(NotImplementedError, match="deterministic"):
        NET.head.log_prob(outputs, raw[0])


def test_adam_without_bias_correction_is_the_numpy_recursion():
    optimizer = adam_without_bias_correction(0.5, 0.9)
    state = optimizer.init(jnp.zeros(2))
    m = v = np.zeros(2)
    for grads in ([1.0, -2.0], [0.5, 3.0], [-1.0, 1.0]):
        change, state = optimizer.update(jnp.array(grads), state)
        m = 0.5 * m + 0.5 * np.array(grads)
        v = 0.9 * v + 0.1 * np.square(grads)
        np.testing.assert_allclose(change, m / (np.sqrt(v) + 1e-8), rtol=1e-5)


def test_losses_are_even_and_odd():
    x = jnp.linspace(-3.0, 3.0, 7)
    np.testing.assert_allclose(square_loss(x), square_loss(-x))
    np.testing.assert_allclose(advantage_loss(x), -advantage_loss(-x))


@pytest.mark.slow
def test_a_step_updates_actor_and_critic_and_keeps_the_reward_scale(key):
    learner = symphony.symphony(ENV, NET, updates=2, batch_size=8, capacity=64, warm_up=16)
    state = jax.jit(lambda k: learner.init(NET.init(k), k))(key)
    step = jax.jit(learner.step)
    after, info = step(key, state)
    step(key, after, symphony.SymphonyHyperparameters(lr=1e-3))
    for name in ("actor", "critic"):
        pairs = zip(
            jax.tree.leaves(state.learner.params[name]),
            jax.tree.leaves(after.learner.params[name]),
            strict=True,
        )
        assert any((a != b).any() for a, b in pairs)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(after.learner))
    assert float(after.replay.reward_scale) == float(state.replay.reward_scale)
    newest = int(after.replay.newest)
    assert newest == 0
    reward = after.replay.items.reward[newest] * after.replay.reward_scale
    assert float(reward) == pytest.approx(float(info.reward), rel=1e-5)


@pytest.mark.slow
def test_the_actor_s_gradient_comes_through_the_target_critic(key):
    learner = symphony.symphony_learner(NET)
    state = learner.init(NET.init(key))
    x = jax.random.normal(key, (8, 3))
    batch = rl.Experience(x, x[:, :1], x[:, 0], jnp.ones(8), x, jnp.ones(8, bool))
    update = jax.jit(learner.update)
    one, _ = update(key, state, batch, symphony.SymphonyHyperparameters())
    flat = state._replace(target_critic=jax.tree.map(lambda p: 0.0 * p, state.target_critic))
    two, _ = update(key, flat, batch, symphony.SymphonyHyperparameters())

    def middle(s):
        """Weights of the output ``A``, which the regularizer does not depend on."""
        return np.asarray(s.opt_state[0]["actor"]["Dense_2"]["kernel"])[:, 0]

    assert np.abs(middle(one)).max() > 0.0
    np.testing.assert_array_equal(middle(two), 0.0)


def test_bad_inputs_are_named():
    with pytest.raises(ValueError, match="nodes: expected a multiple of 3"):
        symphony.symphony_network_for(ENV, nodes=7)
    with pytest.raises(ValueError, match="width"):
        symphony.symphony_network_for(ENV, width=0)
    with pytest.raises(ValueError, match="bounded continuous"):
        symphony.symphony_network_for(envs.Donations(3))
    with pytest.raises(ValueError, match="capacity: expected a multiple of the warm-up's 10"):
        symphony.symphony(ENV, NET, batch_size=8, capacity=64, warm_up=10)
    with pytest.raises(ValueError, match="ema"):
        symphony.symphony(ENV, NET, hyperparameters=symphony.SymphonyHyperparameters(ema=1.5))
