"""Single-agent jumanji environments: a copy per agent, equal numbers, restarts, learning."""

import jax
import jax.numpy as jnp
import jumanji
import numpy as np
import pytest
from jumanji.environments import Snake

from jaxswarm import agents, envs, rl, simulate


def snake(n=3, **options):
    return envs.from_jumanji(Snake(num_rows=4, num_cols=4, time_limit=30), num_agents=n, **options)


def test_copies_are_the_originals_stepped_by_hand_and_restart():
    original, env = Snake(num_rows=4, num_cols=4, time_limit=30), snake()
    state, timestep = jax.jit(env.reset)(jax.random.key(4))
    env.observation_spec.validate(timestep.observation)
    start, _ = jax.random.split(jax.random.key(4))
    reset, by_one, step = jax.jit(original.reset), jax.jit(original.step), jax.jit(env.step)
    by_hand = [reset(k) for k in agents.keys(start, 3)]
    alive, restarts = np.ones(3, bool), 0
    for index in range(30):
        action = jax.random.randint(jax.random.key(index), (3,), 0, 4)
        state, timestep = step(state, action)
        ended = np.asarray(timestep.extras["restarted"])
        for i in np.flatnonzero(alive):
            by_hand[i] = by_one(by_hand[i][0], action[i])
            own = by_hand[i][1]
            assert float(timestep.reward[i]) == float(own.reward)
            assert bool(ended[i]) == bool(own.last()) or index == 29
            if not ended[i]:
                np.testing.assert_array_equal(
                    timestep.observation.view.grid[i], own.observation.grid
                )
        np.testing.assert_array_equal(timestep.discount, 1.0 - ended)
        now = np.asarray(state.world.state.step_count)
        assert (now[ended] == 0).all() or index == 29
        restarts += ended.sum()
        alive &= ~ended
    assert restarts > 3  # more often than there are copies: none waits
    assert bool(timestep.last())
    assert bool(timestep.extras["truncated"])


def test_a_single_copy_ends_the_episode_and_several_wait_without_restart():
    one = snake(1)
    state, _ = jax.jit(one.reset)(jax.random.key(0))
    step = jax.jit(one.step)
    for _ in range(4):  # upwards, into the wall
        state, timestep = step(state, jnp.zeros(1, jnp.int32))
        if bool(timestep.last()):
            break
    assert bool(timestep.last())
    assert not bool(timestep.extras["truncated"])
    assert "restarted" not in timestep.extras
    assert timestep.discount.tolist() == [0.0]
    assert not snake(restart=False).restarts


def test_actions_with_axes_are_copied_if_asked():
    env = envs.from_jumanji(jumanji.make("Minesweeper-v0"), num_agents=2, copies=True, time_limit=9)
    assert env.action_spec.shape == (2, 2)
    assert env.action_spec.num_values.tolist() == [[10, 10]] * 2
    _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    assert timestep.observation.view.board.shape == (2, 10, 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Maze-v0", "Game2048-v1", "Snake-v1"])
def test_copies_conform(name):
    original = jumanji.make(name)
    envs.conformance.check(
        lambda n: envs.from_jumanji(original, num_agents=n, time_limit=20), 2, steps=3
    )


@pytest.mark.slow
def test_runners_count_episodes_and_restart_memories_for_each_agent():
    env = snake(3)
    network = rl.network_for(env, widths=(8,), hidden_size=4)
    runner = rl.OnPolicyRunner(env, network, num_envs=2, shared=True)
    params = rl.initialize(jax.random.key(0), network, 3, shared=True)
    state = jax.jit(runner.reset)(jax.random.key(1))
    collect = jax.jit(runner.collect, static_argnums=3)
    _, seen, stats = collect(jax.random.key(2), params, state, 60)
    ended = np.asarray((seen.discount == 0) | seen.last)
    assert ended[:, 0, 0].sum() > 2  # the two truncations, and collisions
    assert np.asarray(seen.first[0]).all()
    np.testing.assert_array_equal(seen.first[1:], ended[:-1])
    counts, totals, running = np.zeros(3), np.zeros(3), np.zeros((2, 3))
    for reward, over in zip(np.asarray(seen.reward), ended, strict=True):
        running += reward
        counts += over.sum(axis=0)
        totals += np.where(over, running, 0.0).sum(axis=0)
        running[over] = 0.0
    assert int(stats.count) == counts.max()
    np.testing.assert_allclose(stats.mean_return, totals / counts, rtol=1e-5)


@pytest.mark.slow
def test_agents_learn_in_copies_that_restart():
    env = snake(4)
    network = rl.network_for(env, widths=(64,))  # the snake's action mask reaches the policy
    learner = rl.ppo(env, network, num_envs=8, num_steps=30)
    params = rl.initialize(jax.random.key(0), network, 4, shared=True)
    evaluate = rl.evaluator(jax.random.key(1), env, network, 64, shared=True)
    _, records = simulate(
        learner.step,
        learner.init(params, jax.random.key(2)),
        60,
        key=jax.random.key(3),
        every=60,
        evaluate=lambda state: (evaluate(state), evaluate(state._replace(params=params))),
        progress=False,
    )
    after, before = records.evaluation
    assert after.sampled.mean() > before.sampled.mean() + 1.0  # apples of an agent's first episode
