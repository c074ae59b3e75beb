"""HAMMER: who learns from whom, what the arms hide, and bad input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import envs, rl, simulate
from jaxswarm.systems import hammer


def parts(key):
    env = hammer.WithMessenger(envs.SumGuessing(4), 1)
    network = hammer.hammer_network(env, widths=(8,), scale=10.0, squash=False)
    _, timestep = env.reset(key)
    features = rl.features_of(timestep.observation)
    return env, network, network.init(key), features


def outputs(network, params, features):
    return jax.vmap(lambda x: network.actor(params["actor"], (), x)[1])(features)


def test_the_environment_conforms():
    envs.conformance.check(lambda n: hammer.WithMessenger(envs.SumGuessing(n), 1), symmetric=False)


@pytest.mark.parametrize("name", hammer.ARMS)
def test_only_the_learned_arms_pass_on_what_others_see(name, key):
    """Change what agent 0 sees: only its own output may follow, unless somebody whispers."""
    _, network, params, features = parts(key)
    params = hammer.with_arm(params, hammer.ARMS[name])
    other = features.at[:, 0].add(5.0)  # agent 0's number, in the messenger's view of all
    changed = jnp.abs(outputs(network, params, features) - outputs(network, params, other))
    hears = name in ("learned", "discretised")
    assert bool((changed.max() > 0) == hears)

    def output(messenger):
        held = {**params, "actor": {**params["actor"], "messenger": messenger}}
        return jnp.sum(outputs(network, held, features))

    slope = jax.grad(output)(params["actor"]["messenger"])
    steepest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slope))
    assert (steepest > 0) == hears


def test_an_update_teaches_the_messenger_by_the_actors_and_keeps_the_arm(key):
    env, network, params, _ = parts(key)
    learner = rl.ppo(env, network, num_envs=4, num_steps=4, minibatches=1, epochs=1)
    step = jax.jit(learner.step)
    for name, moves in (("learned", True), ("none", False)):
        start = learner.init(hammer.with_arm(params, hammer.ARMS[name]), key)
        end, _ = step(key, start, None)
        before, after = start.params["actor"], end.params["actor"]
        moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), before, after)
        assert any(jax.tree.leaves(moved["messenger"])) == moves
        assert any(jax.tree.leaves(moved["local"]))
        assert not any(jax.tree.leaves(moved["arm"]))


def test_critics_see_what_agents_see(key):
    _, network, params, features = parts(key)
    one = network.critic(params["critic"], (), features[1])[1]
    other = network.critic(params["critic"], (), features[1].at[:4].add(3.0))[1]
    assert float(one) == float(other)


def test_executed_bits_are_bits(key):
    env, network, params, features = parts(key)
    executing = hammer.hammer_network(env, widths=(8,), scale=10.0, executing=True, squash=False)
    params = hammer.with_arm(params, hammer.ARMS["discretised"])
    noisier = features.at[:, 8].add(1.0)
    assert jnp.array_equal(
        outputs(executing, params, features), outputs(executing, params, noisier)
    )
    assert not jnp.array_equal(
        outputs(network, params, features), outputs(network, params, noisier)
    )


def test_cut_agents_see_the_first_numbers_and_the_messenger_all(key):
    env = hammer.WithMessenger(envs.SimpleSpread(3), 2, visible=("velocity", "position"))
    state, timestep = env.reset(key)
    seen = timestep.observation
    inner = env.env.observe(state.world.world, state.params, state.step_count)
    np.testing.assert_array_equal(seen.own[:, :2], inner.velocity)
    np.testing.assert_array_equal(seen.everything[0], rl.features_of(inner).ravel())
    np.testing.assert_array_equal(seen.own[:, 2:], inner.position)
    assert seen.own.shape == (3, 4)


def test_the_network_reads_what_the_environment_shows(key):
    env, _, _, features = parts(key)
    _, timestep = env.reset(key)
    everything, identity, noise, own = jnp.split(features, (4, 8, 9), axis=1)
    seen = timestep.observation
    for found, field in ((everything, "everything"), (identity, "identity")):
        np.testing.assert_array_equal(found, getattr(seen, field))
    np.testing.assert_array_equal(noise, seen.noise)
    np.testing.assert_array_equal(own, seen.own)


class Turned(envs.SumGuessing):
    """Everybody is paid what the next one earned."""

    def advance(self, key, world, action, params):
        outcome = super().advance(key, world, action, params)
        return outcome._replace(reward=jnp.roll(outcome.reward, -1))


SHAPE = {"widths": (8,), "scale": 10.0, "squash": False}
SIZES = {"num_envs": 4, "num_steps": 4, "minibatches": 1, "epochs": 1}


def with_agent(env):
    env = hammer.WithMessenger(env, 1)
    sides = hammer.agent_sides(env, **SHAPE)
    return env, sides, hammer.messenger_ppo(env, sides, **SIZES)


def test_a_message_is_drawn_around_its_mean_and_executed_as_its_mean(key):
    env, sides, _ = with_agent(envs.SumGuessing(4))
    params = sides.whole.init(key)
    features = rl.features_of(env.reset(key)[1].observation)
    everything, identity, noise, own = jnp.split(features, (4, 8, 9), axis=1)
    mean = sides.messenger.actor(params["actor"]["messenger"], (), everything[0] / 10.0)[1][:4]
    for executing, std in ((False, 0.5), (True, 0.0)):
        whole = hammer.agent_sides(env, executing=executing, **SHAPE).whole
        told = jnp.concatenate([own / 10.0, identity, mean[:, None] + std * noise], axis=1)
        expected = jax.vmap(lambda x: sides.local.actor(params["actor"]["local"], (), x)[1])(told)
        np.testing.assert_allclose(outputs(whole, params, features), expected, atol=1e-6)


def test_the_messenger_is_paid_the_mean_and_taught_by_nobody_else(key):
    """Pay handed round teaches agents other things, and the messenger the same."""
    ends, infos = [], []
    for kind in (envs.SumGuessing, Turned):
        _, sides, learner = with_agent(kind(4))
        start = learner.init(sides.whole.init(key), key)
        end, info = jax.jit(learner.step)(key, start, None)
        ends.append(end.params)
        infos.append(info)
    both = [
        max(
            float(jnp.abs(a - b).max())
            for a, b in zip(*(jax.tree.leaves(hammer.side(end, name)) for end in ends), strict=True)
        )
        for name in ("messenger", "local")
    ]
    assert both[0] < 1e-6 < 1e-5 < both[1]
    for part in (infos[0].local, infos[0].messenger):  # both are compared with what acted
        assert float(part.kl) == pytest.approx(0.0, abs=1e-5)
        assert float(part.clipped) == 0.0
    before = sides.whole.init(key)
    moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), before, ends[0])
    assert any(jax.tree.leaves(moved["actor"]["messenger"]))
    assert any(jax.tree.leaves(moved["critic"]["messenger"]))


def test_a_messenger_that_acts_resumes_to_the_bit(key, tmp_path):
    _, sides, learner = with_agent(envs.SumGuessing(4))
    start = learner.init(sides.whole.init(key), key)
    run = {"key": key, "progress": False}
    whole, _ = simulate(learner.step, start, 6, **run)
    simulate(learner.step, start, 2, checkpoint=tmp_path, **run)
    again, _ = simulate(learner.step, start, 6, checkpoint=tmp_path, resume=True, **run)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(again.params), strict=True):
        np.testing.assert_array_equal(a, b)


def test_only_those_who_are_cut_see_less(key):
    env = hammer.WithMessenger(envs.SimpleSpread(3), 2, visible=("velocity", "position"), cut=(1,))
    own = env.reset(key)[1].observation.own
    inner = hammer.WithMessenger(envs.SimpleSpread(3), 2).reset(key)[1].observation.own
    np.testing.assert_array_equal(own[jnp.array([0, 2])], inner[jnp.array([0, 2])])
    hidden = np.flatnonzero(np.asarray(own[1]) == 0.0)
    assert own.shape == inner.shape
    assert len(hidden) >= own.shape[1] - 4
    assert float(jnp.abs(inner[1]).sum()) > float(jnp.abs(own[1]).sum())


BAD = {
    "cut": (lambda: hammer.WithMessenger(envs.SimpleSpread(3), 1, cut=(3,)), "cut"),
    "std": (
        lambda: hammer.agent_sides(hammer.WithMessenger(envs.SumGuessing(4), 1), std=0.0),
        "std",
    ),
    "minibatches": (
        lambda: hammer.messenger_ppo(
            *with_agent(envs.SumGuessing(4))[:2], **(SIZES | {"minibatches": 3})
        ),
        "minibatches",
    ),
    "visible": (
        lambda: hammer.WithMessenger(envs.SimpleSpread(3), 1, visible=("mind",)),
        "visible",
    ),
    "silent": (lambda: hammer.WithMessenger(envs.SimpleSpread(3), 0), "message_length"),
    "all": (lambda: hammer.WithMessenger(envs.SumGuessing(4), 3), "message_length"),
    "noise": (
        lambda: hammer.hammer_network(hammer.WithMessenger(envs.SumGuessing(4), 1), noise=-1.0),
        "noise",
    ),
    "scale": (
        lambda: hammer.hammer_network(hammer.WithMessenger(envs.SumGuessing(4), 1), scale=0.0),
        "scale",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
