"""Environments as other libraries have them."""

import jax
import numpy as np
import pytest

from jaxswarm import envs


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pettingzoos_own_test_passes():
    pytest.importorskip("pettingzoo")
    from pettingzoo.test import parallel_api_test

    parallel_api_test(envs.to_pettingzoo(envs.SimpleSpread(2, time_limit=5)), num_cycles=12)


def reinforce(env, episodes, rate, rng):
    """Train a table of logits per agent by REINFORCE, as a PettingZoo user would; mean rewards."""
    table = {name: {} for name in env.possible_agents}  # observation -> logits
    history, baseline = [], 0.0
    for episode in range(episodes):
        observations, _ = env.reset(seed=episode)
        taken, gained = [], []
        while env.agents:
            actions = {}
            for name in env.agents:
                seen = observations[name].tobytes()
                logits = table[name].setdefault(seen, np.zeros(env.action_space(name).n))
                chances = np.exp(logits - logits.max())
                chances /= chances.sum()
                actions[name] = rng.choice(len(chances), p=chances)
                taken.append((len(gained), logits, chances, actions[name]))
            observations, rewards, *_ = env.step(actions)
            gained.append(sum(rewards.values()) / len(rewards))
        after = np.append(gained[1:], 0.0)  # an action shows in the next reward
        for step, logits, chances, action in taken[: -len(env.possible_agents)]:
            logits += rate * (after[step] - baseline) * (np.eye(len(chances))[action] - chances)
        history.append(float(np.mean(gained)))
        baseline = 0.9 * baseline + 0.1 * history[-1]
    return np.array(history)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_learner_in_numpy_trains_through_pettingzoo():
    pytest.importorskip("pettingzoo")
    env = envs.to_pettingzoo(envs.CoordinationGame(2, time_limit=25))
    learned = reinforce(env, 60, 0.3, np.random.default_rng(0))
    idle = reinforce(env, 10, 0.0, np.random.default_rng(1))
    assert idle.mean() < 1.7  # random bits agree half of the time
    assert learned[-15:].mean() > idle.mean() + 0.4


def test_gymnasium_rows_restart_with_their_episode():
    env = envs.to_gymnasium(envs.SimpleSpread(2, time_limit=3), num_envs=2)
    first, _ = env.reset(seed=0)
    again, _ = env.reset(seed=0)
    np.testing.assert_array_equal(first, again)
    zeros = np.zeros((4, 2), np.float32)
    for count in range(3):
        _, reward, terminated, truncated, infos = env.step(zeros)
        assert reward.shape == (4,)
        assert not terminated.any()
        assert truncated.all() == (count == 2)
    assert infos["final_obs"].shape == first.shape


def test_functional_styles_step_with_legacy_keys_and_restart():
    env = envs.SimpleSpread(2, time_limit=1)
    key = jax.random.key_data(jax.random.key(3))  # uint32[2], as PRNGKey gives
    like = envs.to_gymnax(env)
    obs, state = like.reset(key, like.default_params)
    obs, state, reward, done, _ = like.step(key, state, np.zeros((2, 2), np.float32))
    assert (obs.shape, reward.shape, bool(done), int(state.step_count)) == ((2, 10), (2,), True, 0)
    marl = envs.to_jaxmarl(env)
    obs, state = marl.reset(key)
    actions = {name: np.zeros(2, np.float32) for name in marl.agents}
    obs, state, rewards, dones, _ = marl.step(key, state, actions)
    assert bool(dones["__all__"])
    assert set(obs) == set(rewards) == set(marl.agents)
