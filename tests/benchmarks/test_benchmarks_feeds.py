"""The benchmark of feeds compares simulators that do the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import feeds
from jaxswarm import envs


@pytest.mark.slow
def test_the_numpy_user_is_ours():
    env = envs.FeedEnv(num_agents=3, num_candidates=2)
    params = feeds.patient(env.params)
    state, _ = jax.jit(env.reset)(jax.random.key(0), params)
    state, _ = jax.jit(env.step)(state, jnp.zeros(3, jnp.int32))
    world = jax.tree.map(np.asarray, state.world)
    means = jax.jit(env.expected_rewards)(state.world, params)
    after = env.advance(jax.random.key(1), state.world, jnp.ones(3, jnp.int32), params).world
    for i in range(3):
        other = feeds.NumpyUser(np.random.default_rng(0), params, 2, env.time_limit)
        for name in ("taste", "satiation", "interest", "fatigue", "patience"):
            setattr(other, name, getattr(world.users, name)[i])
        other.disposition, other.slate = world.disposition[i], world.slate[i]
        for candidate in range(2):
            log_watch, rates = other.means(params.user.items[other.slate[candidate]])
            watch = np.exp(log_watch + 0.5 * params.user.watch_noise**2)
            np.testing.assert_allclose(watch, means[i, candidate, 0], rtol=1e-4)
            np.testing.assert_allclose(rates, np.abs(means[i, candidate, 1:]), rtol=1e-3)
        _, responses, over = other.step(1)
        assert responses.shape == (6,)
        assert not over
        np.testing.assert_allclose(other.satiation, after.users.satiation[i], atol=1e-5)
        np.testing.assert_allclose(other.fatigue, after.users.fatigue[i], atol=1e-5)


@pytest.mark.slow
def test_users_of_the_benchmark_stay():
    for env in (envs.FeedEnv(32, time_limit=12), envs.LiveFeedEnv(32, num_days=2, num_items=50)):
        policy = envs.random_policy(env.action_spec)
        physics = feeds.patient(env.params)
        steps = env.time_limit - 1
        run = jax.jit(lambda key, e=env, p=policy, x=physics, t=steps: envs.unroll(
            key, e, p, t, env_params=x)[1].timestep.extras["present"])  # fmt: skip
        assert (np.asarray(run(jax.random.key(0))) == 32).all()


@pytest.mark.slow
def test_the_command_measures_all_sections(tmp_path, capsys):
    import json

    feeds.main(["--quick", "--json", str(tmp_path / "feeds.json")])
    rows = json.loads((tmp_path / "feeds.json").read_text())["rows"]
    assert [row["impl"] for row in rows] == ["jaxswarm", "numpy loop", "jaxswarm"]
    assert all(row["user_steps_per_s"] > 0 for row in rows)
    assert "numpy loop" in capsys.readouterr().out
