"""STAC's update against densities, its dropout, and the policy of mean actions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, rl
from jaxswarm.rl.actor_critic import sample_and_log_prob
from jaxswarm.systems import stac
from tests.tracing import Counted

ENV = envs.Pendulum(num_agents=2, time_limit=20)
SIZES = {"num_envs": 2, "batch_size": 8, "capacity": 64, "warm_up": 8}


def batch_of(key, count=16):
    one, two, three, four, five = jax.random.split(key, 5)
    return rl.Experience(
        jax.random.normal(one, (count, 3)),
        jax.random.normal(two, (count, 1)),
        jax.random.normal(three, (count,)),
        jax.random.bernoulli(four, 0.5, (count,)).astype(jnp.float32),
        jax.random.normal(one, (count, 3)),
        jax.random.bernoulli(five, 0.7, (count,)),
    )


STAC_NET = stac.stac_network_for(ENV, widths=(8,), dropout=0.5)


def test_a_stac_update_is_the_papers(key):
    """The negative log-likelihood of a target less β standard deviations."""
    plain = stac.stac_network_for(ENV, widths=(8,), dropout=0.0)
    learner = stac.stac_learner(ENV, plain)
    state = learner.init(plain.init(key), temperature=0.3)
    batch = batch_of(key)
    hp = stac.STACHyperparameters(0.0, 0.0, 0.2, 0.9, beta=0.5)
    after, info = jax.jit(learner.update)(key, state, batch, hp)
    keys = jax.random.split(key, 7)
    raw, log_prob = sample_and_log_prob(keys[0], plain, state.params["actor"], batch.next_features)
    mean, std = stac.critic_distribution(plain, state.target_critic, batch.next_features, raw)
    y = batch.reward + 0.9 * batch.discount * (mean - 0.5 * std - 0.3 * log_prob)
    mean, std = stac.critic_distribution(plain, state.params["critic"], batch.features, batch.raw)
    density = jax.scipy.stats.norm.logpdf(y, mean, std)
    mask = np.asarray(batch.mask)
    assert float(info["critic_loss"]) == pytest.approx(-np.asarray(density)[mask].mean(), rel=1e-4)
    raw, log_prob = sample_and_log_prob(keys[4], plain, state.params["actor"], batch.features)
    mean, std = stac.critic_distribution(plain, state.params["critic"], batch.features, raw)
    loss = np.asarray(0.3 * log_prob - mean + 0.5 * std)[mask].mean()
    assert float(info["actor_loss"]) == pytest.approx(loss, rel=1e-4)
    expected = 0.3 * np.exp(0.2 * 0.3 * (-1.0 - float(info["entropy"])))
    assert float(after.alpha) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_dropout_needs_a_key_and_the_evaluated_policy_averages(key):
    params = jax.jit(STAC_NET.init)(key)
    x, a = jnp.ones((4, 3)), jnp.zeros((4, 1))
    still = STAC_NET.q_values(params["critic"], x, a)
    np.testing.assert_array_equal(still, STAC_NET.q_values(params["critic"], x, a))
    assert (STAC_NET.q_values(params["critic"], x, a, key) != still).any()
    many = stac.mean_action_network(STAC_NET, 5)
    raw = many.head.sample(key, jnp.array([0.3, 0.0]))
    assert raw.shape == (5, 1)
    np.testing.assert_allclose(many.head.action(raw), jnp.tanh(raw).mean(axis=0), atol=1e-6)
    acting = rl.policy(many, shared=True)
    _, first = jax.jit(ENV.reset)(key)
    action, _ = acting.act(key, params, acting.init(first.observation), first.observation)
    assert action.shape == ENV.action_spec.shape


@pytest.mark.slow
def test_stac_steps_and_traces_beta_once(key):
    algorithm = stac.stac(ENV, STAC_NET, **SIZES)
    params = rl.initialize(key, STAC_NET, 2, shared=True)
    state = jax.jit(lambda key: algorithm.init(params, key))(key)
    step = Counted(algorithm.step)
    ends = [step(key, state, stac.STACHyperparameters(beta=jnp.float32(b)))[0] for b in (0.0, 0.5)]
    assert step.traces == 1
    first, second = (jax.tree.leaves(end.learner.params["critic"]) for end in ends)
    assert any((a != b).any() for a, b in zip(first, second, strict=True))
    assert all(np.isfinite(leaf).all() for leaf in first)


def test_bad_inputs_are_named():
    plain = rl.q_network_for(ENV, widths=(8,))
    with pytest.raises(ValueError, match="network: expected one critic with two outputs"):
        stac.stac(ENV, plain, **SIZES)
    with pytest.raises(ValueError, match="beta"):
        stac.stac(ENV, STAC_NET, hyperparameters=stac.STACHyperparameters(beta=-0.1), **SIZES)
    with pytest.raises(ValueError, match="samples"):
        stac.mean_action_network(STAC_NET, 0)
