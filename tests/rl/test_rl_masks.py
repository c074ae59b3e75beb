"""Action masks: illegal actions are neither sampled nor chosen, and cost no gradient."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, envs, rl
from jaxswarm.rl import value_decomposition as vd
from jaxswarm.rl.features import action_mask_slice, only_legal
from jaxswarm.rl.value_decomposition.episodes import random_legal
from tests.rl.rl_worlds import Forbidden

ENV = Forbidden()


class Inner(NamedTuple):
    zebra: np.ndarray
    action_mask: np.ndarray


class Outer(NamedTuple):
    """Field names that are not in alphabetical order."""

    view: Inner
    agent_mask: np.ndarray
    apple: np.ndarray


def test_feature_slices_find_every_leaf_by_name():
    mask = np.array([[True, False], [True, True]])
    view = Inner(np.arange(12.0).reshape(2, 3, 2), mask)
    observation = Outer(view, np.ones(2, bool), np.array([7.0, 8.0]))
    features, slices = rl.features_of(observation), rl.feature_slices(observation)
    assert set(slices) == {"view.zebra", "view.action_mask", "apple"}
    np.testing.assert_array_equal(features[:, slices["view.zebra"]], view.zebra.reshape(2, 6))
    np.testing.assert_array_equal(features[:, slices["view.action_mask"]], mask)
    np.testing.assert_array_equal(features[:, slices["apple"]], observation.apple[:, None])
    assert sum(part.stop - part.start for part in slices.values()) == features.shape[1]


def test_illegal_options_have_no_probability_and_finite_gradients(key):
    options = (3, 2)
    head = rl.categoricals(options)
    legal = jnp.array([True, False, True, False, True])
    outputs = jnp.array([0.1, 9.0, -0.3, 5.0, 0.0])

    def masked(outputs):
        return only_legal(outputs, legal, options)

    sample = jax.jit(jax.vmap(lambda key: head.sample(key, masked(outputs))))
    drawn = np.asarray(sample(jax.random.split(key, 500)))
    assert set(drawn[:, 0].tolist()) == {0, 2}
    assert set(drawn[:, 1].tolist()) == {1}
    probability = np.mean(drawn[:, 0] == 0)
    assert probability == pytest.approx(float(jax.nn.sigmoid(0.4)), abs=0.08)
    np.testing.assert_array_equal(head.mode(masked(outputs)), [0, 1])
    two = jnp.array([0.1, -0.3])
    plain = -jnp.sum(jax.nn.softmax(two) * jax.nn.log_softmax(two))
    assert float(head.entropy(key, masked(outputs))) == pytest.approx(float(plain), rel=1e-5)
    grads = jax.grad(lambda x: head.entropy(key, masked(x)) + head.log_prob(masked(x), drawn[0]))(
        outputs
    )
    assert np.isfinite(grads).all()
    assert float(grads[1]) == float(grads[3]) == 0.0
    nothing = only_legal(outputs, jnp.zeros(5), options)
    np.testing.assert_array_equal(nothing, outputs)  # of absent agents: as if all were legal


def test_ppo_takes_no_illegal_action_and_learns_the_best_legal_one(key):
    network = rl.network_for(ENV, widths=(8,))
    learner = rl.ppo(
        ENV,
        network,
        num_envs=16,
        num_steps=3,
        minibatches=1,
        hyperparameters=rl.PPOHyperparameters(lr=3e-2, discount=0.0, entropy=0.0),
    )
    params = rl.initialize(key, network, 2, shared=True)
    state, step = jax.jit(learner.init)(params, key), jax.jit(learner.step)
    for index in range(40):
        state, info = step(jax.random.fold_in(key, index), state)
        if not index:
            assert float(info.entropy) <= np.log(3) + 1e-5
    policy = rl.policy(network, shared=True, deterministic=True)
    sampled = rl.policy(network, shared=True)
    both = jax.jit(
        lambda params: [envs.unroll(key, ENV, p, 3, params=params)[1] for p in (policy, sampled)]
    )(state.params)
    assert all(int(jnp.sum(episode.timestep.extras["illegal"])) == 0 for episode in both)
    np.testing.assert_array_equal(both[0].action, [[2, 2]] * 3)
    # The same network without the mask prefers the forbidden action, which earns most.
    blind = rl.network_for(ENV, widths=(8,), mask_actions=False)
    assert blind.actor(params["actor"], (), jnp.zeros(5))[1].shape == (4,)
    assert float(jnp.min(blind.actor(params["actor"], (), jnp.zeros(5))[1])) > -1.0


def test_random_legal_is_the_list_of_legal_actions():
    rng = np.random.default_rng(0)
    legal, fraction = rng.random((200, 5)) < 0.5, rng.random(200).astype(np.float32)
    found = np.asarray(jax.jit(random_legal)(fraction, legal))
    for row, u, choice in zip(legal, fraction, found, strict=True):
        listed = np.flatnonzero(row) if row.any() else np.arange(5)
        assert choice == listed[int(np.floor(u * np.float32(len(listed))))]


@pytest.mark.parametrize("mixer", ["additive", pytest.param("monotonic", marks=pytest.mark.slow)])
def test_value_decomposition_takes_no_illegal_action(mixer, key):
    network = rl.value_network_for(ENV, mixer, hidden_size=8)
    params = vd.initial_params(key, network)
    make = rl.vdn if mixer == "additive" else rl.qmix
    learner = make(ENV, network, num_envs=16, batch_size=4, capacity=32)
    state = jax.jit(learner.init)(params, key)
    state, info = jax.jit(learner.step)(key, state)  # every action is random at first
    stored = state.replay.experience
    action = np.asarray(stored.action).reshape(-1, 3, 2)[:16]
    features = np.asarray(stored.features).reshape(-1, 4, 2, 5)[:16, :3]
    legal = features[..., network.legal] > 0
    assert np.take_along_axis(legal, action[..., None], axis=-1).all()
    assert len(np.unique(action)) == 3
    assert np.isfinite(float(info.loss))
    assert float(info.loss) < 1e6


def test_masks_of_another_size_are_refused():
    observation = jax.eval_shape(ENV.reset, jax.random.key(0))[1].observation
    assert action_mask_slice(observation, ()) is None
    with pytest.raises(ValueError, match="expected one flag for each of 3 actions"):
        action_mask_slice(observation, (3,))
    with pytest.raises(ValueError, match="legal: expected a part of 2 features"):
        rl.actor_critic_network(rl.categorical(2), 3, legal=slice(0, 3))
    with pytest.raises(ValueError, match="legal: expected a part of 2 features"):
        vd.value_network(2, 3, 2, vd.additive(2), legal=slice(0, 3))


@pytest.mark.slow
def test_jumanji_masks_reach_the_policy(key):
    jumanji = pytest.importorskip("jumanji")
    env = envs.from_jumanji(jumanji.make("LevelBasedForaging-v0"))
    network = rl.network_for(env, widths=(8,))
    with jax.numpy_rank_promotion("allow"):  # jumanji's own code
        _, timestep = jax.jit(env.reset)(key)
    legal = timestep.observation.view.action_mask
    part = rl.feature_slices(timestep.observation)["view.action_mask"]
    features = rl.features_of(timestep.observation)
    np.testing.assert_array_equal(features[:, part], legal)
    assert not legal.all()
    params = rl.initialize(key, network, env.num_agents, shared=True)["actor"]
    logits = jax.jit(jax.vmap(lambda x: network.actor(params, (), x)[1]))(features)
    keys = agents.keys(key, 200)
    drawn = jax.vmap(lambda key: jax.random.categorical(key, logits))(keys)
    assert jnp.take_along_axis(legal[None], drawn[..., None], axis=2).all()
