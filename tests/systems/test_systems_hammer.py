"""HAMMER: which losses train which networks, kinds of messages, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, rl, simulate
from jaxswarm.systems import hammer


def parts(key):
    env = hammer.HammerEnvironment(envs.SumGuessing(4), 1)
    network = hammer.hammer_network(env, widths=(8,), scale=10.0, squash=False)
    _, timestep = jax.jit(env.reset)(key)
    features = rl.features_of(timestep.observation)
    return env, network, network.init(key), features


def outputs(network, params, features):
    return jax.vmap(lambda x: network.actor(params["actor"], (), x)[1])(features)


@pytest.mark.slow
def test_the_environment_conforms():
    envs.conformance.check(
        lambda n: hammer.HammerEnvironment(envs.SumGuessing(n), 1), symmetric=False
    )


@pytest.mark.parametrize("name", hammer.MESSAGE_KINDS)
@pytest.mark.slow
def test_only_learned_messages_depend_on_other_observations(name, key):
    """Change agent 0's observation: other outputs change only with learned messages."""
    _, network, params, features = parts(key)
    params = hammer.with_message_kind(params, hammer.MESSAGE_KINDS[name])
    other = features.at[:, 0].add(5.0)  # agent 0's number, in the central agent's observation
    changed = jnp.abs(outputs(network, params, features) - outputs(network, params, other))
    learned = name in ("learned", "discretised")
    assert bool((changed.max() > 0) == learned)

    def output(weights):
        changed = {**params, "actor": {**params["actor"], "message_network": weights}}
        return jnp.sum(outputs(network, changed, features))

    grads = jax.grad(output)(params["actor"]["message_network"])
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(grads))
    assert (largest > 0) == learned


@pytest.mark.slow
def test_an_update_trains_the_message_network_and_keeps_the_kind(key):
    env, network, params, _ = parts(key)
    learner = rl.ppo(env, network, num_envs=4, num_steps=4, minibatches=1, epochs=1)
    step = jax.jit(learner.step)
    for name, moves in (("learned", True), ("none", False)):
        start = learner.init(hammer.with_message_kind(params, hammer.MESSAGE_KINDS[name]), key)
        end, _ = step(key, start, None)
        before, after = start.params["actor"], end.params["actor"]
        moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), before, after)
        assert any(jax.tree.leaves(moved["message_network"])) == moves
        assert any(jax.tree.leaves(moved["local"]))
        assert not any(jax.tree.leaves(moved["kind"]))


def test_critics_see_the_local_observation(key):
    _, network, params, features = parts(key)
    one = network.critic(params["critic"], (), features[1])[1]
    other = network.critic(params["critic"], (), features[1].at[:4].add(3.0))[1]
    assert float(one) == float(other)


def test_executed_bits_have_no_noise(key):
    env, network, params, features = parts(key)
    executing = hammer.hammer_network(env, widths=(8,), scale=10.0, executing=True, squash=False)
    params = hammer.with_message_kind(params, hammer.MESSAGE_KINDS["discretised"])
    noisier = features.at[:, 8].add(1.0)
    assert jnp.array_equal(
        outputs(executing, params, features), outputs(executing, params, noisier)
    )
    assert not jnp.array_equal(
        outputs(network, params, features), outputs(network, params, noisier)
    )


def test_local_agents_see_the_visible_fields_and_the_central_agent_all(key):
    env = hammer.HammerEnvironment(envs.SimpleSpread(3), 2, visible=("velocity", "position"))
    state, timestep = jax.jit(env.reset)(key)
    observation = timestep.observation
    inner = env.env.observe(state.world.world, state.params, state.step_count)
    np.testing.assert_array_equal(observation.own[:, :2], inner.velocity)
    np.testing.assert_array_equal(observation.all_observations[0], rl.features_of(inner).ravel())
    np.testing.assert_array_equal(observation.own[:, 2:], inner.position)
    assert observation.own.shape == (3, 4)


def test_split_features_are_the_fields_of_the_observation(key):
    env, _, _, features = parts(key)
    _, timestep = jax.jit(env.reset)(key)
    everything, identity, noise, own = jnp.split(features, (4, 8, 9), axis=1)
    seen = timestep.observation
    for found, field in ((everything, "all_observations"), (identity, "identity")):
        np.testing.assert_array_equal(found, getattr(seen, field))
    np.testing.assert_array_equal(noise, seen.noise)
    np.testing.assert_array_equal(own, seen.own)


class Turned(envs.SumGuessing):
    """Every agent gets the next one's reward."""

    def advance(self, key, world, action, params):
        outcome = super().advance(key, world, action, params)
        return outcome._replace(reward=jnp.roll(outcome.reward, -1))


SHAPE = {"widths": (8,), "scale": 10.0, "squash": False}
SIZES = {"num_envs": 4, "num_steps": 4, "minibatches": 1, "epochs": 1}


def with_central_agent(env):
    env = hammer.HammerEnvironment(env, 1)
    networks = hammer.central_agent_networks(env, **SHAPE)
    return env, networks, hammer.central_agent_ppo(env, networks, **SIZES)


@pytest.mark.slow
def test_messages_are_gaussian_in_training_and_their_means_in_execution(key):
    env, networks, _ = with_central_agent(envs.SumGuessing(4))
    params = jax.jit(networks.composed.init)(key)
    features = rl.features_of(env.reset(key)[1].observation)
    everything, identity, noise, own = jnp.split(features, (4, 8, 9), axis=1)
    mean = networks.central.actor(params["actor"]["central"], (), everything[0] / 10.0)[1][:4]
    for executing, std in ((False, 0.5), (True, 0.0)):
        composed = hammer.central_agent_networks(env, executing=executing, **SHAPE).composed
        inputs = jnp.concatenate([own / 10.0, identity, mean[:, None] + std * noise], axis=1)
        expected = jax.vmap(lambda x: networks.local.actor(params["actor"]["local"], (), x)[1])(
            inputs
        )
        np.testing.assert_allclose(outputs(composed, params, features), expected, atol=1e-6)


@pytest.mark.slow
def test_the_central_agent_learns_from_the_mean_reward_alone(key):
    """With permuted rewards local agents learn differently, and the central agent the same."""
    ends, infos = [], []
    for kind in (envs.SumGuessing, Turned):
        _, networks, learner = with_central_agent(kind(4))
        start = learner.init(networks.composed.init(key), key)
        end, info = jax.jit(learner.step)(key, start, None)
        ends.append(end.params)
        infos.append(info)
    both = [
        max(
            float(jnp.abs(a - b).max())
            for a, b in zip(
                *(jax.tree.leaves(hammer.part_of(end, name)) for end in ends), strict=True
            )
        )
        for name in ("central", "local")
    ]
    assert both[0] < 1e-6 < 1e-5 < both[1]
    for part in (infos[0].local, infos[0].central):  # both are compared with the policy that acted
        assert float(part.kl) == pytest.approx(0.0, abs=1e-5)
        assert float(part.clip_fraction) == 0.0
    before = jax.jit(networks.composed.init)(key)
    moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), before, ends[0])
    assert any(jax.tree.leaves(moved["actor"]["central"]))
    assert any(jax.tree.leaves(moved["critic"]["central"]))


@pytest.mark.slow
def test_a_central_agent_resumes_bit_identically(key, tmp_path):
    _, networks, learner = with_central_agent(envs.SumGuessing(4))
    start = learner.init(networks.composed.init(key), key)
    run = {"key": key, "progress": False}
    whole, _ = simulate(learner.step, start, 6, **run)
    simulate(learner.step, start, 2, checkpoint=tmp_path, **run)
    again, _ = simulate(learner.step, start, 6, checkpoint=tmp_path, resume=True, **run)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(again.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_limited_agents_see_less(key):
    env = hammer.HammerEnvironment(
        envs.SimpleSpread(3), 2, visible=("velocity", "position"), limited_agents=(1,)
    )
    own = jax.jit(env.reset)(key)[1].observation.own
    inner = hammer.HammerEnvironment(envs.SimpleSpread(3), 2).reset(key)[1].observation.own
    np.testing.assert_array_equal(own[jnp.array([0, 2])], inner[jnp.array([0, 2])])
    hidden = np.flatnonzero(np.asarray(own[1]) == 0.0)
    assert own.shape == inner.shape
    assert len(hidden) >= own.shape[1] - 4
    assert float(jnp.abs(inner[1]).sum()) > float(jnp.abs(own[1]).sum())


BAD = {
    "limited": (
        lambda: hammer.HammerEnvironment(envs.SimpleSpread(3), 1, limited_agents=(3,)),
        "limited_agents",
    ),
    "std": (
        lambda: hammer.central_agent_networks(
            hammer.HammerEnvironment(envs.SumGuessing(4), 1), std=0.0
        ),
        "std",
    ),
    "minibatches": (
        lambda: hammer.central_agent_ppo(
            *with_central_agent(envs.SumGuessing(4))[:2], **(SIZES | {"minibatches": 3})
        ),
        "minibatches",
    ),
    "visible": (
        lambda: hammer.HammerEnvironment(envs.SimpleSpread(3), 1, visible=("mind",)),
        "visible",
    ),
    "silent": (lambda: hammer.HammerEnvironment(envs.SimpleSpread(3), 0), "message_length"),
    "all": (lambda: hammer.HammerEnvironment(envs.SumGuessing(4), 3), "message_length"),
    "noise": (
        lambda: hammer.hammer_network(hammer.HammerEnvironment(envs.SumGuessing(4), 1), noise=-1.0),
        "noise",
    ),
    "scale": (
        lambda: hammer.hammer_network(hammer.HammerEnvironment(envs.SumGuessing(4), 1), scale=0.0),
        "scale",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
