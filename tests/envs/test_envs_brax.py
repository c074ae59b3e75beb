"""brax's environments, one copy per agent: the original's numbers; falls terminate, time cuts."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import agents, envs


class State(NamedTuple):
    pipeline_state: Any
    obs: Any
    reward: Any
    done: Any
    metrics: Any
    info: Any


class Balance:
    """brax's interface: pushed by its actions, fallen where it leans by 1 or more."""

    action_size = 2

    def reset(self, rng):
        lean = 0.1 * jax.random.normal(rng)
        metrics = {"lean": jnp.zeros(())}
        return State(
            {"q": lean}, self.seen(lean), jnp.zeros(()), jnp.zeros(()), metrics, {"rng": rng}
        )

    def step(self, state, action):
        lean = state.pipeline_state["q"] + 0.4 * jnp.sum(action)
        return state._replace(
            pipeline_state={"q": lean},
            obs=self.seen(lean),
            reward=1.0,
            done=jnp.where(jnp.abs(lean) >= 1, 1.0, 0.0),
            metrics={"lean": lean},
        )

    def seen(self, lean):
        return jnp.stack([jnp.sin(lean), jnp.cos(lean), lean])


class Views(Balance):
    def seen(self, lean):
        return {"state": lean}


class AutoResetWrapper:
    def __init__(self, env):
        self.env = env

    def __getattr__(self, name):
        return getattr(self.env, name)


class Outer(AutoResetWrapper):
    pass


@pytest.mark.slow
def test_falls_terminate_and_the_time_limit_truncates():
    env = envs.from_brax(Balance(), num_agents=2, time_limit=5, restart=False)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    assert first.observation.view.shape == (2, 3)
    assert first.extras["lean"].shape == (2,)
    step, push = jax.jit(env.step), jnp.array([[1.0, 1.0], [0.0, 0.0]])
    seen = []
    for _ in range(5):
        state, timestep = step(state, push)
        seen.append(timestep)
    assert [t.reward.tolist() for t in seen] == [[1, 1]] * 2 + [[0, 1]] * 3
    assert [t.observation.agent_mask.tolist() for t in seen] == [[True, True]] + [[False, True]] * 4
    assert bool(seen[-1].extras["truncated"])
    assert seen[-1].discount.tolist() == [0, 1]
    np.testing.assert_array_equal(seen[-1].observation.view[0], seen[1].observation.view[0])
    assert float(seen[1].extras["lean"][0]) > 1  # of the fall itself
    assert float(seen[2].extras["lean"][0]) == 0
    alone = envs.from_brax(Balance())
    state, _ = jax.jit(alone.reset)(jax.random.key(0))
    for _ in range(2):
        state, timestep = jax.jit(alone.step)(state, push[:1])
    assert bool(timestep.last())
    assert not bool(timestep.extras["truncated"])
    assert timestep.discount.tolist() == [0]
    assert alone.time_limit == 1_000


def test_copies_that_fall_begin_anew():
    env = envs.from_brax(Balance(), num_agents=2, time_limit=5)
    state, first = jax.jit(env.reset)(jax.random.key(0))
    step, push = jax.jit(env.step), jnp.array([[1.0, 1.0], [0.0, 0.0]])
    restarted = []
    for _ in range(5):
        state, timestep = step(state, push)
        restarted.append(timestep.extras["restarted"].tolist())
        assert timestep.discount.tolist() == [1.0 - restarted[-1][0], 1.0]
        assert timestep.reward.tolist() == [1, 1]
    assert restarted == [[False] * 2, [True, False], [False] * 2, [True, False], [False] * 2]
    assert jax.tree.structure(timestep) == jax.tree.structure(first)


def test_copies_are_the_originals_stepped_by_hand():
    check_by_hand(Balance(), steps=2)


def check_by_hand(original, steps):
    env = envs.from_brax(original, num_agents=3, restart=False)
    state, timestep = jax.jit(env.reset)(jax.random.key(2))
    start, _ = jax.random.split(jax.random.key(2))
    reset, step, adapted = jax.jit(original.reset), jax.jit(original.step), jax.jit(env.step)
    by_hand = [reset(k) for k in agents.keys(start, 3)]
    for index in range(steps):
        action = jax.random.uniform(jax.random.key(index), env.action_spec.shape, minval=-1.0)
        state, timestep = adapted(state, action)
        by_hand = [step(own, a) for own, a in zip(by_hand, action, strict=True)]
        for i, own in enumerate(by_hand):
            np.testing.assert_allclose(timestep.observation.view[i], own.obs, rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(timestep.reward[i], own.reward, rtol=1e-4, atol=1e-5)
            assert bool(timestep.observation.agent_mask[i]) == (float(own.done) == 0)


@pytest.mark.slow
def test_adapted_copies_conform():
    envs.conformance.check(lambda n: envs.from_brax(Balance(), num_agents=n), 2, steps=3)


BAD = {
    "not brax": (lambda: envs.from_brax(object()), "object without 'reset'"),
    "wrapped": (lambda: envs.from_brax(AutoResetWrapper(Balance())), "got AutoResetWrapper"),
    "twice": (lambda: envs.from_brax(Outer(AutoResetWrapper(Balance()))), "got AutoResetWrapper"),
    "agents": (lambda: envs.from_brax(Balance(), num_agents=0), "num_agents"),
    "limit": (lambda: envs.from_brax(Balance(), time_limit=0), "time_limit"),
    "views": (lambda: envs.from_brax(Views()), "one array, got dict"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


unmaintained = pytest.mark.filterwarnings(
    "ignore:Brax System:UserWarning", "ignore:Accessing .* from `Data`:DeprecationWarning"
)


@unmaintained
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["generalized", "spring"])
def test_brax_itself(backend):
    brax = pytest.importorskip("brax.envs")
    with jax.numpy_rank_promotion("allow"):  # for what is stepped by hand
        check_by_hand(brax.get_environment("inverted_pendulum", backend=backend), steps=3)


@unmaintained
@pytest.mark.slow
def test_brax_s_training_wrappers_are_refused():
    brax = pytest.importorskip("brax.envs")
    with pytest.raises(ValueError, match="Wrapper"):
        envs.from_brax(brax.create("inverted_pendulum"))
